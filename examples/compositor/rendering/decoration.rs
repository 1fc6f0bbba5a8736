//! What the compositor draws itself: the background, and frames for windows that bring none.

use std::sync::LazyLock;

use super::canvas::{Canvas, Colour, colour};
use crate::geometry::{Image, Point, Rect};

/// The height of a title bar.
pub const TITLE_BAR: i32 = 28;
/// How far a shadow reaches.
const SHADOW: i32 = 18;
const SHADOW_DROP: i32 = 6;
const RADIUS: i32 = 8;
/// The sides of the letters: each pixel of the font is two high and one and a half wide, rounded.
const GLYPH: i32 = 8;

/// A title bar with its text, and a shadow around everything.
pub struct Frame<'a> {
    /// The window proper, without the frame.
    pub window: Rect,
    pub title: &'a str,
    pub active: bool,
}

/// The background of an output: a slow gradient with a few soft lights.
pub fn background((width, height): (i32, i32)) -> Image {
    const LIGHTS: [(f32, f32, f32, [f32; 3]); 4] = [
        (0.15, 0.10, 0.55, [70.0, 30.0, 120.0]),
        (0.85, 0.20, 0.50, [20.0, 90.0, 150.0]),
        (0.60, 1.00, 0.60, [150.0, 60.0, 70.0]),
        (0.05, 0.95, 0.40, [10.0, 90.0, 90.0]),
    ];
    let squared = |at: i32, length: i32, centre: f32, radius: f32| {
        ((at as f32 / length as f32 - centre) / radius).powi(2)
    };
    let columns = LIGHTS.map(|(centre, _, radius, _)| -> Vec<f32> {
        (0..width).map(|x| squared(x, width, centre, radius)).collect()
    });
    let mut bytes = vec![0; 4 * width as usize * height as usize];
    let rows = bytes.chunks_exact_mut(4 * width as usize);
    for (y, row) in (0..height).zip(rows) {
        let v = y as f32 / height as f32;
        // What reaches this row, how much of it, and how much less that is in each column.
        let lights: Vec<(f32, &[f32], [f32; 3])> = LIGHTS
            .iter()
            .zip(&columns)
            .map(|((_, centre, radius, light), columns)| {
                (1.0 - squared(y, height, *centre, *radius), &columns[..], *light)
            })
            .filter(|(strength, ..)| *strength > 0.0)
            .collect();
        for (x, pixel) in row.as_chunks_mut().0.iter_mut().enumerate() {
            let (mut red, mut green, mut blue) = (18.0, 20.0 + 8.0 * v, 42.0 + 18.0 * v);
            for (most, less, light) in &lights {
                let strength = most - less[x];
                if strength > 0.0 {
                    let strength = strength * strength;
                    red += strength * light[0];
                    green += strength * light[1];
                    blue += strength * light[2];
                }
            }
            // A dot of a grid here and there gives the eye something to hold on to.
            let dot = if x % 32 == 16 && y % 32 == 16 { 26.0 } else { 0.0 };
            *pixel = [(blue + dot) as u8, (green + dot) as u8, (red + dot) as u8, 255];
        }
    }
    Image { width, height, stride: 4 * width as usize, opaque: true, bytes }
}

impl Frame<'_> {
    /// The window with its title bar.
    pub fn outline(&self) -> Rect {
        let Rect { x, y, width, height } = self.window;
        Rect::new(x, y - TITLE_BAR, width, height + TITLE_BAR)
    }

    pub fn draw(&self, canvas: &mut Canvas) {
        self.draw_shadow(canvas);
        let outline = self.outline();
        let (top, bottom) = match self.active {
            true => ([92, 122, 214], [62, 84, 168]),
            false => ([74, 78, 96], [58, 60, 76]),
        };
        let bar = Rect { height: TITLE_BAR, ..outline };
        let shown = bar.intersection(&canvas.clip());
        for y in shown.y..shown.bottom() {
            let step = (y - bar.y) as f32 / TITLE_BAR as f32;
            let mix = |index: usize| top[index] as f32 * (1.0 - step) + bottom[index] as f32 * step;
            let rgb = (mix(0) as u32) << 16 | (mix(1) as u32) << 8 | mix(2) as u32;
            // Rounded at both ends, as far down as the radius.
            let ends = if y < outline.y + RADIUS { RADIUS } else { 0 };
            let middle = Rect::new(bar.x + ends, y, bar.width - 2 * ends, 1);
            canvas.fill(middle, colour(rgb, 255));
            for x in [bar.x, bar.right() - ends] {
                let end = Rect::new(x, y, ends, 1);
                canvas.shade(end, |x, y| colour(rgb, corner(x, y, outline)));
            }
        }
        if shown.is_empty() {
            return;
        }
        let buttons: [u32; 3] = [0xff6058, 0xffbd2e, 0x28c940];
        for (index, rgb) in buttons.into_iter().enumerate() {
            let rgb = if self.active { rgb } else { 0x8a8c9a };
            let centre = Point::new(bar.x + 16 + 18 * index as i32, bar.y + TITLE_BAR / 2);
            disc(canvas, centre, 5.5, rgb);
        }
        let room = ((bar.width - 80) / GLYPH).max(0) as usize;
        let shown = self.title.chars().take(room).count() as i32;
        let left = bar.x + ((bar.width - shown * GLYPH) / 2).max(70);
        let ink = if self.active { 0xffffff } else { 0xb8bac8 };
        let at = Point::new(left, bar.y + (TITLE_BAR - 2 * GLYPH) / 2);
        text(canvas, at, self.title.chars().take(room), ink);
    }

    fn draw_shadow(&self, canvas: &mut Canvas) {
        let outline = self.outline();
        let dropped = outline.translated(Point::new(0, SHADOW_DROP));
        let whole = dropped.grown(SHADOW);
        let shades = &SHADES[usize::from(self.active)];
        let below = |y: i32| (dropped.y - y).max(y - dropped.bottom() + 1).max(0) as usize;
        let shade = |x: i32, y: i32| -> Colour {
            let beside = (dropped.x - x).max(x - dropped.right() + 1).max(0);
            [0, 0, 0, shades[beside as usize][below(y)]]
        };
        // Only where the window does not hide it: left, right, above (with the rounded corners), below.
        for x in [whole.x, outline.right()] {
            canvas.shade(Rect { x, width: SHADOW, ..whole }, shade);
        }
        let clip = canvas.clip();
        for y in (whole.y..outline.y + RADIUS).chain(outline.bottom()..whole.bottom()) {
            if (clip.y..clip.bottom()).contains(&y) {
                canvas.fill(Rect { y, height: 1, ..outline }, [0, 0, 0, shades[0][below(y)]]);
            }
        }
    }
}

