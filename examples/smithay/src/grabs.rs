//! Moving and resizing windows with the pointer: grabs, which have the pointer until its button is released.

use smithay::input::SeatHandler;
use smithay::input::pointer::{
    AxisFrame, ButtonEvent, GestureHoldBeginEvent, GestureHoldEndEvent, GesturePinchBeginEvent,
    GesturePinchEndEvent, GesturePinchUpdateEvent, GestureSwipeBeginEvent, GestureSwipeEndEvent,
    GestureSwipeUpdateEvent, GrabStartData, MotionEvent, PointerGrab, PointerInnerHandle,
    RelativeMotionEvent,
};
use smithay::reexports::wayland_protocols::xdg::shell::server::xdg_toplevel::{self, ResizeEdge};
use smithay::utils::{Logical, Point, Rectangle, Size};

use crate::element::Window;
use crate::handlers::shell::set_state;
use crate::state::State;
use crate::{frames, windows};

type Start = GrabStartData<State>;
type Focus = Option<(<State as SeatHandler>::PointerFocus, Point<f64, Logical>)>;

/// The sides that are dragged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Edges {
    left: bool,
    right: bool,
    top: bool,
    bottom: bool,
}

impl Edges {
    /// Those nearest to a point of a window.
    pub fn nearest(window: Rectangle<i32, Logical>, point: Point<f64, Logical>) -> Self {
        let inside = point.to_i32_round::<i32>() - window.loc;
        let left = inside.x < window.size.w / 2;
        let top = inside.y < window.size.h / 2;
        Self { left, right: !left, top, bottom: !top }
    }
}

impl From<ResizeEdge> for Edges {
    fn from(edge: ResizeEdge) -> Self {
        use ResizeEdge::{Bottom, BottomLeft, BottomRight, Left, Right, Top, TopLeft, TopRight};
        Self {
            left: matches!(edge, Left | TopLeft | BottomLeft),
            right: matches!(edge, Right | TopRight | BottomRight),
            top: matches!(edge, Top | TopLeft | TopRight),
            bottom: matches!(edge, Bottom | BottomLeft | BottomRight),
        }
    }
}

pub struct MoveGrab {
    window: Window,
    origin: Point<i32, Logical>,
    start: Start,
}

impl MoveGrab {
    pub fn new(state: &State, window: Window, start: Start) -> Option<Self> {
        let origin = state.space.element_location(&window)?;
        Some(Self { window, origin, start })
    }

    fn drag(&mut self, state: &mut State, to: Point<f64, Logical>) {
        let origin = self.origin + (to - self.start.location).to_i32_round();
        state.space.map_element(self.window.clone(), origin, false);
        #[cfg(feature = "xwayland")]
        crate::xwayland::follow(state, &self.window);
        frames::schedule(state);
    }

    fn end(&mut self, _: &mut State) {}
}

pub struct ResizeGrab {
    window: Window,
    edges: Edges,
    initial: Rectangle<i32, Logical>,
    start: Start,
}

/// A window that is resized: those of its sides that are not dragged stay where they are.
pub struct Resizing {
    window: Window,
    edges: Edges,
    initial: Rectangle<i32, Logical>,
    /// The last size that the client is asked for, once the button is released.
    last: Option<Size<i32, Logical>>,
}

impl Resizing {
    /// The client has committed a size, perhaps the last.
    pub fn follow(state: &mut State, window: &Window) {
        let Some(resizing) = state.windows.resizing.as_ref().filter(|it| it.window == *window)
        else {
            return;
        };
        let size = window.geometry().size;
        let Rectangle { mut loc, size: initial } = resizing.initial;
        if resizing.edges.left {
            loc.x += initial.w - size.w;
        }
        if resizing.edges.top {
            loc.y += initial.h - size.h;
        }
        let done = resizing.last == Some(size);
        windows::relocate(state, window, loc);
        if done {
            state.windows.resizing = None;
        }
    }
}

impl ResizeGrab {
    pub fn new(state: &mut State, window: Window, start: Start, edges: Edges) -> Option<Self> {
        let initial = state.space.element_geometry(&window)?;
        let resizing = Resizing { window: window.clone(), edges, initial, last: None };
        state.windows.resizing = Some(resizing);
        Some(Self { window, edges, initial, start })
    }

