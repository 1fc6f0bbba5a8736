//! Pictures of the pointer: a few, which the shapes of cursor-shape share.

use std::sync::LazyLock;

use wayland_protocols::wp::cursor_shape::v1::server::wp_cursor_shape_device_v1::Shape;

use crate::geometry::{Image, Point};

/// A picture, and the point of it that points.
pub struct Picture {
    pub image: Image,
    pub hotspot: Point,
}

/// The picture for a shape.
pub fn picture(shape: Shape) -> &'static Picture {
    let index = match shape {
        Shape::Text | Shape::VerticalText => 1,
        Shape::Pointer => 2,
        Shape::Cell | Shape::Crosshair | Shape::ZoomIn | Shape::ZoomOut => 3,
        Shape::Move | Shape::AllScroll | Shape::Grab | Shape::Grabbing => 4,
        Shape::EResize | Shape::WResize | Shape::EwResize | Shape::ColResize => 5,
        Shape::NResize | Shape::SResize | Shape::NsResize | Shape::RowResize => 6,
        Shape::NwResize | Shape::SeResize | Shape::NwseResize => 7,
        Shape::NeResize | Shape::SwResize | Shape::NeswResize => 8,
        Shape::Wait | Shape::Progress => 9,
        Shape::NoDrop | Shape::NotAllowed => 10,
        // An arrow, with or without something beside it.
        _ => 0,
    };
    &PICTURES[index]
}

static PICTURES: LazyLock<[Picture; 11]> = LazyLock::new(|| {
    let hotspots =
        [(0, 0), (3, 7), (4, 0), (7, 7), (7, 7), (7, 4), (4, 7), (5, 5), (5, 5), (5, 7), (6, 6)];
    std::array::from_fn(|index| {
        let (x, y) = hotspots[index];
        Picture { image: paint(DRAWINGS[index]), hotspot: Point::new(x, y) }
    })
});

/// `#` is black, `.` is white, and what is a space is not there.
fn paint(drawing: &str) -> Image {
    let lines: Vec<&str> = drawing.lines().skip(1).collect();
    let width = lines.iter().map(|line| line.len()).max().unwrap_or(0);
    let pixel = |letter: u8| match letter {
        b'#' => [0, 0, 0, 255],
        b'.' => [255; 4],
        _ => [0; 4],
    };
    let pixels = lines.iter().flat_map(|line| {
        let letters = line.bytes().chain(std::iter::repeat(b' '));
        letters.take(width).flat_map(pixel)
    });
    Image {
        width: width as i32,
        height: lines.len() as i32,
        stride: 4 * width,
        opaque: false,
        bytes: pixels.collect(),
    }
}

const DRAWINGS: [&str; 11] = [
    "
#
##
#.#
#..#
#...#
#....#
#.....#
#......#
#.......#
#........#
#.....#####
#..#..#
#.# #..#
##  #..#
#    #..#
     #..#
      ##",
    "
### ###
#..#..#
 ##.##
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
 ##.##
#..#..#
### ###",
    "
   ##
  #..#
  #..#
  #..#
  #..###
  #..#..###
## #..#..#..#
#..#........#
 #..........#
  #.........#
  #.........#
   #.......#
   #.......#
   #########",
    "
      ###
      #.#
      #.#
      #.#
      #.#
      #.#
#######.#######
#.............#
#######.#######
      #.#
      #.#
      #.#
      #.#
      #.#
      ###",
    "
       #
      #.#
     #...#
    #.....#
     ##.##
  #   #.#   #
 #.####.####.#
#.............#
 #.####.####.#
  #   #.#   #
     ##.##
    #.....#
     #...#
      #.#
       #",
    "
   #       #
  ##       ##
 #.#########.#
#.............#
#.............#
#.............#
 #.#########.#
  ##       ##
   #       #",
    "
   ###
  #...#
 #.....#
###...###
  #...#
  #...#
  #...#
  #...#
  #...#
  #...#
  #...#
###...###
 #.....#
  #...#
   ###",
    "
#######
#.....#
#....#
#...#
#....#
#.#...#   #
## #...# ##
#   #...#.#
     #....#
      #...#
     #....#
    #.....#
    #######",
    "
    #######
    #.....#
     #....#
      #...#
     #....#
#   #...#.#
## #...# ##
#.#...#   #
#....#
#...#
#....#
#.....#
#######",
    "
###########
#.........#
 #.......#
 #.......#
  #.....#
   #...#
    #.#
    #.#
   #.#.#
  #.....#
 #...#...#
 #..###..#
#..#####..#
###########",
    "
    #####
  ##.....##
 #...###...#
 #..#   #..#
#..# #   #..#
#.#  ##   #.#
#.#   ##  #.#
#.#    ## #.#
#..#    # #.#
 #..#   #..#
 #...###...#
  ##.....##
    #####",
];
