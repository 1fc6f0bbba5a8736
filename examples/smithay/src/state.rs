//! The one state. Its handle of the loop is a plain field of it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use smithay::backend::input::TouchSlot;
use smithay::desktop::{PopupGrab, PopupManager, Space};
use smithay::input::pointer::CursorImageStatus;
use smithay::input::{Seat, SeatState};
use smithay::output::{Mode, Output, PhysicalProperties, Scale, Subpixel};
use smithay::reexports::wayland_server::DisplayHandle;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{ClockSource, Logical, Monotonic, Point, Transform};
use smithay::wayland::compositor::CompositorState;
use smithay::wayland::cursor_shape::CursorShapeManagerState;
use smithay::wayland::dmabuf::DmabufState;
use smithay::wayland::foreign_toplevel_list::ForeignToplevelListState;
use smithay::wayland::fractional_scale::FractionalScaleManagerState;
use smithay::wayland::idle_inhibit::IdleInhibitManagerState;
use smithay::wayland::idle_notify::IdleNotifierState;
use smithay::wayland::input_method::InputMethodManagerState;
use smithay::wayland::keyboard_shortcuts_inhibit::KeyboardShortcutsInhibitState;
use smithay::wayland::output::OutputManagerState;
use smithay::wayland::pointer_constraints::PointerConstraintsState;
use smithay::wayland::pointer_gestures::PointerGesturesState;
use smithay::wayland::presentation::PresentationState;
use smithay::wayland::relative_pointer::RelativePointerManagerState;
use smithay::wayland::selection::data_device::DataDeviceState;
use smithay::wayland::selection::primary_selection::PrimarySelectionState;
use smithay::wayland::selection::{ext_data_control, wlr_data_control};
use smithay::wayland::shell::wlr_layer::WlrLayerShellState;
use smithay::wayland::shell::xdg::XdgShellState;
use smithay::wayland::shell::xdg::decoration::XdgDecorationState;
use smithay::wayland::shm::ShmState;
use smithay::wayland::single_pixel_buffer::SinglePixelBufferState;
use smithay::wayland::tablet_manager::TabletManagerState;
use smithay::wayland::text_input::TextInputManagerState;
use smithay::wayland::viewporter::ViewporterState;
use smithay::wayland::virtual_keyboard::VirtualKeyboardManagerState;
use smithay::wayland::xdg_activation::XdgActivationState;

use crate::Result;
use crate::backend::Backend;
use crate::clients::Clients;
use crate::connection::{self, Connections};
use crate::element::Window;
use crate::event_loop::{self, Foreign, Handle, Remote};
use crate::frames::Frames;
use crate::handlers::layer::Layers;
use crate::handlers::lock::Lock;
use crate::handlers::{constraints, lock, toplevels};
use crate::input;
use crate::render::Screenshots;
use crate::stylus::Stylus;
use crate::windows::{self, Windows};
#[cfg(feature = "xwayland")]
use crate::xwayland::XwaylandSession;

/// The delay before a key that is held down repeats, in milliseconds, and how often it does in a second.
const KEY_REPEAT: (i32, i32) = (400, 25);

pub struct State {
    pub handle: Handle,
    /// For what of Smithay's insists on a handle of calloop's.
    pub foreign: Foreign,
    pub remote: Remote,
    pub display: DisplayHandle,
    pub globals: Globals,
    pub connections: Connections,
    /// How many the loop has made.
    rounds: u64,
    pub clients: Clients,

    pub seat: Seat<State>,
    pub space: Space<Window>,
    pub windows: Windows,
    pub layers: Layers,
    pub lock: Lock,
    pub popups: PopupManager,
    /// The menus that have keys and clicks to themselves.
    pub popup_grab: Option<PopupGrab<State>>,
    pub output: Output,
    /// What was under the pointer when it was last told, and where that was.
    pub pointer_target: Option<(WlSurface, Point<f64, Logical>)>,
    /// Somebody else has the keyboard in this round.
    pub keyboard_moved: bool,
    /// What each finger has touched first, while it is down.
    pub touched: Vec<(TouchSlot, WlSurface)>,
    /// The pen of a tablet, once there is one.
    pub stylus: Option<Stylus>,
    /// What the client under the pointer has it look like.
    pub cursor: CursorImageStatus,
    /// Where something is dragged to.
    pub drag_icon: Option<WlSurface>,

