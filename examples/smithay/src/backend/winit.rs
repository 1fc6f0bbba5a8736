//! Drawing in a window of an X11 or Wayland session, with OpenGL, and the input that the window gets.
//!
//! Smithay's source of the window's events is one of calloop's; so it goes where those go.

use smithay::backend::input::{
    AbsolutePositionEvent, InputEvent, KeyState, KeyboardKeyEvent, PointerButtonEvent, TouchEvent,
};
use smithay::backend::renderer::gles::GlesRenderer;
use smithay::backend::winit::{self, WinitEvent, WinitEventLoop, WinitGraphicsBackend, WinitInput};
use smithay::input::pointer::CursorImageStatus;
use smithay::output::Mode;
use smithay::reexports::winit::dpi::PhysicalSize;
use smithay::reexports::winit::window::Window;
use smithay::utils::{Physical, Size};

use crate::backend::Backend;
use crate::state::State;
use crate::{Result, event_loop, frames, input, render};

pub struct Winit {
    pub window: WinitGraphicsBackend<GlesRenderer>,
}

impl Winit {
    /// Opens the window.
    ///
    /// # Errors
    ///
    /// There is no session to open it in, or no OpenGL.
    pub fn new((width, height): (i32, i32)) -> Result<(Self, WinitEventLoop)> {
        let attributes = Window::default_attributes()
            .with_inner_size(PhysicalSize::new(width as u32, height as u32))
            .with_title("soloop and Smithay");
        let (window, events) = winit::init_from_attributes(attributes)
            .map_err(|error| format!("no window to draw in: {error}"))?;
        Ok((Self { window }, events))
    }

    pub fn size(&self) -> Size<i32, Physical> {
        self.window.window_size()
    }

    /// That of a name is the session's; that of a client is drawn.
    pub fn show_cursor(&self, image: &CursorImageStatus) {
        let window = self.window.window();
        window.set_cursor_visible(matches!(image, CursorImageStatus::Named(_)));
        if let CursorImageStatus::Named(icon) = image {
            window.set_cursor(*icon);
        }
    }

    pub fn renderer(&mut self) -> &mut GlesRenderer {
        self.window.renderer()
    }
}

/// Listens to the window.
pub fn listen(state: &mut State, events: WinitEventLoop) -> Result<()> {
    event_loop::insert_foreign(&mut state.handle, events, |event, _, state| hear(state, event))
}

fn hear(state: &mut State, event: WinitEvent) {
    match event {
        WinitEvent::Resized { size, .. } => {
            let mode = Mode { size, refresh: 60_000 };
            state.output.change_current_state(Some(mode), None, None, None);
            state.output.set_preferred(mode);
            smithay::desktop::layer_map_for_output(&state.output).arrange();
            frames::schedule(state);
        }
        WinitEvent::Redraw => frames::schedule(state),
        WinitEvent::CloseRequested => event_loop::stop(&mut state.handle),
        WinitEvent::Input(event) => handle(state, event),
        WinitEvent::Focus(_) => {}
    }
}

fn handle(state: &mut State, event: InputEvent<WinitInput>) {
    let size = render::bounds(state).size;
    match event {
        InputEvent::Keyboard { event } => {
            // X11's numbers, here already.
            let code = event.key_code().raw().saturating_sub(8);
            input::key(state, code, event.state() == KeyState::Pressed);
        }
        InputEvent::PointerMotionAbsolute { event } => {
            input::move_pointer_to(state, event.position_transformed(size));
        }
        InputEvent::PointerButton { event } => {
            input::button(state, event.button_code(), event.state());
        }
        InputEvent::PointerAxis { event } => input::scroll::<WinitInput>(state, &event),
        InputEvent::TouchDown { event } => {
            input::touch_down(state, event.slot(), event.position_transformed(size));
        }
        InputEvent::TouchMotion { event } => {
            input::touch_motion(state, event.slot(), event.position_transformed(size));
        }
        InputEvent::TouchUp { event } => input::touch_up(state, event.slot()),
        _ => {}
    }
}

impl From<Winit> for Backend {
    fn from(winit: Winit) -> Self {
        Self::Winit(Box::new(winit))
    }
}
