//! The seat that this terminal is on: its session (libseat), its devices (udev) and what people do with them (libinput), an
//! fd each in a `Generic`. The start of an input daemon, a kiosk, or a compositor that is written from scratch.
//!
//! ```text
//! cargo run        tells of keys, pointers and devices, until Escape is pressed; Ctrl+Alt+F1 to F10 change the terminal
//! ```
//!
//! One state owns all three, so that nothing is shared: the state opens a device by its session, and hands the fd to
//! libinput. Needs seatd or logind, and libseat, libinput and libudev (Debian: libseat-dev libinput-dev libudev-dev).

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use input::event::keyboard::{KeyState, KeyboardEventTrait};
use input::{Event, Libinput, LibinputInterface};
use libseat::{Seat, SeatEvent};
use soloop::signals::consts::{SIGINT, SIGTERM};
use soloop::{
    EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction, Signals, SourceOptions,
};
use udev::{Enumerator, EventType, MonitorBuilder, MonitorSocket};

/// Keys, by their numbers in `linux/input-event-codes.h`.
const ESCAPE: u32 = 1;
const CTRL: u32 = 29;
const ALT: u32 = 56;
const F1: u32 = 59;

struct State {
    handle: LoopHandle<Self>,
    seat: Seat,
    seat_events: Receiver<SeatEvent>,
    active: bool,
    monitor: MonitorSocket,
    libinput: Libinput,
    /// The fd of the device that libinput opens next.
    opened: Sender<OwnedFd>,
    devices: HashMap<PathBuf, (input::Device, libseat::Device)>,
    held: HashSet<u32>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// What libinput opens devices by: they are open already.
struct Opened(Receiver<OwnedFd>);

impl LibinputInterface for Opened {
    fn open_restricted(&mut self, _: &Path, _: i32) -> Result<OwnedFd, i32> {
        self.0.try_recv().map_err(|_| -1)
    }

    fn close_restricted(&mut self, _closed: OwnedFd) {}
}

impl State {
    /// The session: another terminal is looked at, or this one again.
    fn seat_ready(&mut self) -> io::Result<()> {
        self.seat.dispatch(0)?;
        let events: Vec<SeatEvent> = self.seat_events.try_iter().collect();
        for event in events {
            self.active = matches!(event, SeatEvent::Enable);
            println!("session {}", if self.active { "active" } else { "inactive" });
            if self.active {
                self.add_all()?;
                continue;
            }
            self.held.clear();
            let paths: Vec<PathBuf> = self.devices.keys().cloned().collect();
            paths.iter().for_each(|path| self.remove(path));
            self.seat.disable()?;
        }
        Ok(())
    }

    /// udev: something is plugged in or out.
    fn monitor_ready(&mut self) -> io::Result<()> {
        let events: Vec<udev::Event> = self.monitor.iter().collect();
        for event in events {
            match (event.event_type(), event.devnode()) {
                (EventType::Add, Some(_)) => self.add(&event.device()),
                (EventType::Remove, Some(path)) => self.remove(path),
                _ => {}
            }
        }
        Ok(())
    }

    /// libinput: somebody does something.
    fn input_ready(&mut self) -> io::Result<()> {
        self.libinput.dispatch()?;
        while let Some(event) = self.libinput.next() {
            match event {
                Event::Keyboard(key) => self.key(key.key(), key.key_state()),
                Event::Pointer(_) => println!("pointer"),
                Event::Touch(_) => println!("touch"),
                _ => {}
            }
        }
        Ok(())
    }

    fn key(&mut self, key: u32, state: KeyState) {
        println!("key {key} {state:?}");
        if state == KeyState::Released {
            self.held.remove(&key);
            return;
        }
        self.held.insert(key);
        if key == ESCAPE {
            self.handle.stop();
        }
        let terminal = key.wrapping_sub(F1) + 1;
        if (1..=10).contains(&terminal) && [CTRL, ALT].iter().all(|it| self.held.contains(it)) {
            // Nothing happens if that terminal can't be had.
            let _ = self.seat.switch_session(terminal as i32);
        }
    }

    fn add_all(&mut self) -> io::Result<()> {
        let mut all = Enumerator::new()?;
        all.match_subsystem("input")?;
        all.match_is_initialized()?;
        all.scan_devices()?.for_each(|device| self.add(&device));
        // What libinput says of new devices does not make its fd readable.
        self.input_ready()
    }

    fn add(&mut self, device: &udev::Device) {
        let Some(path) = device.devnode().filter(|_| self.active) else { return };
        let seat = device.property_value("ID_SEAT").and_then(|seat| seat.to_str());
        let is_event = device.sysname().as_encoded_bytes().starts_with(b"event");
        if !is_event
            || seat.unwrap_or("seat0") != self.seat.name()
            || self.devices.contains_key(path)
        {
            return;
        }
        let opened = match self.seat.open_device(&path) {
            Ok(opened) => opened,
            Err(error) => return eprintln!("{} can't be used: {error}", path.display()),
        };
        // SAFETY: libseat gives a number, of an fd that is ours to close.
        let fd = unsafe { OwnedFd::from_raw_fd(opened.as_fd().as_raw_fd()) };
        let _ = self.opened.send(fd);
        if let Some(known) = path.to_str().and_then(|path| self.libinput.path_add_device(path)) {
            println!("device added: {}", known.name());
            self.devices.insert(path.to_owned(), (known, opened));
        }
    }

    fn remove(&mut self, path: &Path) {
        let Some((known, opened)) = self.devices.remove(path) else { return };
        println!("device removed: {}", known.name());
        self.libinput.path_remove_device(known);
        let _ = self.seat.close_device(opened);
    }
}

/// Calls back when an fd is readable. What the fd belongs to is the state's.
fn watch(
    handle: &mut LoopHandle<State>,
    name: &'static str,
    fd: BorrowedFd<'_>,
    callback: fn(&mut State) -> io::Result<()>,
) -> soloop::Result<()> {
    let source = Generic::new(fd.try_clone_to_owned()?, Interest::READ, Mode::Level);
    let options = SourceOptions::new().name(name);
    handle.insert_source_with(options, source, move |ready, state: &mut State| {
        if ready.readiness.read_closed {
            // What has been said before is of no use any more.
            return Err(io::Error::other("nobody is at the other end"));
        }
        callback(state)?;
        Ok(PostAction::Continue)
    })?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let (sender, seat_events) = channel();
    let seat = Seat::open(move |_, event| sender.send(event).unwrap_or_default())
        .map_err(|error| format!("no seat: {error}; is seatd or logind running?"))?;
    let monitor = MonitorBuilder::new()?.match_subsystem("input")?.listen()?;
    let (opened, to_open) = channel();
    let libinput = Libinput::new_from_path(Opened(to_open));

    let (mut event_loop, handle) = EventLoop::new()?;
    let (devices, held) = (HashMap::new(), HashSet::new());
    let mut state = State {
        handle,
        seat,
        seat_events,
        active: false,
        monitor,
        libinput,
        opened,
        devices,
        held,
    };
    let State { handle, seat, monitor, libinput, .. } = &mut state;
    watch(handle, "session", seat.get_fd()?, State::seat_ready)?;
    watch(handle, "udev", monitor.as_fd(), State::monitor_ready)?;
    watch(handle, "libinput", libinput.as_fd(), State::input_ready)?;
    handle.insert_source(Signals::new([SIGINT, SIGTERM])?, |_, state| state.handle.stop())?;
    // The first events of the session may have been read already.
    state.seat_ready()?;
    event_loop.run(None, &mut state, |_| ())?;
    Ok(())
}
