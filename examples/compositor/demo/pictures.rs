//! What the clients of the demonstration draw.

use std::f32::consts::TAU;

/// Pixels to draw on: blue, green, red, alpha (premultiplied).
pub struct Pixels {
    width: i32,
    height: i32,
    bytes: Vec<u8>,
}

impl Pixels {
    pub fn new(width: i32, height: i32) -> Self {
        Self { width, height, bytes: vec![0; 4 * width as usize * height as usize] }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Sets each pixel to `colour(x, y)`: red, green, blue and alpha from 0 to 1, not premultiplied.
    fn each(&mut self, colour: impl Fn(f32, f32) -> [f32; 4]) {
        let places = (0..self.height).flat_map(|y| (0..self.width).map(move |x| (x, y)));
        for ((x, y), pixel) in places.zip(self.bytes.chunks_exact_mut(4)) {
            let [red, green, blue, alpha] = colour(x as f32, y as f32);
            let channel = |value: f32| (value * alpha * 255.0) as u8;
            pixel.copy_from_slice(&[
                channel(blue),
                channel(green),
                channel(red),
                (alpha * 255.0) as u8,
            ]);
        }
    }

    /// Mixes a colour into the pixels around a shape: `distance` is how far a point is outside of it.
    fn shape(
        &mut self,
        area: (f32, f32, f32, f32),
        rgb: [f32; 3],
        distance: impl Fn(f32, f32) -> f32,
    ) {
        let (left, top, right, bottom) = area;
        for y in (top.floor() as i32).max(0)..(bottom.ceil() as i32 + 1).min(self.height) {
            for x in (left.floor() as i32).max(0)..(right.ceil() as i32 + 1).min(self.width) {
                let cover = (0.5 - distance(x as f32, y as f32)).clamp(0.0, 1.0);
                let start = 4 * (y * self.width + x) as usize;
                let [red, green, blue] = rgb;
                for (byte, value) in
                    self.bytes[start..start + 4].iter_mut().zip([blue, green, red, 1.0])
                {
                    *byte = (f32::from(*byte) * (1.0 - cover) + value * cover * 255.0) as u8;
                }
            }
        }
    }

    fn disc(&mut self, (x, y): (f32, f32), radius: f32, rgb: [f32; 3]) {
        let area = (x - radius - 1.0, y - radius - 1.0, x + radius + 1.0, y + radius + 1.0);
        self.shape(area, rgb, |px, py| (px - x).hypot(py - y) - radius);
    }

    fn line(&mut self, from: (f32, f32), to: (f32, f32), width: f32, rgb: [f32; 3]) {
        let area = (
            from.0.min(to.0) - width,
            from.1.min(to.1) - width,
            from.0.max(to.0) + width,
            from.1.max(to.1) + width,
        );
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = (dx * dx + dy * dy).max(f32::EPSILON);
        self.shape(area, rgb, |x, y| {
            let along = (((x - from.0) * dx + (y - from.1) * dy) / length).clamp(0.0, 1.0);
            (x - from.0 - along * dx).hypot(y - from.1 - along * dy) - width / 2.0
        });
    }

    fn text(&mut self, at: (f32, f32), text: &str, rgb: [f32; 3]) {
        for (index, letter) in text.bytes().enumerate() {
            let glyph = &font8x8::legacy::BASIC_LEGACY[usize::from(letter) % 128];
            for (row, bits) in glyph.iter().enumerate() {
                for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                    let x = at.0 + (8 * index + column) as f32;
                    let y = at.1 + 2.0 * row as f32;
                    self.shape((x, y, x, y + 0.5), rgb, |px, py| {
                        if px == x && (py == y || py == y + 1.0) { -1.0 } else { 1.0 }
                    });
                }
            }
        }
    }
}

/// Slow waves of colour.
pub fn plasma(pixels: &mut Pixels, seconds: f32) {
    // Each wave depends on one number only, so that there is little to compute for each pixel.
    let wave = |count: i32, length: f32, speed: f32| -> Vec<f32> {
        (0..count).map(|n| (n as f32 / length + seconds * speed).sin()).collect()
    };
    let (across, down) = (wave(pixels.width, 47.0, 1.3), wave(pixels.height, 31.0, -1.7));
    let slanted = wave(pixels.width + pixels.height, 71.0, 2.1);
    pixels.each(|x, y| {
        let (column, row) = (x as usize, y as usize);
        let value = (across[column] + down[row] + slanted[column + row]) / 6.0 + 0.5;
        let other = (across[column] * down[row] + 1.0) / 2.0;
        [0.15 + 0.8 * value, 0.1 + 0.5 * other * value, 0.45 + 0.5 * (1.0 - value), 1.0]
    });
}

