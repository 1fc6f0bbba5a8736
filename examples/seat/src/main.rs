//! The seat that this terminal is on: its session (libseat), its devices (udev) and what people do with them (libinput), an
//! fd each in a `Generic`. The start of an input daemon, a kiosk, or a compositor that is written from scratch.
//!
//! `cargo run` tells of devices, keys and pointers. Escape ends it, F1 to F10 show other terminals.
//!
//! One state owns all three, so that nothing is shared: the state opens a device by its session, and hands the fd to
//! libinput. Needs seatd or logind, and libseat, libinput and libudev (Debian: libseat-dev libinput-dev libudev-dev).

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::{error::Error, io};

use input::event::DeviceEvent::{Added, Removed};
use input::event::EventTrait;
use input::event::keyboard::{KeyState, KeyboardEventTrait};
use input::{Event, Libinput, LibinputInterface};
use libseat::{Seat, SeatEvent};
use soloop::signals::consts::{SIGINT, SIGTERM};
use soloop::{EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction, Signals};
use udev::{Enumerator, EventType, MonitorBuilder, MonitorSocket};

struct State {
    handle: LoopHandle<Self>,
    seat: Seat,
    seat_events: Receiver<SeatEvent>,
    active: bool,
    monitor: MonitorSocket,
    libinput: Libinput,
    fds: Sender<OwnedFd>,
    devices: HashMap<PathBuf, (Option<input::Device>, libseat::Device)>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// libinput opens nothing itself: it gets the fd that the state has sent last.
struct Opened(Receiver<OwnedFd>);

impl LibinputInterface for Opened {
    fn open_restricted(&mut self, _: &Path, _: i32) -> Result<OwnedFd, i32> {
        self.0.try_iter().last().ok_or(-1)
    }
    fn close_restricted(&mut self, _: OwnedFd) {}
}

impl State {
    /// The session: another terminal is shown, or this one again.
    fn session(&mut self) -> io::Result<PostAction> {
        self.seat.dispatch(0)?;
        while let Ok(event) = self.seat_events.try_recv() {
            println!("session: {event:?}");
            self.active = matches!(event, SeatEvent::Enable);
            if self.active {
                let mut all = Enumerator::new()?;
                all.match_subsystem("input")?;
                all.match_is_initialized()?;
                all.scan_devices()?.for_each(|device| self.add(&device));
            } else {
                let paths: Vec<PathBuf> = self.devices.keys().cloned().collect();
                paths.iter().for_each(|path| self.remove(path));
                self.seat.disable()?;
            }
        }
        self.input()
    }

    /// udev: something is plugged in or out.
    fn hot_plug(&mut self) -> io::Result<PostAction> {
        while let Some(event) = self.monitor.iter().next() {
            match (event.event_type(), event.devnode()) {
                (EventType::Add, _) => self.add(&event),
                (EventType::Remove, Some(path)) => self.remove(path),
                _ => {}
            }
        }
        self.input()
    }

    /// libinput: somebody does something. Devices that come or go do not make its fd readable.
    fn input(&mut self) -> io::Result<PostAction> {
        self.libinput.dispatch()?;
        while let Some(event) = self.libinput.next() {
            match event {
                Event::Device(Added(it)) => println!("device added: {}", it.device().name()),
                Event::Device(Removed(it)) => println!("device removed: {}", it.device().name()),
                Event::Keyboard(event) => self.key(event.key(), event.key_state()),
                Event::Pointer(_) => println!("pointer"),
                Event::Touch(_) => println!("touch"),
                _ => {}
            }
        }
        Ok(PostAction::Continue)
    }

    /// Keys are numbers of `linux/input-event-codes.h`: 1 is Escape, 59 to 68 are F1 to F10.
    fn key(&mut self, key: u32, state: KeyState) {
        println!("key {key} {state:?}");
        match (key, state) {
            (1, KeyState::Pressed) => self.handle.stop(),
            // Nothing happens if that terminal can't be had.
            (59..=68, KeyState::Pressed) => _ = self.seat.switch_session(key as i32 - 58),
            _ => {}
        }
    }

    fn add(&mut self, device: &udev::Device) {
        let Some(path) = device.devnode().filter(|_| self.active) else { return };
        let seat = device.property_value("ID_SEAT").unwrap_or("seat0".as_ref());
        let is_event = device.sysname().as_encoded_bytes().starts_with(b"event");
        if !is_event || seat != self.seat.name() || self.devices.contains_key(path) {
            return;
        }
        let opened = match self.seat.open_device(&path) {
            Ok(opened) => opened,
            Err(error) => return eprintln!("{} can't be used: {error}", path.display()),
        };
        let _ = opened.as_fd().try_clone_to_owned().map(|fd| self.fds.send(fd));
        let known = self.libinput.path_add_device(&path.to_string_lossy());
        self.devices.insert(path.to_owned(), (known, opened));
    }

    fn remove(&mut self, path: &Path) {
        let Some((known, opened)) = self.devices.remove(path) else { return };
        known.into_iter().for_each(|known| self.libinput.path_remove_device(known));
        // libseat needs its fd to close the device, and leaves that open.
        let fd = opened.as_fd().as_raw_fd();
        let _ = self.seat.close_device(opened);
        let _ = nix::unistd::close(fd);
    }
}

/// Wakes the loop when there is something to read. What the fd belongs to is the state's.
fn readable(fd: BorrowedFd<'_>) -> io::Result<Generic<OwnedFd>> {
    Ok(Generic::new(fd.try_clone_to_owned()?, Interest::READ, Mode::Level))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut event_loop, mut handle) = EventLoop::<State>::new()?;
    handle.insert_source(Signals::new([SIGINT, SIGTERM])?, |_, state| state.handle.stop())?;
    let (sender, seat_events) = channel();
    let mut seat = Seat::open(move |_, event| sender.send(event).unwrap_or_default())
        .map_err(|error| format!("no seat: {error}; is seatd or logind running?"))?;
    handle.insert_source(readable(seat.get_fd()?)?, |ready, state| {
        let lost = ready.readiness.read_closed;
        if lost { Err(io::Error::other("the session has gone")) } else { state.session() }
    })?;
    let monitor = MonitorBuilder::new()?.match_subsystem("input")?.listen()?;
    handle.insert_source(readable(monitor.as_fd())?, |_, state| state.hot_plug())?;
    let (fds, opened) = channel();
    let libinput = Libinput::new_from_path(Opened(opened));
    handle.insert_source(readable(libinput.as_fd())?, |_, state| state.input())?;

    let (active, devices) = Default::default();
    let mut state = State { handle, seat, seat_events, active, monitor, libinput, fds, devices };
    // The first events of the session may have been read already.
    state.session()?;
    event_loop.run(None, &mut state, |_| ())?;
    Ok(())
}
