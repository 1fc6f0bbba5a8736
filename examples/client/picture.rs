//! What the window shows: the set in colours that wander, the pointer's cross, a line of text.

use std::f32::consts::TAU;

use crate::fractal::{Counts, INSIDE};

/// The height of the line of text.
pub const BAR: i32 = 24;
const BAR_COLOUR: u32 = 0x26_32_38;
const TEXT_COLOUR: u32 = 0xec_ef_f1;
const CROSS_COLOUR: u32 = 0xff_ff_ff;
const INSIDE_COLOUR: u32 = 0x10_14_18;
/// Where nothing has been computed yet.
const BLANK_COLOUR: u32 = 0x30_38_40;

/// A picture: four bytes a pixel, blue, green, red, unused.
#[derive(Default)]
pub struct Picture {
    size: (i32, i32),
    bytes: Vec<u8>,
}

impl Picture {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Paints everything; `seconds` moves the colours.
    pub fn paint(
        &mut self,
        size: (i32, i32),
        seconds: f32,
        counts: Option<&Counts>,
        cross: Option<(i32, i32)>,
        text: &str,
    ) {
        let (width, height) = size;
        self.size = size;
        self.bytes.resize(4 * width as usize * height as usize, 0);
        self.fill(0, height - BAR, BLANK_COLOUR);
        if let Some(counts) = counts {
            self.colour(counts, seconds);
        }
        if let Some((x, y)) = cross {
            for step in -6..=6 {
                self.set(x + step, y, CROSS_COLOUR);
                self.set(x, y + step, CROSS_COLOUR);
            }
        }
        self.fill(height - BAR, height, BAR_COLOUR);
        // What does not fit is left out at the left.
        let fits = (width / 8 - 2).max(0) as usize;
        let skipped = text.chars().count().saturating_sub(fits);
        let line = text.chars().skip(skipped).chain(['_']);
        for (column, character) in (1..).zip(line) {
            self.write(8 * column, height - BAR + 8, character);
        }
    }

    fn colour(&mut self, counts: &Counts, seconds: f32) {
        let palette: [u32; INSIDE as usize + 1] = std::array::from_fn(|count| {
            if count == usize::from(INSIDE) {
                return INSIDE_COLOUR;
            }
            let turn = count as f32 / 32.0 - seconds / 4.0;
            let channel = |shift: f32| (127.5 + 127.5 * (TAU * (turn + shift)).cos()) as u32;
            channel(0.0) << 16 | channel(0.1) << 8 | channel(0.2)
        });
        let rows = counts.counts.chunks_exact(counts.size.0 as usize);
        let stride = 4 * self.size.0 as usize;
        // While the window is being resized, the sizes differ.
        for (row, pixels) in rows.zip(self.bytes.chunks_exact_mut(stride)) {
            for (count, pixel) in row.iter().zip(pixels.chunks_exact_mut(4)) {
                pixel.copy_from_slice(&palette[usize::from(*count)].to_le_bytes());
            }
        }
    }

    fn write(&mut self, left: i32, top: i32, character: char) {
        let Some(glyph) = font8x8::legacy::BASIC_LEGACY.get(character as usize) else { return };
        for (y, row) in (top..).zip(glyph) {
            for x in (0..8).filter(|bit| *row >> bit & 1 == 1) {
                self.set(left + x, y, TEXT_COLOUR);
            }
        }
    }

    fn fill(&mut self, top: i32, bottom: i32, colour: u32) {
        let row = 4 * self.size.0 as usize;
        let rows = top.max(0) as usize * row..bottom.max(0) as usize * row;
        for pixel in self.bytes[rows].chunks_exact_mut(4) {
            pixel.copy_from_slice(&colour.to_le_bytes());
        }
    }

    fn set(&mut self, x: i32, y: i32, colour: u32) {
        let (width, height) = self.size;
        if (0..width).contains(&x) && (0..height).contains(&y) {
            let start = 4 * (y as usize * width as usize + x as usize);
            self.bytes[start..start + 4].copy_from_slice(&colour.to_le_bytes());
        }
    }
}
