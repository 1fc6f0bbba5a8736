//! A graphics card: its connectors, and the screens on them. DRM and KMS.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::clock::FrameClock;
use super::draw::{self, Renderer, Scanout};
use crate::Result;
use rustix::fs::{Dev, OFlags};
use rustix::io::Errno;
use smithay::backend::allocator::Format;
use smithay::backend::allocator::dmabuf::Dmabuf;
use smithay::backend::drm::compositor::FrameError;
use smithay::backend::drm::{DrmDevice, DrmDeviceFd, DrmError};
use smithay::backend::renderer::{Bind, ImportDma};
use smithay::backend::session::Session;
use smithay::output::{Mode, Output, PhysicalProperties, Subpixel};
use smithay::reexports::drm::control::{
    Device, Event, Mode as CardMode, ModeTypeFlags, connector, crtc,
};
use smithay::utils::DeviceFd;

/// What a card asks of the state.
pub trait CardHandler {
    /// A screen has taken a frame.
    fn frame_shown(&mut self, crtc: crtc::Handle, at: Instant);
    /// The card is no more.
    fn card_lost(&mut self, error: &io::Error);
}

/// Takes what there is. Smithay's own source does the same, but is one of calloop's.
pub fn hear<D: CardHandler>(card: &mut DrmDeviceFd, data: &mut D) -> io::Result<bool> {
    Ok(hear_events(card.receive_events(), data))
}

/// Whether there will be more.
fn hear_events<D: CardHandler>(
    events: io::Result<impl Iterator<Item = Event>>,
    data: &mut D,
) -> bool {
    match events {
        Ok(events) => {
            for event in events {
                if let Event::PageFlip(flip) = event {
                    data.frame_shown(flip.crtc, instant(flip.duration, Instant::now()));
                }
            }
            true
        }
        Err(error) => {
            let lost = remedy_of(Errno::from_io_error(&error)) == Remedy::Forget;
            if lost {
                data.card_lost(&error);
            } else {
                eprintln!("compositor: the graphics card: {error}");
            }
            !lost
        }
    }
}

/// A time of the kernel's clock, as std has it.
fn instant(at: Duration, now: Instant) -> Instant {
    let clock = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let since_boot = Duration::new(clock.tv_sec as u64, clock.tv_nsec as u32);
    now.checked_sub(since_boot.saturating_sub(at)).unwrap_or(now)
}

/// What to do after a call of the card has failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The session has been taken away, or is about to be: wait until it is back.
    Wait,
    /// The card is busy: try again a frame later.
    Retry,
    /// The card is no more.
    Forget,
    /// It can't do that: have another mode, or no picture on this screen.
    Refuse,
}

pub fn remedy(error: &DrmError) -> Remedy {
    match error {
        DrmError::DeviceInactive | DrmError::DrmMasterFailed => Remedy::Wait,
        DrmError::Access(error) => remedy_of(Errno::from_io_error(&error.source)),
        _ => Remedy::Refuse,
    }
}

fn remedy_of(errno: Option<Errno>) -> Remedy {
    match errno {
        Some(Errno::ACCESS | Errno::PERM) => Remedy::Wait,
        Some(Errno::BUSY | Errno::INTR | Errno::AGAIN) => Remedy::Retry,
        Some(Errno::NODEV | Errno::NXIO) => Remedy::Forget,
        _ => Remedy::Refuse,
    }
}

/// Where a screen's next frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has changed.
    Idle,
    /// It will be drawn then.
    Due(Instant),
    /// It waits for the screen; whether something has changed since.
    Flip { changed: bool },
}

pub struct Screen {
    pub connector: connector::Handle,
    pub output: Output,
    pub scanout: Scanout,
    /// The best first.
    modes: Vec<CardMode>,
    pub clock: FrameClock,
    pub phase: Phase,
    /// What was last said of it.
    pub described: String,
    /// Frames in which nothing had changed.
    pub unchanged: u64,
}

pub struct Card {
    pub id: Dev,
    device: DrmDevice,
    card: draw::Card,
    pub renderer: Renderer,
    pub screens: Vec<Screen>,
}

/// Opens a card.
///
/// # Errors
///
/// It is busy, not this user's, or can't show pictures.
pub fn open<S: Session>(session: &mut S, path: &Path) -> Result<(Card, DrmDeviceFd)>
where
    S::Error: std::fmt::Display,
{
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let because = |error: String| format!("{} can't be used: {error}", path.display());
    let fd = session.open(path, flags).map_err(|error| because(error.to_string()))?;
    let fd = DrmDeviceFd::new(DeviceFd::from(fd));
    // seatd gives a card even if another program has it. The other half is its source.
    let (device, _) = DrmDevice::new(fd.clone(), true).map_err(|error| {
        because(format!("{error}; does another program show its pictures on it?"))
    })?;
    let (card, renderer) =
        draw::Card::new(fd.clone()).map_err(|error| because(error.to_string()))?;
    Ok((Card { id: device.device_id(), device, card, renderer, screens: Vec::new() }, fd))
}

