//! Where windows are, which is on top, and which has the keyboard.

use std::collections::HashMap;

use smithay::backend::renderer::utils::with_renderer_surface_state;
use smithay::desktop::{WindowSurfaceType, layer_map_for_output};
use smithay::reexports::wayland_protocols::xdg::shell::server::xdg_toplevel;
use smithay::reexports::wayland_server::Resource;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{IsAlive, Logical, Point, Rectangle, SERIAL_COUNTER, Size};
use smithay::wayland::compositor::with_states;
use smithay::wayland::foreign_toplevel_list::ForeignToplevelHandle;
use smithay::wayland::shell::wlr_layer::Layer;
use smithay::wayland::shell::xdg::{SurfaceCachedState, ToplevelSurface, XdgToplevelSurfaceData};

use crate::element::Window;
use crate::focus::KeyboardFocus;
use crate::grabs::Resizing;
use crate::handlers::compositor::root;
use crate::handlers::shell::set_state;
use crate::handlers::{layer, popups, toplevels};
use crate::state::State;
use crate::{connection, frames, input, placing, render};

/// What there is to know of windows besides where the space has them.
#[derive(Default)]
pub struct Windows {
    /// Those without content.
    unmapped: Vec<Window>,
    /// Where those of them were that had some.
    places: HashMap<Window, Point<i32, Logical>>,
    /// Where those were that are maximized or fullscreen.
    floating: HashMap<Window, Rectangle<i32, Logical>>,
    /// Those that are shown, as others list them.
    pub listed: HashMap<Window, ForeignToplevelHandle>,
    /// Those whose clients wait to hear who draws their title bars.
    pub undecorated: Vec<ToplevelSurface>,
    /// That which somebody resizes.
    pub resizing: Option<Resizing>,
    /// Something has gone that may have had the keyboard or the pointer.
    gone: bool,
}

/// How a window is placed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Placement {
    Floating,
    Maximized,
    Fullscreen,
}

impl State {
    /// The window that has this surface for its own.
    pub fn window_of(&self, surface: &WlSurface) -> Option<Window> {
        let windows = self.space.elements().chain(&self.windows.unmapped);
        windows.into_iter().find(|window| window.wl_surface().as_deref() == Some(surface)).cloned()
    }

    /// Where the window, or the layer, with this surface is on the output.
    pub fn origin_of(&self, surface: &WlSurface) -> Option<Point<i32, Logical>> {
        if let Some(window) = self.window_of(surface) {
            return self.space.element_location(&window);
        }
        let layers = layer_map_for_output(&self.output);
        let layer = layers.layer_for_surface(surface, WindowSurfaceType::TOPLEVEL)?;
        Some(layers.layer_geometry(layer)?.loc)
    }

    /// What is at a point of the output: the surface, and where it is.
    pub fn surface_under(
        &self,
        at: Point<f64, Logical>,
    ) -> Option<(WlSurface, Point<f64, Logical>)> {
        if self.lock.is_locked() {
            return self.lock.surface_under(at);
        }
        let layers = layer_map_for_output(&self.output);
        let on_layer = |layer| {
            let layer = layers.layer_under(layer, at)?;
            let origin = layers.layer_geometry(layer)?.loc;
            let (surface, inside) =
                layer.surface_under(at - origin.to_f64(), WindowSurfaceType::ALL)?;
            Some((surface, (origin + inside).to_f64()))
        };
        let in_window = || {
            let (window, origin) = self.space.element_under(at)?;
            let (surface, inside) =
                window.surface_under(at - origin.to_f64(), WindowSurfaceType::ALL)?;
            Some((surface, (origin + inside).to_f64()))
        };
        on_layer(Layer::Overlay)
            .or_else(|| on_layer(Layer::Top))
            .or_else(in_window)
            .or_else(|| on_layer(Layer::Bottom))
            .or_else(|| on_layer(Layer::Background))
    }

    /// The window with the keyboard.
    pub fn active_window(&self) -> Option<Window> {
        let focus = self.seat.get_keyboard()?.current_focus()?;
        self.window_of(&WlSurface::from(focus))
    }
}

/// The part of the output that panels leave to windows.
pub fn work_area(state: &State) -> Rectangle<i32, Logical> {
    layer_map_for_output(&state.output).non_exclusive_zone()
}

/// A client makes a window, which has no content yet.
pub fn add(state: &mut State, window: Window) {
    state.windows.unmapped.push(window);
}

/// A client has done away with a window.
pub fn remove(state: &mut State, window: &Window) {
    state.windows.unmapped.retain(|unmapped| unmapped != window);
    state.windows.floating.remove(window);
    state.windows.places.remove(window);
    hide(state, window);
}

/// Does away with the windows of clients that are gone. Of those that died of something sent to them, libwayland's
/// backend tells a millisecond later, object by object.
pub fn remove_orphans(state: &mut State) {
    let orphan = |window: &&Window| {
        window.toplevel().is_some_and(|toplevel| !toplevel.wl_surface().is_alive())
    };
    let orphans: Vec<Window> = state.space.elements().filter(orphan).cloned().collect();
    for window in &orphans {
        remove(state, window);
    }
}

