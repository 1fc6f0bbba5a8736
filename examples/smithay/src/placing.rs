//! Where windows go: new ones, those side by side, and those that fill what panels leave.

use smithay::reexports::wayland_protocols::xdg::shell::server::xdg_toplevel;
use smithay::utils::{Logical, Point, Rectangle, Size};

use crate::element::Window;
use crate::frames;
use crate::state::State;
use crate::windows::{self, set_size, work_area};

/// How far apart windows are, and how far one is from that which it covers, in pixels.
const GAP: i32 = 16;

/// Arranges the windows side by side.
pub fn tile(state: &mut State) {
    let windows: Vec<Window> = state.space.elements().cloned().collect();
    let area = work_area(state);
    let columns = (1..).find(|columns| columns * columns >= windows.len()).unwrap_or(1) as i32;
    let rows = (windows.len() as i32 + columns - 1) / columns.max(1);
    for (index, window) in windows.into_iter().enumerate() {
        let (column, row) = (index as i32 % columns, index as i32 / columns);
        let size =
            Size::from(((area.size.w - GAP) / columns - GAP, (area.size.h - GAP) / rows - GAP));
        let origin =
            area.loc + Point::from((GAP + column * (size.w + GAP), GAP + row * (size.h + GAP)));
        set_size(&window, Some(Rectangle::new(origin, size)));
        if let Some(toplevel) = window.toplevel() {
            toplevel.send_pending_configure();
        }
        windows::relocate(state, &window, origin);
    }
    frames::schedule(state);
}

/// Where a new window goes: where it covers no other, else a little off those that are there.
pub fn place_new(state: &mut State, window: &Window) -> Point<i32, Logical> {
    let area = work_area(state);
    if let Some(toplevel) = window.toplevel() {
        let states = toplevel.current_state().states;
        if states.contains(xdg_toplevel::State::Fullscreen) {
            return (0, 0).into();
        }
        if states.contains(xdg_toplevel::State::Maximized) {
            return area.loc;
        }
    }
    let size = window.geometry().size;
    let others: Vec<Rectangle<i32, Logical>> =
        state.space.elements().filter_map(|other| state.space.element_geometry(other)).collect();
    free_place(area, size, &others)
}

fn free_place(
    area: Rectangle<i32, Logical>,
    size: Size<i32, Logical>,
    others: &[Rectangle<i32, Logical>],
) -> Point<i32, Logical> {
    let right = area.loc.x + area.size.w - size.w;
    let bottom = area.loc.y + area.size.h - size.h;
    let step = GAP as usize;
    for y in (area.loc.y + GAP..=bottom).step_by(step) {
        for x in (area.loc.x + GAP..=right).step_by(step) {
            let rect = Rectangle::new(Point::from((x, y)), size);
            if !others.iter().any(|other| other.overlaps(rect)) {
                return rect.loc;
            }
        }
    }
    let steps = others.len() as i32 % 12;
    area.loc + Point::from((GAP * (2 + steps), GAP * (2 + steps)))
}

/// Panels have come, gone or changed: the windows that fill what they leave do so again.
pub fn refit(state: &mut State) {
    let area = work_area(state);
    let filling = |window: &&Window| {
        window.toplevel().is_some_and(|toplevel| {
            toplevel.with_pending_state(|pending| {
                pending.states.contains(xdg_toplevel::State::Maximized)
                    && pending.size != Some(area.size)
            })
        })
    };
    let windows: Vec<Window> = state.space.elements().filter(filling).cloned().collect();
    for window in windows {
        set_size(&window, Some(area));
        if let Some(toplevel) = window.toplevel() {
            toplevel.send_pending_configure();
        }
        windows::relocate(state, &window, area.loc);
    }
}