/// How dark a shadow is so far to the side and so far below, for a window and for the active one.
static SHADES: LazyLock<[[[u8; SHADOW as usize + 1]; SHADOW as usize + 1]; 2]> =
    LazyLock::new(|| {
        [80.0, 130.0].map(|strength: f32| {
            std::array::from_fn(|dx| {
                std::array::from_fn(|dy| {
                    let distance = ((dx * dx + dy * dy) as f32).sqrt();
                    let near = (1.0 - distance / SHADOW as f32).max(0.0);
                    (strength * near * near) as u8
                })
            })
        })
    });

/// What the frame of `window` covers, the shadow included.
pub fn extent(window: Rect) -> Rect {
    let Rect { x, y, width, height } = window;
    Rect::new(x, y - TITLE_BAR, width, height + TITLE_BAR).grown(SHADOW + SHADOW_DROP)
}

/// How much of a pixel is inside of the rounded corners at the top of `outline`.
fn corner(x: i32, y: i32, outline: Rect) -> u8 {
    let dx = (outline.x + RADIUS - x).max(x - (outline.right() - 1 - RADIUS)).max(0) as f32;
    let dy = (outline.y + RADIUS - y).max(0) as f32;
    coverage(RADIUS as f32 + 0.5 - (dx * dx + dy * dy).sqrt())
}

fn coverage(inside: f32) -> u8 {
    (inside.clamp(0.0, 1.0) * 255.0) as u8
}

fn disc(canvas: &mut Canvas, centre: Point, radius: f32, rgb: u32) {
    let reach = radius.ceil() as i32;
    let area = Rect::new(centre.x - reach, centre.y - reach, 2 * reach + 1, 2 * reach + 1);
    canvas.shade(area, |x, y| {
        let (dx, dy) = ((x - centre.x) as f32, (y - centre.y) as f32);
        colour(rgb, coverage(radius + 0.5 - (dx * dx + dy * dy).sqrt()))
    });
}

fn text(canvas: &mut Canvas, at: Point, text: impl Iterator<Item = char>, rgb: u32) {
    let clip = canvas.clip();
    for (index, letter) in text.enumerate() {
        let place = Rect::new(at.x + GLYPH * index as i32, at.y, GLYPH, 2 * GLYPH);
        if place.intersection(&clip).is_empty() {
            continue;
        }
        let glyphs = &font8x8::legacy::BASIC_LEGACY;
        let glyph = glyphs.get(letter as usize).unwrap_or(&glyphs['?' as usize]);
        for (row, bits) in (0..).zip(glyph) {
            for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                let pixel = Rect::new(place.x + column, at.y + 2 * row, 1, 2);
                canvas.fill(pixel, colour(rgb, 255));
            }
        }
    }
}

/// How many windows count when the next one is placed. Those further down are hidden by these.
const PLACED: usize = 64;

/// Where a new window of this size goes: to the place where it hides least of the others, from the bottom up.
pub fn place(size: (i32, i32), others: &[Rect], output: Rect) -> Point {
    const STEP: usize = 16;
    const MARGIN: i32 = 20;
    let top = output.y + TITLE_BAR + MARGIN;
    let last = Point::new(output.right() - size.0 - MARGIN, output.bottom() - size.1 - MARGIN);
    let candidates = (top..=last.y.max(top)).step_by(STEP).flat_map(|y| {
        let left = output.x + MARGIN;
        (left..=last.x.max(left)).step_by(STEP).map(move |x| Point::new(x, y))
    });
    let others: Vec<Rect> = others.iter().rev().take(PLACED).map(|other| extent(*other)).collect();
    let hidden = |at: &Point| -> i64 {
        let place = extent(Rect::at(*at, size));
        let overlaps = others.iter().map(|other| other.intersection(&place));
        overlaps.map(|overlap| i64::from(overlap.width) * i64::from(overlap.height)).sum()
    };
    candidates.min_by_key(hidden).unwrap_or(Point::new(output.x, top))
}