    pub backend: Backend,
    pub frames: Frames,
    pub screenshots: Screenshots,
    /// Where one goes that a signal asks for.
    pub screenshot_path: PathBuf,
    /// What times of events count from.
    pub epoch: Instant,
    #[cfg(feature = "xwayland")]
    pub xwayland: Option<XwaylandSession>,
}

/// The globals that Smithay keeps a state for.
pub struct Globals {
    pub activation: XdgActivationState,
    pub compositor: CompositorState,
    pub data_device: DataDeviceState,
    pub dmabuf: DmabufState,
    pub ext_data_control: ext_data_control::DataControlState,
    pub foreign_toplevels: ForeignToplevelListState,
    pub idle_notifier: IdleNotifierState<State>,
    /// A client has asked when nobody is there: only then are there timers that input sets anew.
    pub idleness_asked: bool,
    pub layer_shell: WlrLayerShellState,
    pub primary_selection: PrimarySelectionState,
    pub seat: SeatState<State>,
    pub shm: ShmState,
    pub shortcuts_inhibit: KeyboardShortcutsInhibitState,
    pub wlr_data_control: wlr_data_control::DataControlState,
    pub xdg_shell: XdgShellState,
    /// The surfaces that keep the seat from being idle.
    pub idle_inhibitors: Vec<WlSurface>,
    #[cfg(feature = "xwayland")]
    pub xwayland_shell: smithay::wayland::xwayland_shell::XWaylandShellState,
}

impl Globals {
    fn new(display: &DisplayHandle, foreign: calloop::LoopHandle<'static, State>) -> Self {
        // These need nothing kept.
        ViewporterState::new::<State>(display);
        RelativePointerManagerState::new::<State>(display);
        OutputManagerState::new_with_xdg_output::<State>(display);
        IdleInhibitManagerState::new::<State>(display);
        CursorShapeManagerState::new::<State>(display);
        FractionalScaleManagerState::new::<State>(display);
        InputMethodManagerState::new::<State, _>(display, |_| true);
        PointerConstraintsState::new::<State>(display);
        PointerGesturesState::new::<State>(display);
        PresentationState::new::<State>(display, Monotonic::ID as u32);
        SinglePixelBufferState::new::<State>(display);
        TabletManagerState::new::<State>(display);
        TextInputManagerState::new::<State>(display);
        VirtualKeyboardManagerState::new::<State, _>(display, |_| true);
        XdgDecorationState::new::<State>(display);
        let primary_selection = PrimarySelectionState::new::<State>(display);
        let primary = Some(&primary_selection);
        Self {
            activation: XdgActivationState::new::<State>(display),
            ext_data_control: ext_data_control::DataControlState::new::<State, _>(
                display,
                primary,
                |_| true,
            ),
            foreign_toplevels: ForeignToplevelListState::new::<State>(display),
            shortcuts_inhibit: KeyboardShortcutsInhibitState::new::<State>(display),
            wlr_data_control: wlr_data_control::DataControlState::new::<State, _>(
                display,
                primary,
                |_| true,
            ),
            compositor: CompositorState::new_v6::<State>(display),
            data_device: DataDeviceState::new::<State>(display),
            dmabuf: DmabufState::new(),
            idle_notifier: IdleNotifierState::new(display, foreign),
            idleness_asked: false,
            layer_shell: WlrLayerShellState::new::<State>(display),
            primary_selection,
            seat: SeatState::new(),
            shm: ShmState::new::<State>(display, []),
            xdg_shell: XdgShellState::new::<State>(display),
            idle_inhibitors: Vec::new(),
            #[cfg(feature = "xwayland")]
            xwayland_shell: smithay::wayland::xwayland_shell::XWaylandShellState::new::<State>(
                display,
            ),
        }
    }
}

