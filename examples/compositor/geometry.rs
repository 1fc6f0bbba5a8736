//! The vocabulary the modules share: points, rectangles, images.

/// A position, in logical pixels of the output or of a surface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Point {
    pub x: i32,
    pub y: i32,
}

impl Point {
    pub fn new(x: i32, y: i32) -> Self {
        Self { x, y }
    }
}

impl std::ops::Add for Point {
    type Output = Self;

    /// Saturates: what clients ask for may be anywhere.
    fn add(self, other: Self) -> Self {
        Self::new(self.x.saturating_add(other.x), self.y.saturating_add(other.y))
    }
}

impl std::ops::Sub for Point {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::new(self.x.saturating_sub(other.x), self.y.saturating_sub(other.y))
    }
}

/// A rectangle; empty if a side is not positive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rect {
    pub x: i32,
    pub y: i32,
    pub width: i32,
    pub height: i32,
}

impl Rect {
    pub fn new(x: i32, y: i32, width: i32, height: i32) -> Self {
        Self { x, y, width, height }
    }

    pub fn at(origin: Point, (width, height): (i32, i32)) -> Self {
        Self::new(origin.x, origin.y, width, height)
    }

    pub fn right(&self) -> i32 {
        self.x.saturating_add(self.width)
    }

    pub fn bottom(&self) -> i32 {
        self.y.saturating_add(self.height)
    }

    pub fn origin(&self) -> Point {
        Point::new(self.x, self.y)
    }

    pub fn size(&self) -> (i32, i32) {
        (self.width, self.height)
    }

    pub fn is_empty(&self) -> bool {
        self.width <= 0 || self.height <= 0
    }

    pub fn contains(&self, point: Point) -> bool {
        (self.x..self.right()).contains(&point.x) && (self.y..self.bottom()).contains(&point.y)
    }

    /// What is in both; all zeros if that is nothing.
    pub fn intersection(&self, other: &Self) -> Self {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let width = self.right().min(other.right()).saturating_sub(x);
        let height = self.bottom().min(other.bottom()).saturating_sub(y);
        let both = Self::new(x, y, width, height);
        if both.is_empty() { Self::default() } else { both }
    }

    /// The smallest rectangle around both.
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let width = self.right().max(other.right()).saturating_sub(x);
        let height = self.bottom().max(other.bottom()).saturating_sub(y);
        Self::new(x, y, width, height)
    }

    /// Cuts it into squares of a grid.
    pub fn tiles(&self) -> impl Iterator<Item = Self> {
        const SIDE: i32 = 64;
        let all = *self;
        let starts = |from: i32, to: i32| (from.div_euclid(SIDE) * SIDE..to).step_by(SIDE as usize);
        let rows = starts(all.y, all.bottom());
        let corners = rows.flat_map(move |y| starts(all.x, all.right()).map(move |x| (x, y)));
        corners.map(move |(x, y)| Self::new(x, y, SIDE, SIDE).intersection(&all))
    }

    pub fn translated(&self, by: Point) -> Self {
        Self::at(self.origin() + by, self.size())
    }

    pub fn grown(&self, margin: i32) -> Self {
        Self::new(
            self.x.saturating_sub(margin),
            self.y.saturating_sub(margin),
            self.width.saturating_add(2 * margin),
            self.height.saturating_add(2 * margin),
        )
    }
}

/// A rectangle that may begin and end within pixels.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Area {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl From<Rect> for Area {
    fn from(Rect { x, y, width, height }: Rect) -> Self {
        let [x, y, width, height] = [x, y, width, height].map(f64::from);
        Self { x, y, width, height }
    }
}

impl Area {
    pub fn scaled(&self, by: f64) -> Self {
        let Self { x, y, width, height } = *self;
        Self { x: by * x, y: by * y, width: by * width, height: by * height }
    }

    /// What is under a part of it when it is stretched over a rectangle of `size`.
    pub fn part(&self, rect: Rect, size: (i32, i32)) -> Self {
        let (right, down) = (self.width / f64::from(size.0), self.height / f64::from(size.1));
        let part = Self::from(rect);
        Self {
            x: self.x + part.x * right,
            y: self.y + part.y * down,
            width: part.width * right,
            height: part.height * down,
        }
    }

