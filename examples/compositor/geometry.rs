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
