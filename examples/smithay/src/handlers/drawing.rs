//! What clients are told for their drawing, and draw with: `fractional-scale`, `presentation-time`,
//! `single-pixel-buffer`.

use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::compositor::with_states;
use smithay::wayland::fractional_scale::{FractionalScaleHandler, with_fractional_scale};
use smithay::{delegate_fractional_scale, delegate_presentation, delegate_single_pixel_buffer};

use crate::state::State;

impl FractionalScaleHandler for State {
    fn new_fractional_scale(&mut self, surface: WlSurface) {
        // A window comes to the main output first.
        let scale = self.output.current_scale().fractional_scale();
        with_states(&surface, |states| {
            with_fractional_scale(states, |preferred| preferred.set_preferred_scale(scale));
        });
    }
}

delegate_fractional_scale!(State);
delegate_presentation!(State);
delegate_single_pixel_buffer!(State);
