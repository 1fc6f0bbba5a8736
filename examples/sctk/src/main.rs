//! A client on smithay-client-toolkit 0.20 with soloop as its loop: a window, and a keyboard whose keys repeat.
//!
//! ```text
//! cargo run                     a window in which keys are told of, on the display in WAYLAND_DISPLAY
//! ./check                       the same under examples/compositor, which holds a key down; ends by itself
//! ```
//!
//! The toolkit's events come from the event queue of its connection, which a `WaylandSource` dispatches. Only its key
//! repeat wants calloop: it takes a `calloop::LoopHandle` and inserts its timer there. That handle is one of an empty
//! calloop loop, which soloop hosts and leaves alone as long as nothing in it is due. The one thing to remember: where the
//! toolkit may have changed its timer, soloop is told, by `calloop(token)`.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use smithay_client_toolkit::compositor::{CompositorHandler, CompositorState};
use smithay_client_toolkit::output::{OutputHandler, OutputState};
use smithay_client_toolkit::registry::{ProvidesRegistryState, RegistryState};
use smithay_client_toolkit::seat::keyboard::{
    KeyEvent, KeyboardHandler, Keysym, Modifiers, RawModifiers,
};
use smithay_client_toolkit::seat::{Capability, SeatHandler, SeatState};
use smithay_client_toolkit::shell::WaylandSurface;
use smithay_client_toolkit::shell::xdg::XdgShell;
use smithay_client_toolkit::shell::xdg::window::{
    Window, WindowConfigure, WindowDecorations, WindowHandler,
};
use smithay_client_toolkit::shm::{Shm, ShmHandler, slot::SlotPool};
use smithay_client_toolkit::{
    delegate_compositor, delegate_keyboard, delegate_output, delegate_registry, delegate_seat,
    delegate_shm, delegate_xdg_shell, delegate_xdg_window, registry_handlers,
};
use soloop::{CalloopLoop, EventLoop, LoopData, LoopHandle, Token, WaylandSource};
use wayland_client::globals::registry_queue_init;
use wayland_client::protocol::wl_keyboard::WlKeyboard;
use wayland_client::protocol::wl_output::{Transform, WlOutput};
use wayland_client::protocol::wl_seat::WlSeat;
use wayland_client::protocol::wl_shm::Format;
use wayland_client::protocol::wl_surface::WlSurface;
use wayland_client::{Connection, QueueHandle};

/// Of the key that `./check` holds down: the space bar.
const SPACE: u32 = 57;
const REPETITIONS: u32 = 3;

struct State {
    handle: LoopHandle<Self>,
    /// Holds the timer of the keyboard.
    calloop: Token<CalloopLoop<Self>>,
    registry: RegistryState,
    seats: SeatState,
    outputs: OutputState,
    shm: Shm,
    pool: SlotPool,
    window: Window,
    keyboard: Option<WlKeyboard>,
    /// By whom a key is held down, if this is a check.
    control: Option<UnixStream>,
    repetitions: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let control = std::env::args_os().nth(1).map(UnixStream::connect).transpose()?;
    let connection = Connection::connect_to_env()?;
    let (globals, queue) = registry_queue_init::<State>(&connection)?;
    let qh = queue.handle();
    let shm = Shm::bind(&globals, &qh)?;
    let surface = CompositorState::bind(&globals, &qh)?.create_surface(&qh);
    let shell = XdgShell::bind(&globals, &qh)?;
    let window = shell.create_window(surface, WindowDecorations::RequestServer, &qh);
    window.set_title("keys that repeat");
    window.commit();

    let (mut event_loop, mut handle) = EventLoop::new()?;
    let calloop = handle.insert_calloop_on_demand(calloop::EventLoop::try_new()?)?;
    let source = WaylandSource::new(connection, queue);
    handle.insert_source(source, |queue, state: &mut State| queue.dispatch_pending(state))?;
    let mut state = State {
        handle,
        calloop,
        registry: RegistryState::new(&globals),
        seats: SeatState::new(&globals, &qh),
        outputs: OutputState::new(&globals, &qh),
        pool: SlotPool::new(256 * 256 * 4, &shm)?,
        shm,
        window,
        keyboard: None,
        control,
        repetitions: 0,
    };
    event_loop.run(None, &mut state, |_| ())?;
    if state.control.is_some() {
        assert_eq!(state.repetitions, REPETITIONS);
    }
    Ok(())
}

impl State {
    /// The toolkit has set its timer, or is about to.
    fn repeat_changed(&mut self) {
        self.handle.calloop(self.calloop);
    }

    fn repeated(&mut self, event: &KeyEvent) {
        println!("repeated: {:?}", event.keysym.name());
        self.repetitions += 1;
        if self.repetitions == REPETITIONS {
            self.ask(format_args!("key {SPACE} release"));
        }
    }

    /// Tells the compositor what to do, if this is a check.
    fn ask(&mut self, what: std::fmt::Arguments<'_>) {
        let Some(control) = &mut self.control else { return };
        let mut answer = String::new();
        let asked = writeln!(control, "{what}");
        asked.and_then(|()| BufReader::new(control).read_line(&mut answer)).expect("it answers");
        assert!(answer.starts_with("ok"), "{what}: {answer}");
    }

    fn draw(&mut self, width: i32, height: i32) -> Result<(), Box<dyn Error>> {
        let (buffer, canvas) =
            self.pool.create_buffer(width, height, 4 * width, Format::Xrgb8888)?;
        canvas.fill(0x60);
        let surface = self.window.wl_surface();
        surface.damage_buffer(0, 0, width, height);
        buffer.attach_to(surface)?;
        self.window.commit();
        Ok(())
    }
}

impl SeatHandler for State {
    fn seat_state(&mut self) -> &mut SeatState {
        &mut self.seats
    }