/// A surface of a window, or of one of its subsurfaces, has been committed.
///
/// The space knows a window by the corner of its geometry. That of a client which sets none is all of its
/// surfaces: one that reaches out to the left or to the top is not to push the others.
pub fn commit(state: &mut State, window: &Window) {
    let before = window.bbox().loc;
    window.on_commit();
    let moved = window.bbox().loc - before;
    if moved == Point::default()
        || state.windows.floating.contains_key(window)
        || sets_geometry(window)
    {
        return;
    }
    if let Some(at) = state.space.element_location(window) {
        relocate(state, window, at + moved);
    }
}

/// Whether the pointer is over a window, or was when it was last told.
pub fn concerns_pointer(state: &State, window: &Window, surface: &WlSurface) -> bool {
    let over = state.space.element_bbox(window);
    let over = over.is_some_and(|over| over.to_f64().contains(state.pointer_location()));
    let target = state.pointer_target.as_ref();
    over || target.is_some_and(|(target, _)| target.alive() && root(target) == *surface)
}

fn sets_geometry(window: &Window) -> bool {
    let Some(surface) = window.wl_surface() else { return false };
    with_states(&surface, |states| {
        states.cached_state.get::<SurfaceCachedState>().current().geometry.is_some()
    })
}

/// A window of Wayland's has been committed, perhaps with content, perhaps without.
pub fn committed(state: &mut State, window: &Window) {
    let Some(surface) = window.wl_surface() else { return };
    let content = with_renderer_surface_state(&surface, |surface| surface.buffer().is_some());
    let mapped = state.space.element_location(window).is_some();
    match (content.unwrap_or(false), mapped) {
        (true, false) => {
            let before = state.windows.places.remove(window);
            let origin = before.unwrap_or_else(|| placing::place_new(state, window));
            show(state, window, origin);
        }
        (false, true) => {
            let place = state.space.element_location(window).unwrap_or_default();
            state.windows.places.insert(window.clone(), place);
            hide(state, window);
            state.windows.unmapped.push(window.clone());
        }
        (true, true) => Resizing::follow(state, window),
        (false, false) => {}
    }
}

/// Puts a window on top, at a place, and gives it the keyboard.
pub fn show(state: &mut State, window: &Window, origin: Point<i32, Logical>) {
    state.windows.unmapped.retain(|unmapped| unmapped != window);
    popups::dismiss(state);
    state.space.map_element(window.clone(), origin, false);
    if !state.windows.listed.contains_key(window) {
        let handle = toplevels::shown(state, window);
        state.windows.listed.insert(window.clone(), handle);
    }
    activate(state, window);
    input::refocus_pointer(state);
}

/// Puts a window elsewhere, as high as it is: the space would have it on top of those that it is below.
pub fn relocate(state: &mut State, window: &Window, origin: Point<i32, Logical>) {
    let above = state.space.elements().skip_while(|other| *other != window).skip(1);
    let above: Vec<Window> = above.cloned().collect();
    state.space.map_element(window.clone(), origin, false);
    for other in &above {
        state.space.raise_element(other, false);
    }
}

/// Takes a window off the output.
pub fn hide(state: &mut State, window: &Window) {
    state.space.unmap_elem(window);
    if let Some(handle) = state.windows.listed.remove(window) {
        toplevels::hidden(state, &handle);
    }
    lost(state);
}

/// Something has gone, perhaps together with its client, to which nothing can be sent any more: who has the
/// keyboard and the pointer now is found out when the round is over.
pub fn lost(state: &mut State) {
    state.windows.gone = true;
    frames::schedule(state);
}

/// After each round: the window on top gets a keyboard that nobody has, and what is under the pointer gets
/// that.
pub fn settle_focus(state: &mut State) {
    if std::mem::take(&mut state.windows.gone) {
        settle_keyboard(state);
        input::refocus_pointer(state);
    }
}

fn settle_keyboard(state: &mut State) {
    let keyboard = state.seat.get_keyboard();
    let focus = keyboard.and_then(|keyboard| keyboard.current_focus());
    let surface = focus.clone().map(WlSurface::from);
    let window = surface.as_ref().and_then(|surface| state.window_of(surface));
    let mapped = window.is_none_or(|window| state.space.element_location(&window).is_some());
    let hidden = surface.is_some_and(|surface| state.layers.is_hidden(&surface));
    if !(mapped && !hidden && focus.is_some_and(|focus| focus.alive())) {
        focus_topmost(state);
    }
}

/// Raises a window and gives it the keyboard.
pub fn activate(state: &mut State, window: &Window) {
    state.space.raise_element(window, false);
    #[cfg(feature = "xwayland")]
    crate::xwayland::raise(state, window);
    set_keyboard_focus(state, KeyboardFocus::of(window));
}

/// Gives the keyboard to the window on top.
pub fn focus_topmost(state: &mut State) {
    let windows = state.space.elements().rev();
    let focus = windows.filter(|window| window.alive()).find_map(KeyboardFocus::of);
    set_keyboard_focus(state, focus);
}

