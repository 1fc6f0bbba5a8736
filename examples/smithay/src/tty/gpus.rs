//! Which graphics cards the seat has, and when something is plugged into one: udev.

use std::path::{Path, PathBuf};

use rustix::fs::Dev;
use smithay::backend::udev::{UdevBackend, UdevEvent, primary_gpu};

use crate::Result;

/// What a change of the graphics cards asks of the state.
pub trait GpuHandler {
    /// Screens have been plugged in or out.
    fn connectors_changed(&mut self, card: Dev);
    fn card_added(&mut self, path: &Path);
    fn card_removed(&mut self, card: Dev);
}

pub fn hear<D: GpuHandler>(event: UdevEvent, _: &mut (), data: &mut D) {
    match event {
        UdevEvent::Added { path, .. } => data.card_added(&path),
        UdevEvent::Changed { device_id } => data.connectors_changed(device_id),
        UdevEvent::Removed { device_id } => data.card_removed(device_id),
    }
}

/// Watches the cards of a seat, and finds the one to draw on.
///
/// # Errors
///
/// There is none, or no udev.
pub fn open(seat: &str) -> Result<(PathBuf, UdevBackend)> {
    let cards = UdevBackend::new(seat).map_err(|error| format!("no udev: {error}"))?;
    let primary = primary_gpu(seat).map_err(|error| format!("no udev: {error}"))?;
    let primary = primary.ok_or_else(|| format!("no graphics card on {seat}"))?;
    Ok((primary, cards))
}