impl State {
    /// A compositor without clients, which draws on `backend`.
    ///
    /// # Errors
    ///
    /// No keymap can be compiled, or the loop refuses a source.
    pub fn new(
        mut handle: Handle,
        foreign: Foreign,
        display: &DisplayHandle,
        mut backend: Backend,
    ) -> Result<Self> {
        let mut globals = Globals::new(display, event_loop::calloop(&mut handle, &foreign)?);
        let mut seat = globals.seat.new_wl_seat(display, "seat-0");
        let (delay, rate) = KEY_REPEAT;
        seat.add_keyboard(Default::default(), delay, rate)
            .map_err(|error| format!("no keyboard: {error}"))?;
        seat.add_pointer();
        seat.add_touch();

        let output = output(&backend);
        if !backend.has_screens() {
            output.create_global::<State>(display);
        }
        let mut space = Space::default();
        space.map_output(&output, (0, 0));

        let formats = backend.dmabuf_formats();
        globals.dmabuf.create_global::<State>(display, formats);

        Ok(Self {
            remote: event_loop::remote(&mut handle)?,
            handle,
            foreign,
            display: display.clone(),
            globals,
            connections: Connections::default(),
            rounds: 0,
            clients: Clients::default(),
            seat,
            space,
            windows: Windows::default(),
            layers: Layers::default(),
            lock: Lock::new(display),
            popups: PopupManager::default(),
            popup_grab: None,
            frames: Frames::new(&output),
            output,
            pointer_target: None,
            keyboard_moved: false,
            touched: Vec::new(),
            stylus: None,
            cursor: CursorImageStatus::default_named(),
            drag_icon: None,
            backend,
            screenshots: Screenshots::default(),
            screenshot_path: PathBuf::new(),
            epoch: Instant::now(),
            #[cfg(feature = "xwayland")]
            xwayland: None,
        })
    }

    /// The time of events, from the start on.
    pub fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    pub fn now_milliseconds(&self) -> u32 {
        self.now().as_millis() as u32
    }

    /// What follows each round of the loop.
    pub fn after_round(&mut self) {
        self.rounds += 1;
        #[cfg(feature = "xwayland")]
        crate::xwayland::associate(self);
        windows::settle_focus(self);
        toplevels::answer_decorations(self);
        lock::keep(self);
        if std::mem::take(&mut self.keyboard_moved) {
            constraints::update(self);
        }
        connection::flush(self);
    }

    pub fn pointer_location(&self) -> Point<f64, Logical> {
        self.seat.get_pointer().map(|pointer| pointer.current_location()).unwrap_or_default()
    }

    pub fn statistics(&mut self) -> Vec<String> {
        #[allow(unused_mut, reason = "a seat has more")]
        let mut lines = vec![
            format!("loop: {}, {} rounds", event_loop::NAME, self.rounds),
            self.connections.statistics(),
            self.frames.statistics(),
            self.clients.statistics(),
            input::statistics(self),
        ];
        #[cfg(feature = "tty")]
        lines.extend(crate::tty::statistics(self));
        lines
    }
}

fn output(backend: &Backend) -> Output {
    let output = Output::new(
        backend.name().to_owned(),
        PhysicalProperties {
            size: (0, 0).into(),
            subpixel: Subpixel::Unknown,
            make: "soloop".to_owned(),
            model: backend.name().to_owned(),
        },
    );
    let mode = Mode { size: backend.size(), refresh: 60_000 };
    output.set_preferred(mode);
    output.change_current_state(
        Some(mode),
        Some(backend.transform()),
        Some(Scale::Integer(1)),
        Some((0, 0).into()),
    );
    debug_assert!(matches!(backend.transform(), Transform::Normal | Transform::Flipped180));
    output
}