/// Gives the keyboard to one who may have it: a layer that wants it for itself comes first. While the session is
/// locked, that is its lock surface.
pub fn set_keyboard_focus(state: &mut State, focus: Option<KeyboardFocus>) {
    let focus =
        if state.lock.is_locked() { state.lock.focus() } else { layer::exclusive(state).or(focus) };
    let surface = focus.clone().map(WlSurface::from);
    for window in state.space.elements() {
        let active = surface.is_some() && window.wl_surface().as_deref() == surface.as_ref();
        if window.set_activated(active)
            && let Some(toplevel) = window.toplevel()
        {
            toplevel.send_pending_configure();
        }
    }
    if let Some(keyboard) = state.seat.get_keyboard() {
        keyboard.set_focus(state, focus, SERIAL_COUNTER.next_serial());
    }
    frames::schedule(state);
}

/// Goes round the windows: that at the bottom comes up.
pub fn next(state: &mut State) {
    let bottom = state.space.elements().next().cloned();
    if let Some(window) = bottom {
        activate(state, &window);
    }
}

pub fn close_active(state: &State) {
    let Some(window) = state.active_window() else { return };
    if let Some(toplevel) = window.toplevel() {
        toplevel.send_close();
    }
    #[cfg(feature = "xwayland")]
    if let Some(window) = window.x11_surface()
        && let Err(error) = window.close()
    {
        eprintln!("compositor: an X11 window is not closed: {error}");
    }
}

/// The client of a window wants it to fill the output, or not to.
pub fn place(state: &mut State, toplevel: &ToplevelSurface, placement: Placement) {
    let Some(window) = state.window_of(toplevel.wl_surface()) else { return };
    set_state(toplevel, xdg_toplevel::State::Maximized, placement == Placement::Maximized);
    set_state(toplevel, xdg_toplevel::State::Fullscreen, placement == Placement::Fullscreen);
    place_window(state, &window, placement);
    // Before the first configure, that tells it.
    if toplevel.is_initial_configure_sent() {
        toplevel.send_configure();
    }
}

/// Where a window goes that is placed anew.
pub fn place_window(state: &mut State, window: &Window, placement: Placement) {
    let current = state.space.element_geometry(window);
    let rect = match placement {
        Placement::Floating => state.windows.floating.remove(window),
        Placement::Maximized | Placement::Fullscreen => {
            if let Some(current) = current {
                state.windows.floating.entry(window.clone()).or_insert(current);
            }
            let all = placement == Placement::Fullscreen;
            Some(if all { render::bounds(state) } else { work_area(state) })
        }
    };
    set_size(window, rect);
    if let (Some(rect), Some(_)) = (rect, current) {
        relocate(state, window, rect.loc);
    }
    frames::schedule(state);
}

/// A maximized window that somebody moves shrinks.
pub fn restore_for_move(state: &mut State, window: &Window) {
    if let Some(toplevel) = window.toplevel()
        && state.windows.floating.contains_key(window)
    {
        place(state, toplevel, Placement::Floating);
    }
}

/// Asks for a size, or leaves it to the client.
pub fn set_size(window: &Window, rect: Option<Rectangle<i32, Logical>>) {
    if let Some(toplevel) = window.toplevel() {
        toplevel.with_pending_state(|pending| pending.size = rect.map(|rect| rect.size));
    }
    #[cfg(feature = "xwayland")]
    if let (Some(window), Some(rect)) = (window.x11_surface(), rect)
        && let Err(error) = window.configure(rect)
    {
        eprintln!("compositor: an X11 window keeps its size: {error}");
    }
}

/// A line for each window on the output, from the bottom up.
pub fn list(state: &State) -> Vec<String> {
    let active = state.active_window();
    let line = |(index, window): (usize, &Window)| {
        let geometry = state.space.element_geometry(window).unwrap_or_default();
        let (Point { x, y, .. }, Size { w, h, .. }) = (geometry.loc, geometry.size);
        let mark = if active.as_ref() == Some(window) { "active " } else { "" };
        let (app_id, title) = names(window);
        let pid = pid(state, window);
        format!("window {index} pid={pid} {x} {y} {w}x{h} {mark}app_id={app_id:?} title={title:?}")
    };
    state.space.elements().enumerate().map(line).collect()
}

fn pid(state: &State, window: &Window) -> i32 {
    #[cfg(feature = "xwayland")]
    if let Some(window) = window.x11_surface() {
        return window.pid().unwrap_or_default() as i32;
    }
    window.wl_surface().map_or(0, |surface| connection::pid(state, surface.as_ref()))
}

/// The app id and the title.
pub fn names(window: &Window) -> (String, String) {
    #[cfg(feature = "xwayland")]
    if let Some(window) = window.x11_surface() {
        return (window.class(), window.title());
    }
    let Some(surface) = window.wl_surface() else { return Default::default() };
    with_states(&surface, |states| {
        let data = states.data_map.get::<XdgToplevelSurfaceData>();
        let Some(data) = data.and_then(|data| data.lock().ok()) else { return Default::default() };
        (data.app_id.clone().unwrap_or_default(), data.title.clone().unwrap_or_default())
    })
}
