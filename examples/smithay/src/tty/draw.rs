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
mod gl;
