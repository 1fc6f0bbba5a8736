//! Drawing into memory, with pixman.

use smithay::backend::allocator::Fourcc;
use smithay::backend::renderer::Offscreen;
use smithay::backend::renderer::pixman::PixmanRenderer;
use smithay::reexports::pixman::Image;
use smithay::utils::{Physical, Size};

use crate::Result;

pub struct Headless {
    pub renderer: PixmanRenderer,
    pub image: Image<'static, 'static>,
    size: Size<i32, Physical>,
}

impl Headless {
    /// # Errors
    ///
    /// There is not enough memory.
    pub fn new((width, height): (i32, i32)) -> Result<Self> {
        let mut renderer = PixmanRenderer::new()?;
        let image = renderer.create_buffer(Fourcc::Xrgb8888, (width, height).into())?;
        Ok(Self { renderer, image, size: (width, height).into() })
    }

    pub fn size(&self) -> Size<i32, Physical> {
        self.size
    }
}
