//! Windows, as the space has them: Smithay's, and what it leaves out.
//!
//! Xwayland before 23.1 tells the window manager the *number* of the surface that belongs to a window. Smithay 0.7
//! passes that on (`X11Surface::wl_surface_id`), but its windows show surfaces only that have been found in the newer
//! way. So those found by number are kept here with the window, and drawn and pointed at from here.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use smithay::backend::renderer::element::surface::{
    WaylandSurfaceRenderElement, render_elements_from_surface_tree,
};
use smithay::backend::renderer::element::{AsRenderElements, Kind};
use smithay::backend::renderer::{ImportAll, Renderer, Texture};
use smithay::desktop::space::SpaceElement;
use smithay::desktop::utils::{send_frames_surface_tree, under_from_surface_tree};
use smithay::desktop::{self, WindowSurfaceType};
use smithay::output::Output;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{IsAlive, Logical, Physical, Point, Rectangle, Scale};
use smithay::wayland::seat::WaylandFocus;
use smithay::wayland::shell::xdg::ToplevelSurface;
#[cfg(feature = "xwayland")]
use smithay::xwayland::X11Surface;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window(desktop::Window);

/// The surface of a window that was found by number.
#[derive(Default)]
struct Numbered(Mutex<Option<WlSurface>>);

impl Window {
    pub fn new_wayland_window(toplevel: ToplevelSurface) -> Self {
        Self(desktop::Window::new_wayland_window(toplevel))
    }

    #[cfg(feature = "xwayland")]
    pub fn new_x11_window(window: X11Surface) -> Self {
        Self(desktop::Window::new_x11_window(window))
    }

    /// A surface belongs to this window, by its number.
    #[cfg(feature = "xwayland")]
    pub fn associate(&self, surface: WlSurface) {
        let data = self.0.user_data();
        data.insert_if_missing_threadsafe(Numbered::default);
        if let Some(Numbered(numbered)) = data.get::<Numbered>() {
            *numbered.lock().unwrap_or_else(PoisonError::into_inner) = Some(surface);
        }
    }

    fn numbered(&self) -> Option<WlSurface> {
        let Numbered(numbered) = self.0.user_data().get::<Numbered>()?;
        let surface = numbered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        surface.filter(IsAlive::alive)
    }

    pub fn wl_surface(&self) -> Option<Cow<'_, WlSurface>> {
        self.0.wl_surface().or_else(|| self.numbered().map(Cow::Owned))
    }

    /// What is at a point of the window: the surface, and where it is in it.
    pub fn surface_under(
        &self,
        point: Point<f64, Logical>,
        kind: WindowSurfaceType,
    ) -> Option<(WlSurface, Point<i32, Logical>)> {
        match self.numbered() {
            Some(surface) => under_from_surface_tree(&surface, point, (0, 0), kind),
            None => self.0.surface_under(point, kind),
        }
    }

    /// Tells those who wait for it that a frame is on the output.
    pub fn send_frame(&self, output: &Output, time: Duration) {
        match self.numbered() {
            Some(surface) => {
                send_frames_surface_tree(&surface, output, time, None, |_, _| Some(output.clone()));
            }
            None => self.0.send_frame(output, time, None, |_, _| Some(output.clone())),
        }
    }
}

impl Deref for Window {
    type Target = desktop::Window;

    fn deref(&self) -> &desktop::Window {
        &self.0
    }
}

impl IsAlive for Window {
    fn alive(&self) -> bool {
        self.0.alive()
    }
}

impl SpaceElement for Window {
    fn geometry(&self) -> Rectangle<i32, Logical> {
        SpaceElement::geometry(&self.0)
    }

    fn bbox(&self) -> Rectangle<i32, Logical> {
        SpaceElement::bbox(&self.0)
    }

    fn is_in_input_region(&self, point: &Point<f64, Logical>) -> bool {
        self.surface_under(*point, WindowSurfaceType::ALL).is_some()
    }

    fn z_index(&self) -> u8 {
        SpaceElement::z_index(&self.0)
    }

    fn set_activate(&self, activated: bool) {
        SpaceElement::set_activate(&self.0, activated);
    }

    fn output_enter(&self, output: &Output, overlap: Rectangle<i32, Logical>) {
        SpaceElement::output_enter(&self.0, output, overlap);
    }

    fn output_leave(&self, output: &Output) {
        SpaceElement::output_leave(&self.0, output);
    }

    fn refresh(&self) {
        SpaceElement::refresh(&self.0);
    }
}

impl<R> AsRenderElements<R> for Window
where
    R: Renderer + ImportAll,
    R::TextureId: Clone + Texture + 'static,
{
    type RenderElement = WaylandSurfaceRenderElement<R>;

    fn render_elements<C: From<Self::RenderElement>>(
        &self,
        renderer: &mut R,
        at: Point<i32, Physical>,
        scale: Scale<f64>,
        alpha: f32,
    ) -> Vec<C> {
        let Some(surface) = self.numbered() else {
            return AsRenderElements::<R>::render_elements(&self.0, renderer, at, scale, alpha);
        };
        render_elements_from_surface_tree(renderer, &surface, at, scale, alpha, Kind::Unspecified)
    }
}
