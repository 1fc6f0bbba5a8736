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
fn over(below: &mut Colour, above: Colour) {
    match above[3] {
        255 => *below = above,
        0 if above == [0; 4] => {}
        alpha => {
            // Two channels at a time, 16 bits each.
            const LOW: u32 = 0x00ff_00ff;
            let rest = u32::from(255 - alpha);
            let pair = |below: u32, above: u32| {
                let product = (below & LOW) * rest + 0x0080_0080;
                let sum = ((product + (product >> 8 & LOW)) >> 8 & LOW) + (above & LOW);
                (sum | ((sum >> 8 & 0x0001_0001) * 0xff)) & LOW
            };
            let (under, above) = (u32::from_le_bytes(*below), u32::from_le_bytes(above));
            *below = (pair(under, above) | pair(under >> 8, above >> 8) << 8).to_le_bytes();
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
    fn span(&mut self, y: i32, left: i32, right: i32) -> &mut [Colour] {
        let row = y as usize * self.image.stride;
        let bytes = &mut self.image.bytes[row + 4 * left as usize..row + 4 * right as usize];
        bytes.as_chunks_mut().0
    }

    pub fn fill(&mut self, rect: Rect, colour: Colour) {
        let area = rect.intersection(&self.clip);
        for y in area.y..area.bottom() {
            let pixels = self.span(y, area.x, area.right());
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
            for (x, pixel) in (area.x..).zip(self.span(y, area.x, area.right())) {
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
                let pixels = image.bytes[row(y) * image.stride + start..].as_chunks().0;
                let pixels = &pixels[..target.len()];
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
            for (pixel, column) in target.iter_mut().zip(&columns) {
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
fn blend(target: &mut [Colour], source: &[Colour]) {
    let mut done = 0;
    while done < target.len() {
        let opaque = source[done..].iter().take_while(|pixel| pixel[3] == 255).count();
        let end = done + opaque;
        target[done..end].copy_from_slice(&source[done..end]);
        done = end;
        if let Some(pixel) = source.get(done) {
            over(&mut target[done], *pixel);
            done += 1;
        }
    }
}
