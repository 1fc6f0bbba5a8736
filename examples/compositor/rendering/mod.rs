//! Rendering: one output, repainted by a frame timer that runs only while something changes.
//!
//! The timer's deadlines lie on one grid of 60 Hz from the start on, without drift, as those of a display
//! would. When nothing is damaged and nobody waits for a frame, the timer is dropped and the next change
//! starts it again on the next line of that grid: a compositor in which nothing moves makes no system call.

pub mod canvas;
pub mod cursors;
pub mod decoration;
mod screenshot;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use soloop::{LoopData, LoopHandle, Priority, SourceOptions, TimeoutAction, Timer, Token};

use crate::geometry::{Damage, Rect};
use canvas::Canvas;
use screenshot::Encoder;
pub use screenshot::{Screenshot, ScreenshotId};

/// From frame to frame: 60 Hz.
pub const PERIOD: Duration = Duration::from_nanos(16_666_667);

/// What rendering needs of the state.
pub trait RenderHost: LoopData + AsMut<Rendering> {
    /// A frame is about to be painted.
    fn prepare_frame(&mut self);
    /// Paints everything there is in these areas, from the bottom up.
    fn paint(&mut self, canvas: &mut Canvas, areas: &[Rect]);
    /// Tells those who wait for it that a frame is on the output, and of when.
    fn frame_done(&mut self, milliseconds: u32, time: Instant);
    /// Whether anyone waits for a frame.
    fn awaits_frame(&mut self) -> bool;
    /// A screenshot is on the disk, or is not going to be.
    fn screenshot_done(&mut self, screenshot: Screenshot);
}

/// The output.
pub struct Rendering {
    canvas: Canvas,
    /// What is to be repainted.
    damage: Damage,
    /// The frame timer, while it runs.
    timer: Option<Token<Timer>>,
    /// Where the grid of deadlines starts.
    epoch: Instant,
    encoder: Encoder,
    stats: Stats,
}

#[derive(Default)]
struct Stats {
    frames: u64,
    unchanged: u64,
    skipped: u64,
    pixels: u64,
    painting: Duration,
    starts: u64,
    screenshots: u64,
}

impl Rendering {
    /// An output of this size, all of it damaged, with a worker thread for its screenshots.
    pub fn insert<D: RenderHost>(handle: &mut LoopHandle<D>, size: (i32, i32)) -> io::Result<Self> {
        let canvas = Canvas::new(size);
        let mut damage = Damage::default();
        damage.add(canvas.bounds());
        Ok(Self {
            damage,
            canvas,
            timer: None,
            epoch: handle.now(),
            encoder: Encoder::insert(handle)?,
            stats: Stats::default(),
        })
    }

    pub fn bounds(&self) -> Rect {
        self.canvas.bounds()
    }

    /// How many screenshots were asked for and are not done.
    pub fn pending_screenshots(&self) -> usize {
        self.encoder.pending()
    }

    /// Ends the worker, after what it still has to do.
    pub fn finish(&mut self) {
        self.encoder.finish();
    }

    pub fn stats(&self) -> String {
        let Stats { frames, unchanged, skipped, pixels, painting, starts, screenshots } =
            &self.stats;
        let mean = painting.checked_div(*frames as u32).unwrap_or_default();
        format!(
            "rendering: {frames} frames painted ({mean:.1?} and {} pixels each), {unchanged} unchanged, \
             {skipped} skipped, {screenshots} screenshots, {starts} starts, frame timer {}",
            pixels / frames.max(&1),
            if self.timer.is_some() { "on" } else { "off" },
        )
    }
}

/// Has a part of the output repainted with the next frame.
pub fn damage<D: RenderHost>(data: &mut D, area: Rect) {
    let rendering = data.as_mut();
    let area = area.intersection(&rendering.canvas.bounds());
    if !area.is_empty() {
        rendering.damage.add(area);
        schedule_frame(data);
    }
}

/// Has all of the output repainted with the next frame.
pub fn damage_all<D: RenderHost>(data: &mut D) {
    let bounds = data.as_mut().canvas.bounds();
    damage(data, bounds);
}

/// Starts the frame timer, unless it runs.
pub fn schedule_frame<D: RenderHost>(data: &mut D) {
    let now = data.loop_handle().now();
    let rendering = data.as_mut();
    if rendering.timer.is_some() {
        return;
    }
    rendering.stats.starts += 1;
    let timer = Timer::from_deadline(next_line(rendering.epoch, now));
    let options = SourceOptions::new().name("frame timer").priority(Priority::High);
    let handle = data.loop_handle();
    let inserted =
        handle.insert_source_with(options, timer, |deadline, data: &mut D| frame(deadline, data));
    match inserted {
        Ok(token) => data.as_mut().timer = Some(token),
        Err(error) => eprintln!("compositor: no frame timer: {error}"),
    }
}

/// The first line of the grid after `now`.
fn next_line(epoch: Instant, now: Instant) -> Instant {
    let periods = now.duration_since(epoch).as_nanos() / PERIOD.as_nanos() + 1;
    epoch + Duration::from_nanos((periods * PERIOD.as_nanos()) as u64)
}

/// One frame: the callback of the timer.
fn frame<D: RenderHost>(deadline: Instant, data: &mut D) -> TimeoutAction {
    data.prepare_frame();
    if data.as_mut().damage.is_empty() && !data.awaits_frame() {
        data.as_mut().timer = None;
        return TimeoutAction::Drop;
    }
    repaint(data);
    let epoch = data.as_mut().epoch;
    data.frame_done(deadline.duration_since(epoch).as_millis() as u32, deadline);
    let next = deadline + PERIOD;
    // Painting may take longer than a frame: go on with the next line that is still to come.
    let now = data.loop_handle().now();
    if next >= now {
        return TimeoutAction::ToInstant(next);
    }
    let later = next_line(epoch, now);
    data.as_mut().stats.skipped += (later - next).as_nanos().div_ceil(PERIOD.as_nanos()) as u64;
    TimeoutAction::ToInstant(later)
}

/// Brings the canvas up to date.
fn repaint<D: RenderHost>(data: &mut D) {
    let started = Instant::now();
    let rendering = data.as_mut();
    let damage = std::mem::take(&mut rendering.damage);
    if damage.is_empty() {
        rendering.stats.unchanged += 1;
        return;
    }
    let mut canvas = std::mem::take(&mut rendering.canvas);
    data.paint(&mut canvas, damage.rects());
    let pixels = |area: &Rect| area.width as u64 * area.height as u64;
    let pixels: u64 = damage.rects().iter().map(pixels).sum();
    let rendering = data.as_mut();
    rendering.canvas = canvas;
    rendering.stats.frames += 1;
    rendering.stats.pixels += pixels;
    rendering.stats.painting += started.elapsed();
}

/// Writes what the output shows, everything committed so far included, into a PNG file. The host hears
/// of the end of it.
pub fn take_screenshot<D: RenderHost>(data: &mut D, path: PathBuf) -> ScreenshotId {
    data.prepare_frame();
    repaint(data);
    let rendering = data.as_mut();
    rendering.stats.screenshots += 1;
    rendering.encoder.encode(rendering.canvas.image().clone(), path)
}