    fn new_seat(&mut self, _: &Connection, _: &QueueHandle<Self>, _: WlSeat) {}

    fn new_capability(
        &mut self,
        _: &Connection,
        qh: &QueueHandle<Self>,
        seat: WlSeat,
        capability: Capability,
    ) {
        if capability != Capability::Keyboard || self.keyboard.is_some() {
            return;
        }
        // Of the hosted loop, which is there as long as the token names it.
        let Some(calloop) = self.handle.calloop(self.calloop) else { return };
        let repeated = Box::new(|state: &mut Self, _: &WlKeyboard, event| state.repeated(&event));
        match self.seats.get_keyboard_with_repeat(qh, &seat, None, calloop, repeated) {
            Ok(keyboard) => self.keyboard = Some(keyboard),
            Err(error) => eprintln!("no keyboard: {error}"),
        }
    }

    fn remove_capability(
        &mut self,
        _: &Connection,
        _: &QueueHandle<Self>,
        _: WlSeat,
        capability: Capability,
    ) {
        if capability == Capability::Keyboard {
            self.keyboard.take().inspect(WlKeyboard::release);
            self.repeat_changed();
        }
    }

    fn remove_seat(&mut self, _: &Connection, _: &QueueHandle<Self>, _: WlSeat) {}
}

impl KeyboardHandler for State {
    fn enter(
        &mut self,
        _: &Connection,
        _: &QueueHandle<Self>,
        _: &WlKeyboard,
        _: &WlSurface,
        _: u32,
        _: &[u32],
        _: &[Keysym],
    ) {
        self.ask(format_args!("key {SPACE} press"));
    }

    fn leave(
        &mut self,
        _: &Connection,
        _: &QueueHandle<Self>,
        _: &WlKeyboard,
        _: &WlSurface,
        _: u32,
    ) {
        self.repeat_changed();
    }

    fn press_key(
        &mut self,
        _: &Connection,
        _: &QueueHandle<Self>,
        _: &WlKeyboard,
        _: u32,
        event: KeyEvent,
    ) {
        println!("pressed: {:?} {:?}", event.keysym.name(), event.utf8);
        self.repeat_changed();
    }

    fn repeat_key(
        &mut self,
        _: &Connection,
        _: &QueueHandle<Self>,
        _: &WlKeyboard,
        _: u32,
        event: KeyEvent,
    ) {
        // By a compositor that repeats keys itself.
        self.repeated(&event);
    }

    fn release_key(
        &mut self,
        _: &Connection,
        _: &QueueHandle<Self>,
        _: &WlKeyboard,
        _: u32,
        event: KeyEvent,
    ) {
        self.repeat_changed();
        println!("released: {:?}", event.keysym.name());
        if self.control.is_some() && event.raw_code == SPACE {
            println!("the key was held: Space, {} repetitions", self.repetitions);
            self.handle.stop();
        }
    }

    fn update_modifiers(
        &mut self,
        _: &Connection,
        _: &QueueHandle<Self>,
        _: &WlKeyboard,
        _: u32,
        _: Modifiers,
        _: RawModifiers,
        _: u32,
    ) {
        self.repeat_changed();
    }
}

impl WindowHandler for State {
    fn request_close(&mut self, _: &Connection, _: &QueueHandle<Self>, _: &Window) {
        self.handle.stop();
    }

    fn configure(
        &mut self,
        _: &Connection,
        _: &QueueHandle<Self>,
        _: &Window,
        configure: WindowConfigure,
        _: u32,
    ) {
        let (width, height) = configure.new_size;
        let pixels =
            |size: Option<std::num::NonZeroU32>| size.map_or(256, |size| size.get() as i32);
        if let Err(error) = self.draw(pixels(width), pixels(height)) {
            eprintln!("nothing drawn: {error}");
        }
    }
}

// What this window does not look at.

impl CompositorHandler for State {
    fn scale_factor_changed(
        &mut self,
        _: &Connection,
        _: &QueueHandle<Self>,
        _: &WlSurface,
        _: i32,
    ) {
    }

    fn transform_changed(
        &mut self,
        _: &Connection,
        _: &QueueHandle<Self>,
        _: &WlSurface,
        _: Transform,
    ) {
    }

    fn frame(&mut self, _: &Connection, _: &QueueHandle<Self>, _: &WlSurface, _: u32) {}

    fn surface_enter(
        &mut self,
        _: &Connection,
        _: &QueueHandle<Self>,
        _: &WlSurface,
        _: &WlOutput,
    ) {
    }

    fn surface_leave(
        &mut self,
        _: &Connection,
        _: &QueueHandle<Self>,
        _: &WlSurface,
        _: &WlOutput,
    ) {
    }
}

impl OutputHandler for State {
    fn output_state(&mut self) -> &mut OutputState {
        &mut self.outputs
    }

    fn new_output(&mut self, _: &Connection, _: &QueueHandle<Self>, _: WlOutput) {}

    fn update_output(&mut self, _: &Connection, _: &QueueHandle<Self>, _: WlOutput) {}

    fn output_destroyed(&mut self, _: &Connection, _: &QueueHandle<Self>, _: WlOutput) {}
}

impl ShmHandler for State {
    fn shm_state(&mut self) -> &mut Shm {
        &mut self.shm
    }
}

impl ProvidesRegistryState for State {
    fn registry(&mut self) -> &mut RegistryState {
        &mut self.registry
    }

    registry_handlers![OutputState, SeatState];
}

delegate_compositor!(State);
delegate_output!(State);
delegate_shm!(State);
delegate_seat!(State);
delegate_keyboard!(State);
delegate_xdg_shell!(State);
delegate_xdg_window!(State);
delegate_registry!(State);