/// What there is to be shown on, with its modes, the best first.
struct Connected {
    connector: connector::Info,
    modes: Vec<CardMode>,
}

impl Card {
    /// Looks for screens that have been plugged in or out, and for those with another mode. Those that are gone are
    /// given back.
    pub fn scan(&mut self) -> Result<Vec<Screen>> {
        let resources = self.device.resource_handles()?;
        let mut connected = Vec::new();
        for handle in resources.connectors() {
            let Ok(connector) = self.device.get_connector(*handle, true) else { continue };
            let mut modes = connector.modes().to_vec();
            modes.sort_by_key(|mode| !mode.mode_type().contains(ModeTypeFlags::PREFERRED));
            if connector.state() == connector::State::Connected && !modes.is_empty() {
                connected.push(Connected { connector, modes });
            }
        }
        let is_there =
            |screen: &Screen| connected.iter().any(|it| it.connector.handle() == screen.connector);
        let gone: Vec<Screen> = self.screens.extract_if(.., |screen| !is_there(screen)).collect();
        for Connected { connector, modes } in connected {
            let known = self.screens.iter_mut().find(|it| it.connector == connector.handle());
            let outcome = match known {
                Some(screen) => screen.set_modes(&modes),
                None => self.plug(&connector, &modes),
            };
            if let Err(error) = outcome {
                eprintln!("compositor: the screen on {connector} has no picture: {error}");
            }
        }
        Ok(gone)
    }

    fn plug(&mut self, connector: &connector::Info, modes: &[CardMode]) -> Result<()> {
        let resources = self.device.resource_handles()?;
        let mut crtcs = Vec::new();
        for encoder in connector.encoders() {
            let possible = self.device.get_encoder(*encoder)?.possible_crtcs();
            crtcs.extend(resources.filter_crtcs(possible));
        }
        let free =
            |crtc: &crtc::Handle| !self.screens.iter().any(|screen| screen.scanout.crtc() == *crtc);
        let crtc = crtcs.into_iter().find(free).ok_or("the card shows no more pictures at once")?;
        let (width, height) = connector.size().unwrap_or_default();
        let output = Output::new(
            connector.to_string(),
            PhysicalProperties {
                size: (width as i32, height as i32).into(),
                subpixel: Subpixel::Unknown,
                make: "unknown".to_owned(),
                model: connector.to_string(),
            },
        );
        let (mode, scanout) = first_taken(modes, |mode| {
            set_output_mode(&output, modes, mode);
            self.scanout(&output, connector.handle(), crtc, mode)
        })?;
        self.screens.push(Screen {
            connector: connector.handle(),
            output,
            scanout,
            modes: modes.to_vec(),
            clock: FrameClock::new(period(&mode), Instant::now()),
            phase: Phase::Idle,
            described: String::new(),
            unchanged: 0,
        });
        Ok(())
    }

    fn scanout(
        &mut self,
        output: &Output,
        connector: connector::Handle,
        crtc: crtc::Handle,
        mode: CardMode,
    ) -> Result<Scanout> {
        let surface = self.device.create_surface(crtc, mode, &[connector])?;
        let formats = Bind::<Dmabuf>::supported_formats(&self.renderer).unwrap_or_default();
        let (allocator, exporter) = (self.card.allocator(), self.card.exporter());
        let cursor = self.device.cursor_size();
        Ok(Scanout::new(
            output,
            surface,
            None,
            allocator,
            exporter,
            draw::FORMATS,
            formats,
            cursor,
            None,
        )?)
    }

    pub fn dmabuf_formats(&self) -> Vec<Format> {
        self.renderer.dmabuf_formats().into_iter().collect()
    }

    /// The session has been taken away: no frame that is under way is shown.
    pub fn pause(&mut self) {
        self.device.pause();
        for screen in &mut self.screens {
            screen.phase = Phase::Idle;
        }
    }

    /// It is back, and what the screens show is somebody else's.
    pub fn resume(&mut self) -> Result<()> {
        self.device.activate(true)?;
        self.redraw()
    }

    /// Has each screen draw everything, whatever it showed.
    pub fn redraw(&mut self) -> Result<()> {
        for screen in &mut self.screens {
            screen.phase = Phase::Idle;
            screen.scanout.reset_state()?;
            screen.scanout.reset_buffers();
        }
        Ok(())
    }

    /// Turns the screens off, until something is drawn.
    pub fn darken(&mut self) {
        for screen in &mut self.screens {
            screen.phase = Phase::Idle;
            if let Err(error) = screen.scanout.clear() {
                eprintln!("compositor: {} can't be turned off: {error}", screen.output.name());
            }
        }
    }

    pub fn is_active(&self) -> bool {
        self.device.is_active()
    }
}

