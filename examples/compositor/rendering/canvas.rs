//! Drawing in software: everything is clipped to the part of the output that is to be repainted.

use crate::geometry::{Area, Image, Orientation, Point, Rect};

/// An opaque or premultiplied colour: blue, green, red, alpha.
pub type Colour = [u8; 4];

/// A colour from `0xRRGGBB` and its opacity, premultiplied.
pub fn colour(rgb: u32, alpha: u8) -> Colour {
    let [blue, green, red, _] = rgb.to_le_bytes();
    [times(blue, alpha), times(green, alpha), times(red, alpha), alpha]
}

fn times(value: u8, alpha: u8) -> u8 {
    let product = u32::from(value) * u32::from(alpha) + 128;
    ((product + (product >> 8)) >> 8) as u8
}

/// Puts a premultiplied pixel over another.
fn over(below: &mut [u8], above: [u8; 4]) {
    match above[3] {
        255 => below.copy_from_slice(&above),
        0 if above == [0; 4] => {}
        alpha => {
            for (below, above) in below.iter_mut().zip(above) {
                *below = above.saturating_add(times(*below, 255 - alpha));
            }
        }
    }
}

/// What the output shows.
#[derive(Debug, Default)]
pub struct Canvas {
    image: Image,
    clip: Rect,
}

impl Canvas {
    pub fn new((width, height): (i32, i32)) -> Self {
        let stride = 4 * width as usize;
        let bytes = vec![0; stride * height as usize];
        let image = Image { width, height, stride, opaque: true, bytes };
        Self { image, clip: Rect::new(0, 0, width, height) }
    }

    pub fn image(&self) -> &Image {
        &self.image
    }

    pub fn bounds(&self) -> Rect {
        Rect::new(0, 0, self.image.width, self.image.height)
    }

    /// Leaves everything outside of `clip` as it is, from now on.
    pub fn set_clip(&mut self, clip: Rect) {
        self.clip = clip.intersection(&self.bounds());
    }

    /// What is to be repainted.
    pub fn clip(&self) -> Rect {
        self.clip
    }

    /// The row `y` from `left` to `right`, which are inside.
    fn span(&mut self, y: i32, left: i32, right: i32) -> &mut [u8] {
        let row = y as usize * self.image.stride;
        &mut self.image.bytes[row + 4 * left as usize..row + 4 * right as usize]
    }

    pub fn fill(&mut self, rect: Rect, colour: Colour) {
        let area = rect.intersection(&self.clip);
        for y in area.y..area.bottom() {
            let pixels = self.span(y, area.x, area.right()).as_chunks_mut().0;
            if colour[3] == 255 {
                pixels.fill(colour);
            } else {
                pixels.iter_mut().for_each(|pixel| over(pixel, colour));
            }
        }
    }

    /// Puts `colour(x, y)` over each pixel of `rect`.
    pub fn shade(&mut self, rect: Rect, colour: impl Fn(i32, i32) -> Colour) {
        let area = rect.intersection(&self.clip);
        for y in area.y..area.bottom() {
            let pixels = self.span(y, area.x, area.right()).chunks_exact_mut(4);
            for (x, pixel) in (area.x..).zip(pixels) {
                over(pixel, colour(x, y));
            }
        }
    }

    /// Draws a part of an image, stretched over `area`: each pixel is that of the image in its middle.
    pub fn draw(&mut self, image: &Image, area: Rect, source: Area, orientation: Orientation) {
        let size = (image.width, image.height);
        let bounds = Rect::at(Point::default(), orientation.size(size));
        if source.rounded().intersection(&bounds) != source.rounded() || area.is_empty() {
            return;
        }
        let visible = area.intersection(&self.clip);
        let (right, down) =
            (source.width / f64::from(area.width), source.height / f64::from(area.height));
        let column = |x: i32| (source.x + (f64::from(x - area.x) + 0.5) * right) as usize;
        let row = |y: i32| (source.y + (f64::from(y - area.y) + 0.5) * down) as usize;
        let as_it_is = (right, down) == (1.0, 1.0)
            && source == source.rounded().into()
            && orientation == Orientation::default();
        if as_it_is {
            let start = 4 * column(visible.x);
            for y in visible.y..visible.bottom() {
                let target = self.span(y, visible.x, visible.right());
                let pixels = &image.bytes[row(y) * image.stride + start..][..target.len()];
                if image.opaque {
                    target.copy_from_slice(pixels);
                } else {
                    blend(target, pixels);
                }
            }
            return;
        }
        let columns: Vec<usize> = (visible.x..visible.right()).map(column).collect();
        for y in visible.y..visible.bottom() {
            let row = row(y);
            let target = self.span(y, visible.x, visible.right());
            for (pixel, column) in target.chunks_exact_mut(4).zip(&columns) {
                let (x, y) = orientation.pixel((*column, row), size);
                let start = y * image.stride + 4 * x;
                let mut above = [0, 1, 2, 3].map(|byte| image.bytes[start + byte]);
                if image.opaque {
                    above[3] = 255;
                }
                over(pixel, above);
            }
        }
    }
}

/// Puts a row over another; runs of opaque pixels, most of most windows, are copied at once.
fn blend(target: &mut [u8], source: &[u8]) {
    let mut done = 0;
    while done < target.len() {
        let opaque = source[done..].chunks_exact(4).take_while(|pixel| pixel[3] == 255).count();
        let end = done + 4 * opaque;
        target[done..end].copy_from_slice(&source[done..end]);
        done = end;
        if let Some(&[blue, green, red, alpha]) = source.get(done..done + 4) {
            over(&mut target[done..done + 4], [blue, green, red, alpha]);
            done += 4;
        }
    }
}