    fn size(&self, to: Point<f64, Logical>) -> Size<i32, Logical> {
        let dragged: Point<i32, Logical> = (to - self.start.location).to_i32_round();
        let Size { w, h, .. } = self.initial.size;
        let side = |size: i32, towards: bool, away: bool, by: i32| {
            let change = if towards {
                by
            } else if away {
                -by
            } else {
                0
            };
            (size + change).max(32)
        };
        Size::from((
            side(w, self.edges.right, self.edges.left, dragged.x),
            side(h, self.edges.bottom, self.edges.top, dragged.y),
        ))
    }

    fn drag(&mut self, state: &mut State, to: Point<f64, Logical>) {
        self.ask(self.size(to), true);
        frames::schedule(state);
    }

    fn ask(&self, size: Size<i32, Logical>, resizing: bool) {
        if let Some(toplevel) = self.window.toplevel() {
            set_state(toplevel, xdg_toplevel::State::Resizing, resizing);
            toplevel.with_pending_state(|pending| pending.size = Some(size));
            toplevel.send_pending_configure();
        }
        #[cfg(feature = "xwayland")]
        crate::xwayland::resize(&self.window, size);
    }

    fn end(&mut self, state: &mut State) {
        let asked = self.window.toplevel().and_then(|toplevel| {
            set_state(toplevel, xdg_toplevel::State::Resizing, false);
            toplevel.send_pending_configure();
            toplevel.with_pending_state(|pending| pending.size)
        });
        if let Some(resizing) = &mut state.windows.resizing {
            resizing.last = Some(asked.unwrap_or_else(|| self.window.geometry().size));
        }
    }
}

/// Both have the pointer alone: clients hear nothing of it while it is dragged.
macro_rules! drag {
    ($grab:ty) => {
        impl PointerGrab<State> for $grab {
            fn motion(
                &mut self,
                state: &mut State,
                handle: &mut PointerInnerHandle<'_, State>,
                _: Focus,
                event: &MotionEvent,
            ) {
                handle.motion(state, None, event);
                self.drag(state, event.location);
            }

            fn relative_motion(
                &mut self,
                state: &mut State,
                handle: &mut PointerInnerHandle<'_, State>,
                focus: Focus,
                event: &RelativeMotionEvent,
            ) {
                handle.relative_motion(state, focus, event);
            }

            fn button(
                &mut self,
                state: &mut State,
                handle: &mut PointerInnerHandle<'_, State>,
                event: &ButtonEvent,
            ) {
                handle.button(state, event);
                if handle.current_pressed().is_empty() {
                    handle.unset_grab(self, state, event.serial, event.time, true);
                }
            }

            fn start_data(&self) -> &Start {
                &self.start
            }

            fn unset(&mut self, state: &mut State) {
                self.end(state);
                // The pointer has been on nothing.
                state.pointer_target = None;
                windows::lost(state);
            }

            drag!(@pass axis, AxisFrame);
            drag!(@pass gesture_swipe_begin, &GestureSwipeBeginEvent);
            drag!(@pass gesture_swipe_update, &GestureSwipeUpdateEvent);
            drag!(@pass gesture_swipe_end, &GestureSwipeEndEvent);
            drag!(@pass gesture_pinch_begin, &GesturePinchBeginEvent);
            drag!(@pass gesture_pinch_update, &GesturePinchUpdateEvent);
            drag!(@pass gesture_pinch_end, &GesturePinchEndEvent);
            drag!(@pass gesture_hold_begin, &GestureHoldBeginEvent);
            drag!(@pass gesture_hold_end, &GestureHoldEndEvent);

            fn frame(&mut self, state: &mut State, handle: &mut PointerInnerHandle<'_, State>) {
                handle.frame(state);
            }
        }
    };
    (@pass $name:ident, $event:ty) => {
        fn $name(
            &mut self,
            state: &mut State,
            handle: &mut PointerInnerHandle<'_, State>,
            event: $event,
        ) {
            handle.$name(state, event);
        }
    };
}

drag!(MoveGrab);
drag!(ResizeGrab);

#[cfg(feature = "xwayland")]
impl From<smithay::xwayland::xwm::ResizeEdge> for Edges {
    fn from(edge: smithay::xwayland::xwm::ResizeEdge) -> Self {
        use smithay::xwayland::xwm::ResizeEdge as X11;
        Self::from(match edge {
            X11::Top => ResizeEdge::Top,
            X11::Bottom => ResizeEdge::Bottom,
            X11::Left => ResizeEdge::Left,
            X11::TopLeft => ResizeEdge::TopLeft,
            X11::BottomLeft => ResizeEdge::BottomLeft,
            X11::Right => ResizeEdge::Right,
            X11::TopRight => ResizeEdge::TopRight,
            X11::BottomRight => ResizeEdge::BottomRight,
        })
    }
}
