//! What is drawn on: memory, or a window of another session.

pub mod headless;
#[cfg(feature = "winit")]
pub mod winit;

use smithay::backend::allocator::Format;
use smithay::backend::allocator::dmabuf::Dmabuf;
use smithay::backend::renderer::ImportDma;
use smithay::input::pointer::CursorImageStatus;
use smithay::utils::{Physical, Size, Transform};

use headless::Headless;

pub enum Backend {
    Headless(Headless),
    #[cfg(feature = "winit")]
    Winit(Box<winit::Winit>),
}

impl Backend {
    /// The name of its output.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Headless(_) => "headless",
            #[cfg(feature = "winit")]
            Self::Winit(_) => "winit",
        }
    }

    pub fn size(&self) -> Size<i32, Physical> {
        match self {
            Self::Headless(headless) => headless.size(),
            #[cfg(feature = "winit")]
            Self::Winit(winit) => winit.size(),
        }
    }

    /// How the output lies in memory: that of OpenGL starts at the bottom.
    pub fn transform(&self) -> Transform {
        match self {
            Self::Headless(_) => Transform::Normal,
            #[cfg(feature = "winit")]
            Self::Winit(_) => Transform::Flipped180,
        }
    }

    /// Shows a cursor of the session that the output is a window of. In memory there is none.
    pub fn show_cursor(&self, image: &CursorImageStatus) {
        match (self, image) {
            (Self::Headless(_), _) => {}
            #[cfg(feature = "winit")]
            (Self::Winit(winit), image) => winit.show_cursor(image),
        }
    }

    pub fn dmabuf_formats(&mut self) -> Vec<Format> {
        match self {
            Self::Headless(headless) => headless.renderer.dmabuf_formats().into_iter().collect(),
            #[cfg(feature = "winit")]
            Self::Winit(winit) => winit.renderer().dmabuf_formats().into_iter().collect(),
        }
    }

    /// Whether a client's buffer can be drawn.
    pub fn can_import(&mut self, dmabuf: &Dmabuf) -> bool {
        match self {
            Self::Headless(headless) => headless.renderer.import_dmabuf(dmabuf, None).is_ok(),
            #[cfg(feature = "winit")]
            Self::Winit(winit) => winit.renderer().import_dmabuf(dmabuf, None).is_ok(),
        }
    }
}
