//! What is drawn on: memory, a window of another session, or the screens of a seat.

pub mod headless;
#[cfg(feature = "winit")]
pub mod winit;

use smithay::backend::allocator::Format;
use smithay::backend::allocator::dmabuf::Dmabuf;
use smithay::backend::renderer::ImportDma;
use smithay::input::keyboard::LedState;
use smithay::input::pointer::CursorImageStatus;
use smithay::utils::{Physical, Size, Transform};

use headless::Headless;

pub enum Backend {
    Headless(Headless),
    #[cfg(feature = "winit")]
    Winit(Box<winit::Winit>),
    #[cfg(feature = "tty")]
    Tty(Box<crate::tty::Tty>),
}

impl Backend {
    /// The name of its output.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Headless(_) => "headless",
            #[cfg(feature = "winit")]
            Self::Winit(_) => "winit",
            // Until there is a screen, each of which has a name.
            #[cfg(feature = "tty")]
            Self::Tty(_) => "none",
        }
    }

    pub fn size(&self) -> Size<i32, Physical> {
        match self {
            Self::Headless(headless) => headless.size(),
            #[cfg(feature = "winit")]
            Self::Winit(winit) => winit.size(),
            #[cfg(feature = "tty")]
            Self::Tty(tty) => tty.size().into(),
        }
    }

    /// How the output lies in memory: that of OpenGL starts at the bottom.
    pub fn transform(&self) -> Transform {
        match self {
            Self::Headless(_) => Transform::Normal,
            #[cfg(feature = "winit")]
            Self::Winit(_) => Transform::Flipped180,
            #[cfg(feature = "tty")]
            Self::Tty(_) => Transform::Normal,
        }
    }

    /// Shows a cursor of the session that the output is a window of. In memory there is none, and
    /// on a screen it is drawn.
    pub fn show_cursor(&self, image: &CursorImageStatus) {
        match (self, image) {
            (Self::Headless(_), _) => {}
            #[cfg(feature = "winit")]
            (Self::Winit(winit), image) => winit.show_cursor(image),
            #[cfg(feature = "tty")]
            (Self::Tty(_), _) => {}
        }
    }

    pub fn dmabuf_formats(&mut self) -> Vec<Format> {
        match self {
            Self::Headless(headless) => headless.renderer.dmabuf_formats().into_iter().collect(),
            #[cfg(feature = "winit")]
            Self::Winit(winit) => winit.renderer().dmabuf_formats().into_iter().collect(),
            #[cfg(feature = "tty")]
            Self::Tty(tty) => tty.card().map(|card| card.dmabuf_formats()).unwrap_or_default(),
        }
    }

    /// Whether a client's buffer can be drawn.
    pub fn can_import(&mut self, dmabuf: &Dmabuf) -> bool {
        match self {
            Self::Headless(headless) => headless.renderer.import_dmabuf(dmabuf, None).is_ok(),
            #[cfg(feature = "winit")]
            Self::Winit(winit) => winit.renderer().import_dmabuf(dmabuf, None).is_ok(),
            #[cfg(feature = "tty")]
            Self::Tty(tty) => {
                tty.card().is_some_and(|card| card.renderer.import_dmabuf(dmabuf, None).is_ok())
            }
        }
    }

    #[cfg(feature = "tty")]
    pub fn tty(&mut self) -> Option<&mut crate::tty::Tty> {
        match self {
            Self::Tty(tty) => Some(tty),
            _ => None,
        }
    }

    /// Whether outputs come and go by themselves.
    pub fn has_screens(&self) -> bool {
        match self {
            #[cfg(feature = "tty")]
            Self::Tty(_) => true,
            _ => false,
        }
    }

    /// Goes to another terminal, from one.
    pub fn change_vt(&mut self, _number: i32) {
        #[cfg(feature = "tty")]
        if let Self::Tty(tty) = self {
            tty.change_vt(_number);
        }
    }

    /// The lights of keyboards, as far as they are ours.
    pub fn set_leds(&mut self, _leds: LedState) {
        #[cfg(feature = "tty")]
        if let Self::Tty(tty) = self {
            tty.set_leds(_leds);
        }
    }

    /// Somebody has touched something; whether screens are to be turned on for that.
    pub fn touched(&mut self) -> bool {
        match self {
            #[cfg(feature = "tty")]
            Self::Tty(tty) => tty.touched(),
            _ => false,
        }
    }

    /// What has ended the compositor, if that is a failure.
    pub fn take_end(&mut self) -> Option<String> {
        match self {
            #[cfg(feature = "tty")]
            Self::Tty(tty) => tty.take_end(),
            _ => None,
        }
    }
}
