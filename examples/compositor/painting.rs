//! What is on the output: windows with their frames, popups and the pointer, painted from what the modules know.

use std::time::Instant;

use crate::control;
use crate::geometry::{Orientation, Rect};
use crate::protocol::scene::Layer;
use crate::rendering::canvas::Canvas;
use crate::rendering::cursors::{self, Picture};
use crate::rendering::decoration::{self, Frame};
use crate::rendering::{self, RenderHost, Screenshot};
use crate::session::announce;
use crate::state::{Purpose, State};

impl State {
    /// What the pointer looks like, where it is.
    pub fn cursor(&self) -> Option<Layer<'_>> {
        let at = self.input.pointer()?;
        let Some(shape) = self.protocol.cursor_shape() else { return self.protocol.cursor(at) };
        let Picture { image, hotspot } = cursors::picture(shape);
        let all = Rect::new(0, 0, image.width, image.height);
        let area = all.translated(at - *hotspot);
        let orientation = Orientation::default();
        Some(Layer { image, area, source: all.into(), orientation, opaque: Rect::default() })
    }
}

/// What is painted, from the bottom up.
enum Item<'a> {
    Frame(Frame<'a>),
    Layer(Layer<'a>),
}

impl Item<'_> {
    fn extent(&self) -> Rect {
        match self {
            Self::Frame(frame) => decoration::extent(frame.window),
            Self::Layer(layer) => layer.area,
        }
    }

    /// Whether nothing below can be seen in an area.
    fn hides(&self, area: Rect) -> bool {
        matches!(self, Self::Layer(layer) if layer.opaque.intersection(&area) == area)
    }

    fn draw(&self, canvas: &mut Canvas) {
        match self {
            Self::Frame(frame) => frame.draw(canvas),
            Self::Layer(Layer { image, area, source, orientation, .. }) => {
                canvas.draw(image, *area, *source, *orientation);
            }
        }
    }
}

/// Cuts areas into parts, each with the lowest item that can be seen there; `None` is the background. Most of most
/// windows is hidden. Of neighbours with the same one is made one.
fn visible_parts(areas: &[Rect], items: &[Item<'_>]) -> Vec<(Rect, Option<usize>)> {
    /// How far back a part is looked for that goes on with this one.
    const NEAR: usize = 32;
    let mut parts: Vec<(Rect, Option<usize>)> = Vec::new();
    for area in areas {
        let first = parts.len();
        for tile in area.tiles() {
            let lowest = items.iter().rposition(|item| item.hides(tile));
            match parts[first..].last_mut() {
                Some((part, same)) if *same == lowest && part.y == tile.y => {
                    part.width += tile.width;
                }
                _ => parts.push((tile, lowest)),
            }
        }
        // The same below one another.
        let mut index = first;
        while index < parts.len() {
            let (part, lowest) = parts[index];
            let near = first.max(index.saturating_sub(NEAR))..index;
            let above = parts[near].iter_mut().find(|(above, same)| {
                *same == lowest
                    && above.bottom() == part.y
                    && (above.x, above.width) == (part.x, part.width)
            });
            match above {
                Some((above, _)) => {
                    above.height += part.height;
                    parts.remove(index);
                }
                None => index += 1,
            }
        }
    }
    parts
}

impl RenderHost for State {
    fn prepare_frame(&mut self) {
        self.protocol.prepare_frame();
    }

    fn paint(&mut self, canvas: &mut Canvas, areas: &[Rect]) {
        let mut items = Vec::new();
        for window in self.protocol.windows() {
            let layers = self.protocol.layers(window.key);
            if !window.frameless {
                let active = self.active == Some(window.key);
                items.push(Item::Frame(Frame { window: window.rect, title: window.title, active }));
            }
            items.extend(layers.into_iter().map(Item::Layer));
        }
        for surface in self.protocol.popups().chain(self.protocol.drag_icon()) {
            items.extend(self.protocol.layers(surface).into_iter().map(Item::Layer));
        }
        items.extend(self.cursor().map(Item::Layer));
        let all = canvas.bounds();
        for (area, lowest) in visible_parts(areas, &items) {
            canvas.set_clip(area);
            if lowest.is_none() {
                canvas.draw(&self.background, all, all.into(), Orientation::default());
            }
            let visible = items[lowest.unwrap_or(0)..].iter();
            visible
                .filter(|item| !item.extent().intersection(&area).is_empty())
                .for_each(|item| item.draw(canvas));
        }
    }

    fn frame_done(&mut self, milliseconds: u32, time: Instant) {
        let ago = self.handle.now().saturating_duration_since(time);
        self.protocol.presented(ago, rendering::PERIOD);
        for callback in self.protocol.take_frame_callbacks() {
            callback.done(milliseconds);
        }
    }

    fn awaits_frame(&mut self) -> bool {
        self.protocol.awaits_frame()
    }

    fn screenshot_done(&mut self, screenshot: Screenshot) {
        let Screenshot { id, path, size: (width, height), result } = screenshot;
        let result = match result {
            Ok(()) => Ok(format!("{} {width}x{height}", path.display())),
            Err(error) => Err(format!("{} can't be written: {error}", path.display())),
        };
        match (self.screenshots.remove(&id), result) {
            (Some(Purpose::Reply(reply_to)), result) => {
                control::answer(self, reply_to, Vec::new(), result);
            }
            (_, Ok(word)) => announce(&format!("compositor: wrote {word}")),
            (_, Err(message)) => eprintln!("compositor: {message}"),
        }
        if self.ending {
            self.end();
        }
    }
}