    /// The pixels that it touches.
    pub fn rounded(&self) -> Rect {
        let (x, y) = (self.x.floor() as i32, self.y.floor() as i32);
        let right = (self.x + self.width).ceil() as i32;
        let bottom = (self.y + self.height).ceil() as i32;
        Rect::new(x, y, right.saturating_sub(x), bottom.saturating_sub(y))
    }
}

/// How the pixels of a buffer lie on its surface: which way they go, and from where.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Orientation {
    /// Its rows are the columns of the surface.
    pub swapped: bool,
    /// It counts from the right.
    pub from_right: bool,
    /// It counts from below.
    pub from_below: bool,
}

impl Orientation {
    /// The size of the surface for that of the buffer, or the other way round.
    pub fn size(self, (width, height): (i32, i32)) -> (i32, i32) {
        if self.swapped { (height, width) } else { (width, height) }
    }

    /// The pixel of a buffer of `size` that is a pixel of the surface.
    pub fn pixel(self, (x, y): (usize, usize), (width, height): (i32, i32)) -> (usize, usize) {
        let (x, y) = if self.swapped { (y, x) } else { (x, y) };
        (
            if self.from_right { width as usize - 1 - x } else { x },
            if self.from_below { height as usize - 1 - y } else { y },
        )
    }

    /// What of a buffer of `size` is a part of the surface.
    pub fn to_buffer(self, rect: Rect, size: (i32, i32)) -> Rect {
        let Rect { mut x, mut y, mut width, mut height } = rect;
        if self.swapped {
            (x, y, width, height) = (y, x, height, width);
        }
        self.turned(Rect { x, y, width, height }, size)
    }

    /// What of the surface is a part of a buffer of `size`.
    pub fn to_surface(self, rect: Rect, size: (i32, i32)) -> Rect {
        let Rect { x, y, width, height } = self.turned(rect, size);
        if self.swapped {
            return Rect { x: y, y: x, width: height, height: width };
        }
        Rect { x, y, width, height }
    }

    /// Counted from the other sides, as far as it is.
    fn turned(self, rect: Rect, (width, height): (i32, i32)) -> Rect {
        let x = if self.from_right { width.saturating_sub(rect.right()) } else { rect.x };
        let y = if self.from_below { height.saturating_sub(rect.bottom()) } else { rect.y };
        Rect { x, y, ..rect }
    }
}

/// What has changed: a few rectangles, which may overlap.
#[derive(Clone, Debug, Default)]
pub struct Damage(Vec<Rect>);

impl Damage {
    /// How many rectangles are kept apart.
    const MOST: usize = 16;

    pub fn add(&mut self, area: Rect) {
        if area.is_empty() || self.0.iter().any(|damaged| damaged.union(&area) == *damaged) {
            return;
        }
        self.0.retain(|damaged| damaged.union(&area) != area);
        self.0.push(area);
        if self.0.len() > Self::MOST {
            let all = self.0.drain(..).reduce(|one, other| one.union(&other));
            self.0.extend(all);
        }
    }

    pub fn extend(&mut self, other: &Self) {
        other.0.iter().for_each(|area| self.add(*area));
    }

    pub fn rects(&self) -> &[Rect] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Pixels of four bytes, blue first, alpha (premultiplied) last: `wl_shm`'s formats as they are in memory.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// In pixels.
    pub width: i32,
    /// In pixels.
    pub height: i32,
    /// From row to row, in bytes.
    pub stride: usize,
    /// The fourth byte means nothing.
    pub opaque: bool,
    /// `stride * height` of them.
    pub bytes: Vec<u8>,
}

impl Image {
    /// Gives it another size, with nothing in it; `false` if it has that size.
    pub fn resize(&mut self, (width, height): (i32, i32)) -> bool {
        if (width, height) == (self.width, self.height) {
            return false;
        }
        (self.width, self.height, self.stride) = (width, height, 4 * width as usize);
        self.bytes.clear();
        self.bytes.resize(self.stride * height as usize, 0);
        true
    }
}
