//! Panels, backgrounds and what else is not a window: `wlr-layer-shell`.

use smithay::backend::renderer::utils::with_renderer_surface_state;
use smithay::delegate_layer_shell;
use smithay::desktop::{LayerSurface, PopupKind, WindowSurfaceType, layer_map_for_output};
use smithay::reexports::wayland_server::protocol::{wl_output::WlOutput, wl_surface::WlSurface};
use smithay::utils::{IsAlive, Logical, Point};
use smithay::wayland::compositor::with_states;
use smithay::wayland::shell::wlr_layer::{
    KeyboardInteractivity, Layer, LayerSurface as WlrLayerSurface, LayerSurfaceData,
    WlrLayerShellHandler, WlrLayerShellState,
};
use smithay::wayland::shell::xdg::PopupSurface;

use crate::focus::KeyboardFocus;
use crate::state::State;
use crate::{input, placing, windows};

impl WlrLayerShellHandler for State {
    fn shell_state(&mut self) -> &mut WlrLayerShellState {
        &mut self.globals.layer_shell
    }

    fn new_layer_surface(
        &mut self,
        surface: WlrLayerSurface,
        _: Option<WlOutput>,
        _: Layer,
        namespace: String,
    ) {
        let layer = LayerSurface::new(surface, namespace);
        let mapped = layer_map_for_output(&self.output).map_layer(&layer);
        if let Err(error) = mapped {
            eprintln!("compositor: a layer is refused: {error}");
        }
    }

    fn new_popup(&mut self, _: WlrLayerSurface, popup: PopupSurface) {
        // It is placed when it is committed.
        if let Err(error) = self.popups.track_popup(PopupKind::Xdg(popup)) {
            eprintln!("compositor: a popup is lost: {error}");
        }
    }

    fn layer_destroyed(&mut self, surface: WlrLayerSurface) {
        input::end_touches_on(self, surface.wl_surface());
        let mut layers = layer_map_for_output(&self.output);
        let layer = layers.layers().find(|layer| *layer.layer_surface() == surface).cloned();
        if let Some(layer) = layer {
            layers.unmap_layer(&layer);
        }
        drop(layers);
        self.layers.shown.retain(|layer| *layer.layer_surface() != surface);
        self.layers.hidden.retain(|layer| *layer.layer_surface() != surface);
        placing::refit(self);
        windows::lost(self);
    }
}

/// The layers by what they show. Those without content that never had any are in neither, but on the output's map, so
/// that they are told their size.
#[derive(Default)]
pub struct Layers {
    /// With content.
    shown: Vec<LayerSurface>,
    /// Those that had content and took it away: not on the map, until they ask for a size again.
    hidden: Vec<LayerSurface>,
}

impl Layers {
    pub fn is_hidden(&self, surface: &WlSurface) -> bool {
        self.hidden.iter().any(|layer| layer.wl_surface() == surface)
    }
}

/// A layer surface has been committed: the first time asks for its size, content shows it, none hides it.
pub fn committed(state: &mut State, surface: &WlSurface) {
    let Some(layer) = find(state, surface) else { return };
    let content = with_renderer_surface_state(surface, |surface| surface.buffer().is_some());
    let shown = state.layers.shown.contains(&layer);
    match (content.unwrap_or(false), shown) {
        (false, true) => return hide(state, layer),
        (false, false) => ask_for_size(state, &layer),
        (true, false) => state.layers.shown.push(layer.clone()),
        (true, true) => {}
    }
    layer_map_for_output(&state.output).arrange();
    placing::refit(state);
    let above = matches!(layer.layer(), Layer::Top | Layer::Overlay);
    match layer.cached_state().keyboard_interactivity {
        KeyboardInteractivity::Exclusive if exclusive(state) != focus(state) => {
            windows::focus_topmost(state);
        }
        // It is new. Later it has to be clicked.
        KeyboardInteractivity::OnDemand if above && content == Some(true) && !shown => {
            windows::set_keyboard_focus(state, Some(surface.clone().into()));
        }
        KeyboardInteractivity::None if has_keyboard(state, surface) => {
            windows::focus_topmost(state)
        }
        _ => {}
    }
}