impl Screen {
    /// Keeps the mode, unless the screen now has others.
    fn set_modes(&mut self, modes: &[CardMode]) -> Result<()> {
        if self.modes == modes {
            return Ok(());
        }
        let (mode, ()) = first_taken(modes, |mode| Ok(self.scanout.use_mode(mode)?))?;
        self.modes = modes.to_vec();
        self.mode_used(mode);
        Ok(())
    }

    /// Has the mode of a size that refreshes most often.
    pub fn choose_mode(&mut self, size: (u16, u16)) -> Result<()> {
        let of_size = self.modes.iter().copied().filter(|mode| mode.size() == size);
        let mode = of_size.max_by_key(|mode| mode.vrefresh()).ok_or("it has no such mode")?;
        self.scanout.use_mode(mode)?;
        self.mode_used(mode);
        Ok(())
    }

    fn mode_used(&mut self, mode: CardMode) {
        set_output_mode(&self.output, &self.modes, mode);
        self.clock.set_period(period(&mode));
    }
}

/// The first mode that the card takes: it may refuse one that it has told of.
fn first_taken<M: Copy, T>(modes: &[M], mut take: impl FnMut(M) -> Result<T>) -> Result<(M, T)> {
    let mut refused = "it has no mode".into();
    for mode in modes {
        match take(*mode) {
            Ok(taken) => return Ok((*mode, taken)),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn set_output_mode(output: &Output, modes: &[CardMode], mode: CardMode) {
    for old in output.modes() {
        output.delete_mode(old);
    }
    for mode in modes {
        output.add_mode(Mode::from(*mode));
    }
    output.set_preferred(Mode::from(modes[0]));
    let scale = output.current_scale();
    output.change_current_state(Some(Mode::from(mode)), None, Some(scale), None);
}

fn period(mode: &CardMode) -> Duration {
    let millihertz = Mode::from(*mode).refresh.max(1_000);
    Duration::from_nanos(1_000_000_000_000 / millihertz as u64)
}

/// The error of the card in one of a frame's, if that is what it is.
pub fn card_error<A, B, F>(error: &FrameError<A, B, F>) -> Option<&DrmError>
where
    A: std::error::Error + Send + Sync + 'static,
    B: std::error::Error + Send + Sync + 'static,
    F: std::error::Error + Send + Sync + 'static,
{
    match error {
        FrameError::DrmError(error) => Some(error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smithay::reexports::drm::control::{PageFlipEvent, from_u32};

    // No card of a virtual machine fails in these ways.

    #[test]
    fn a_session_that_is_taken_away_in_a_flip_or_a_modeset_is_waited_for() {
        assert_eq!(remedy_of(Some(Errno::ACCESS)), Remedy::Wait);
        assert_eq!(remedy_of(Some(Errno::PERM)), Remedy::Wait);
        assert_eq!(remedy(&DrmError::DeviceInactive), Remedy::Wait);
    }

    #[test]
    fn a_busy_card_is_tried_again_and_one_that_vanishes_in_a_flip_forgotten() {
        assert_eq!(remedy_of(Some(Errno::BUSY)), Remedy::Retry);
        assert_eq!(remedy_of(Some(Errno::NODEV)), Remedy::Forget);
    }

    #[test]
    fn a_mode_that_fails_to_commit_is_refused_and_the_next_one_is_had() {
        assert_eq!(remedy_of(Some(Errno::INVAL)), Remedy::Refuse);
        assert_eq!(remedy(&DrmError::NoPlane), Remedy::Refuse);
        let take = |mode| if mode == 1 { Err("not that one".into()) } else { Ok(10 * mode) };
        assert_eq!(first_taken(&[1, 2, 3], take).unwrap(), (2, 20));
        assert_eq!(first_taken(&[1, 1], take).unwrap_err().to_string(), "not that one");
    }

    #[derive(Default)]
    struct Seen {
        shown: u32,
        lost: u32,
    }

    impl CardHandler for Seen {
        fn frame_shown(&mut self, _: crtc::Handle, _: Instant) {
            self.shown += 1;
        }

        fn card_lost(&mut self, _: &io::Error) {
            self.lost += 1;
        }
    }

    #[test]
    fn a_card_that_vanishes_in_a_flip_is_told_of_once_and_not_listened_to_any_more() {
        let mut seen = Seen::default();
        let flip = || {
            Event::PageFlip(PageFlipEvent {
                frame: 1,
                duration: Duration::ZERO,
                crtc: from_u32(1).unwrap(),
            })
        };
        assert!(hear_events(Ok([flip(), Event::Unknown(vec![]), flip()].into_iter()), &mut seen));
        let fails = |errno: Errno| Err::<std::iter::Empty<Event>, _>(io::Error::from(errno));
        assert!(hear_events(fails(Errno::ACCESS), &mut seen));
        assert!(!hear_events(fails(Errno::NODEV), &mut seen));
        assert_eq!((seen.shown, seen.lost), (2, 1));
    }
}
