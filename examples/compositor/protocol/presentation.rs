//! `wp_presentation`: when a commit was shown, to the nanosecond, or that it never was.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wayland_protocols::wp::presentation_time::server::wp_presentation::{self, WpPresentation};
use wayland_protocols::wp::presentation_time::server::wp_presentation_feedback::{
    self, Kind, WpPresentationFeedback,
};
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::{Protocol, ProtocolHost, SurfaceKey};

/// The clock of the times, which is that of the loop.
const CLOCK: ClockId = ClockId::Monotonic;

impl Protocol {
    /// Tells who asked that what they committed was shown so long ago, in one of a row of frames.
    pub fn presented(&mut self, ago: Duration, period: Duration) {
        let now = Duration::try_from(clock_gettime(CLOCK)).unwrap_or_default();
        let time = now.saturating_sub(ago);
        let (seconds, nanoseconds) = (time.as_secs(), time.subsec_nanos());
        let halves = |number: u64| ((number >> 32) as u32, number as u32);
        let (sequence, seconds) = (halves(self.frame), halves(seconds));
        let waiting = self.surfaces.iter_mut();
        let waiting: Vec<(SurfaceKey, Vec<WpPresentationFeedback>)> = waiting
            .filter(|(_, surface)| !surface.feedbacks.is_empty())
            .map(|(key, surface)| (key, std::mem::take(&mut surface.feedbacks)))
            .collect();
        for (key, feedbacks) in waiting {
            let shown = self.is_mapped(key) || self.seat.cursor_surface() == Some(key);
            for feedback in feedbacks {
                if !shown {
                    feedback.discarded();
                    continue;
                }
                self.output.of_client(&feedback.id()).for_each(|output| {
                    feedback.sync_output(output);
                });
                // No hardware has a say in it: none of the flags.
                feedback.presented(
                    seconds.0,
                    seconds.1,
                    nanoseconds,
                    period.as_nanos() as u32,
                    sequence.0,
                    sequence.1,
                    Kind::empty(),
                );
            }
        }
    }
}

/// Tells who asked that something else is shown in place of what they committed.
pub fn discard(feedbacks: impl IntoIterator<Item = WpPresentationFeedback>) {
    feedbacks.into_iter().for_each(|feedback| feedback.discarded());
}

impl<D: ProtocolHost> GlobalDispatch<WpPresentation, (), D> for Protocol {
    fn bind(
        _: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WpPresentation>,
        _: &(),
        init: &mut DataInit<'_, D>,
    ) {
        init.init(resource, ()).clock_id(CLOCK as u32);
    }
}

impl<D: ProtocolHost> Dispatch<WpPresentation, (), D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        _: &WpPresentation,
        request: wp_presentation::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        let wp_presentation::Request::Feedback { surface, callback } = request else { return };
        let feedback = init.init(callback, ());
        let key = surface.data::<SurfaceKey>().copied().unwrap_or_default();
        match data.as_mut().surfaces.get_mut(key) {
            Some(surface) => surface.pending.feedbacks.push(feedback),
            None => feedback.discarded(),
        }
    }
}

impl<D: ProtocolHost> Dispatch<WpPresentationFeedback, (), D> for Protocol {
    fn request(
        _: &mut D,
        _: &Client,
        _: &WpPresentationFeedback,
        _: wp_presentation_feedback::Request,
        _: &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
    }
}