fn find(state: &State, surface: &WlSurface) -> Option<LayerSurface> {
    let layers = layer_map_for_output(&state.output);
    let hidden = state.layers.hidden.iter();
    let on_map = layers.layer_for_surface(surface, WindowSurfaceType::TOPLEVEL);
    on_map.or_else(|| hidden.clone().find(|layer| layer.wl_surface() == surface)).cloned()
}

fn ask_for_size(state: &mut State, layer: &LayerSurface) {
    if state.layers.hidden.contains(layer) {
        state.layers.hidden.retain(|hidden| hidden != layer);
        if let Err(error) = layer_map_for_output(&state.output).map_layer(layer) {
            eprintln!("compositor: a layer is refused: {error}");
        }
    }
    layer_map_for_output(&state.output).arrange();
    let configured = with_states(layer.wl_surface(), |states| {
        let data = states.data_map.get::<LayerSurfaceData>();
        data.and_then(|data| data.lock().ok()).is_some_and(|data| data.initial_configure_sent)
    });
    if !configured {
        layer.layer_surface().send_configure();
    }
}

/// A layer has no content any more: it gives back what it had, and may begin anew.
fn hide(state: &mut State, layer: LayerSurface) {
    input::end_touches_on(state, layer.wl_surface());
    layer_map_for_output(&state.output).unmap_layer(&layer);
    with_states(layer.wl_surface(), |states| {
        if let Some(data) = states.data_map.get::<LayerSurfaceData>()
            && let Ok(mut data) = data.lock()
        {
            data.initial_configure_sent = false;
        }
    });
    state.layers.shown.retain(|shown| *shown != layer);
    state.layers.hidden.push(layer);
    placing::refit(state);
    windows::lost(state);
}

fn focus(state: &State) -> Option<KeyboardFocus> {
    state.seat.get_keyboard()?.current_focus()
}

fn has_keyboard(state: &State, surface: &WlSurface) -> bool {
    focus(state).is_some_and(|focus| WlSurface::from(focus) == *surface)
}

/// The layer that has the keyboard for itself, as a launcher does, if there is one.
pub fn exclusive(state: &State) -> Option<KeyboardFocus> {
    let layers = layer_map_for_output(&state.output);
    let above =
        [Layer::Overlay, Layer::Top].into_iter().flat_map(|layer| layers.layers_on(layer).rev());
    let mut exclusive = above.filter(|layer| {
        layer.cached_state().keyboard_interactivity == KeyboardInteractivity::Exclusive
    });
    let shown = exclusive.find(|layer| layer.alive() && state.layers.shown.contains(layer));
    shown.map(|layer| layer.wl_surface().clone().into())
}

/// The layer at a point, of those above all windows or of those below.
pub fn at(state: &State, point: Point<f64, Logical>, which: [Layer; 2]) -> Option<LayerSurface> {
    let layers = layer_map_for_output(&state.output);
    let layer = which.into_iter().find_map(|layer| layers.layer_under(layer, point).cloned());
    layer.filter(|layer| {
        let origin = layers.layer_geometry(layer).unwrap_or_default().loc.to_f64();
        layer.surface_under(point - origin, WindowSurfaceType::ALL).is_some()
    })
}

/// A layer is clicked: it gets the keyboard, if it wants it.
pub fn clicked(state: &mut State, layer: &LayerSurface) {
    let surface = layer.wl_surface();
    if layer.can_receive_keyboard_focus() && !has_keyboard(state, surface) {
        windows::set_keyboard_focus(state, Some(surface.clone().into()));
    }
}

delegate_layer_shell!(State);
