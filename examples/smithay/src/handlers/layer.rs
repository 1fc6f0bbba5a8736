//! Panels, backgrounds and what else is not a window: `wlr-layer-shell`.

use smithay::delegate_layer_shell;
use smithay::desktop::{LayerSurface, PopupKind, WindowSurfaceType, layer_map_for_output};
use smithay::reexports::wayland_server::protocol::{wl_output::WlOutput, wl_surface::WlSurface};
use smithay::utils::IsAlive;
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
        placing::refit(self);
        windows::lost(self);
    }
}

/// A layer surface has been committed: the first time asks for its size.
pub fn committed(state: &mut State, surface: &WlSurface) {
    let mut layers = layer_map_for_output(&state.output);
    let Some(layer) = layers.layer_for_surface(surface, WindowSurfaceType::TOPLEVEL).cloned()
    else {
        return;
    };
    layers.arrange();
    let configured = with_states(surface, |states| {
        let data = states.data_map.get::<LayerSurfaceData>();
        data.and_then(|data| data.lock().ok()).is_some_and(|data| data.initial_configure_sent)
    });
    if !configured {
        layer.layer_surface().send_configure();
    }
    drop(layers);
    placing::refit(state);
    let above = matches!(layer.layer(), Layer::Top | Layer::Overlay);
    if above && layer.can_receive_keyboard_focus() {
        windows::set_keyboard_focus(state, Some(KeyboardFocus::from(surface.clone())));
    } else if has_keyboard(state, surface) {
        windows::focus_topmost(state);
    }
}

fn has_keyboard(state: &State, surface: &WlSurface) -> bool {
    let focus = state.seat.get_keyboard().and_then(|keyboard| keyboard.current_focus());
    focus.is_some_and(|focus| WlSurface::from(focus) == *surface)
}

/// The layer that has the keyboard for itself, as a lock screen does, if there is one.
pub fn exclusive(state: &State) -> Option<KeyboardFocus> {
    let layers = layer_map_for_output(&state.output);
    let above =
        [Layer::Overlay, Layer::Top].into_iter().flat_map(|layer| layers.layers_on(layer).rev());
    let mut exclusive = above.filter(|layer| {
        layer.cached_state().keyboard_interactivity == KeyboardInteractivity::Exclusive
    });
    exclusive.find(|layer| layer.alive()).map(|layer| layer.wl_surface().clone().into())
}

delegate_layer_shell!(State);
