//! What screens are drawn with: pixman into dumb buffers, or with feature `tty-gl` OpenGL into buffers of GBM's.

use smithay::backend::allocator::Fourcc;
use smithay::backend::drm::DrmDeviceFd;
use smithay::backend::drm::compositor::DrmCompositor;
use smithay::desktop::utils::OutputPresentationFeedback;

/// A screen's buffers, which the card shows one after the other. Each frame has with it who waits for it.
pub type Scanout = DrmCompositor<Allocator, Exporter, OutputPresentationFeedback, DrmDeviceFd>;
pub const FORMATS: [Fourcc; 2] = [Fourcc::Xrgb8888, Fourcc::Argb8888];

#[cfg(feature = "tty-gl")]
pub use gl::*;
#[cfg(not(feature = "tty-gl"))]
pub use pixman::*;

#[cfg(not(feature = "tty-gl"))]
mod pixman {
    use smithay::backend::allocator::dumb::DumbAllocator;
    use smithay::backend::drm::DrmDeviceFd;
    use smithay::backend::renderer::pixman::PixmanRenderer;
    use smithay::reexports::pixman::Image;

    use crate::Result;

    pub type Renderer = PixmanRenderer;
    pub type Allocator = DumbAllocator;
    pub type Exporter = DrmDeviceFd;
    /// What a picture is drawn on.
    pub type Canvas = Image<'static, 'static>;

    #[derive(Clone)]
    pub struct Card(DrmDeviceFd);

    impl Card {
        pub fn new(fd: DrmDeviceFd) -> Result<(Self, Renderer)> {
            Ok((Self(fd), PixmanRenderer::new()?))
        }

        pub fn allocator(&self) -> Allocator {
            DumbAllocator::new(self.0.clone())
        }

        pub fn exporter(&self) -> Exporter {
            self.0.clone()
        }
    }
}

#[cfg(feature = "tty-gl")]
mod gl {
    #![allow(unsafe_code, reason = "OpenGL is what the driver makes of it")]

    use smithay::backend::allocator::gbm::{GbmAllocator, GbmBufferFlags, GbmDevice};
    use smithay::backend::drm::DrmDeviceFd;
    use smithay::backend::drm::exporter::gbm::GbmFramebufferExporter;
    use smithay::backend::egl::{EGLContext, EGLDisplay};
    use smithay::backend::renderer::gles::{GlesRenderer, GlesTexture};

    use crate::Result;

    pub type Renderer = GlesRenderer;
    pub type Allocator = GbmAllocator<DrmDeviceFd>;
    pub type Exporter = GbmFramebufferExporter<DrmDeviceFd>;
    /// What a picture is drawn on.
    pub type Canvas = GlesTexture;

    #[derive(Clone)]
    pub struct Card(GbmDevice<DrmDeviceFd>);

    impl Card {
        pub fn new(fd: DrmDeviceFd) -> Result<(Self, Renderer)> {
            let gbm = GbmDevice::new(fd)?;
            // SAFETY: the device outlives the display, which has a copy of it.
            let display = unsafe { EGLDisplay::new(gbm.clone()) }?;
            let context = EGLContext::new(&display)?;
            // SAFETY: the context is of this thread, and nobody else's.
            let renderer = unsafe { GlesRenderer::new(context) }?;
            Ok((Self(gbm), renderer))
        }

        pub fn allocator(&self) -> Allocator {
            let flags = GbmBufferFlags::RENDERING | GbmBufferFlags::SCANOUT;
            GbmAllocator::new(self.0.clone(), flags)
        }

        pub fn exporter(&self) -> Exporter {
            GbmFramebufferExporter::new(self.0.clone(), None)
        }
    }
}