/// A face with hands, round, on nothing.
pub fn clock(pixels: &mut Pixels, seconds: f32) {
    let middle = (pixels.width as f32 / 2.0, pixels.height as f32 / 2.0);
    let radius = middle.0 - 6.0;
    pixels.each(|x, y| {
        let distance = (x - middle.0).hypot(y - middle.1);
        let cover = (radius - distance + 0.5).clamp(0.0, 1.0);
        let glass = 0.22 + 0.10 * (1.0 - y / (2.0 * middle.1));
        if distance > radius - 5.0 {
            [0.85, 0.87, 0.95, cover]
        } else {
            [glass * 0.5, glass * 0.6, glass, 0.78]
        }
    });
    let around = |turn: f32, reach: f32| {
        let (sin, cos) = (turn * TAU).sin_cos();
        (middle.0 + sin * reach * radius, middle.1 - cos * reach * radius)
    };
    for hour in 0..60 {
        let turn = hour as f32 / 60.0;
        let (from, width) = if hour % 5 == 0 { (0.80, 3.5) } else { (0.87, 1.2) };
        pixels.line(around(turn, from), around(turn, 0.91), width, [0.9, 0.92, 1.0]);
    }
    // Ten past ten is when clocks look best.
    let minutes = 10.0 + seconds / 60.0;
    pixels.line(middle, around((10.0 + minutes / 60.0) / 12.0, 0.50), 7.0, [0.95, 0.95, 1.0]);
    pixels.line(middle, around(minutes / 60.0, 0.74), 5.0, [0.95, 0.95, 1.0]);
    pixels.line(
        around(seconds / 60.0 + 0.5, 0.15),
        around(seconds / 60.0, 0.82),
        2.0,
        [1.0, 0.45, 0.3],
    );
    pixels.disc(middle, 6.0, [1.0, 0.45, 0.3]);
}

/// A planet among stars.
pub fn sky(pixels: &mut Pixels, seconds: f32) {
    let (width, height) = (pixels.width as f32, pixels.height as f32);
    pixels.each(|x, y| {
        let glow = (1.0 - ((x / width - 0.5).powi(2) + (y / height - 0.5).powi(2)) * 3.0).max(0.0);
        [0.05 + 0.08 * glow, 0.04 + 0.10 * glow, 0.12 + 0.25 * glow, 1.0]
    });
    for star in 0..70 {
        let (x, y) = ((star * 197 % 359) as f32, (star * 83 % 219) as f32);
        let shine = 0.4 + 0.5 * (seconds * 3.0 + star as f32).sin().abs();
        pixels.disc((x, y), 0.7, [shine, shine, shine]);
    }
    let middle = (width / 2.0, height / 2.0);
    for (radius, rgb) in [(46.0, [0.18, 0.38, 0.62]), (43.0, [0.24, 0.52, 0.78])] {
        pixels.disc(middle, radius, rgb);
    }
    for band in 0..5 {
        let y = middle.1 - 30.0 + 15.0 * band as f32;
        let reach = (43.0f32.powi(2) - (y - middle.1).powi(2)).sqrt() - 4.0;
        let shift = 6.0 * (seconds + band as f32 * 1.7).sin();
        let (left, right) = (middle.0 - reach * 0.6 + shift, middle.0 + reach * 0.5 + shift);
        pixels.line((left, y), (right.min(middle.0 + reach), y), 5.0, [0.42, 0.68, 0.86]);
    }
}

/// A subsurface around the planet.
pub fn moon(pixels: &mut Pixels, _: f32) {
    let middle = (pixels.width as f32 / 2.0, pixels.height as f32 / 2.0);
    pixels.each(|x, y| {
        let distance = (x - middle.0).hypot(y - middle.1);
        let glow = (1.0 - distance / middle.0).max(0.0);
        [1.0, 0.9, 0.6, 0.45 * glow]
    });
    pixels.disc(middle, 15.0, [0.98, 0.90, 0.70]);
    for (x, y, radius) in [(-5.0, -4.0, 3.5), (5.0, 3.0, 2.5), (-2.0, 7.0, 2.0)] {
        pixels.disc((middle.0 + x, middle.1 + y), radius, [0.86, 0.76, 0.55]);
    }
}

/// Where the moon is.
pub fn orbit(seconds: f32) -> (i32, i32) {
    let (sin, cos) = (0.6 + seconds * 1.4).sin_cos();
    (152 + (130.0 * cos) as i32, 82 + (70.0 * sin) as i32)
}

/// A page of text, with a cursor that blinks.
pub fn page(pixels: &mut Pixels, seconds: f32) {
    pixels.each(|_, y| {
        let light = 0.97 - 0.0002 * y;
        [light, light, light - 0.02, 1.0]
    });
    let lines = [
        "One state, one loop.",
        "",
        "Each callback gets",
        "&mut of it all; the",
        "loop keeps the rest.",
    ];
    for (row, line) in lines.iter().enumerate() {
        pixels.text((20.0, 18.0 + 24.0 * row as f32), line, [0.2, 0.22, 0.3]);
    }
    if seconds.fract() < 0.6 {
        pixels.line((22.0, 146.0), (22.0, 162.0), 2.0, [0.25, 0.4, 0.85]);
    }
}

/// A menu with rounded corners, its second item chosen.
pub fn menu(pixels: &mut Pixels, _: f32) {
    let (width, height) = (pixels.width as f32, pixels.height as f32);
    let outside = move |x: f32, y: f32, margin: f32| {
        let (dx, dy) = ((x - width / 2.0 + 0.5).abs(), (y - height / 2.0 + 0.5).abs());
        let (dx, dy) = (dx - width / 2.0 + margin + 8.0, dy - height / 2.0 + margin + 8.0);
        dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - 8.0
    };
    pixels.each(|x, y| {
        let cover = (0.5 - outside(x, y, 0.5)).clamp(0.0, 1.0);
        if outside(x, y, 1.5) > 0.0 { [0.45, 0.5, 0.65, cover] } else { [0.16, 0.17, 0.23, 0.94] }
    });
    pixels.line((14.0, 46.0), (width - 14.0, 46.0), 24.0, [0.30, 0.42, 0.80]);
    for (row, item) in ["insert_source", "insert_idle", "visit", "remove"].iter().enumerate() {
        pixels.text((18.0, 11.0 + 27.0 * row as f32), item, [0.92, 0.93, 0.97]);
    }
}
