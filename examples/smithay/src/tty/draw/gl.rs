//! OpenGL. Smithay has no safe way to it: this is the one file here with unsafe code.

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
