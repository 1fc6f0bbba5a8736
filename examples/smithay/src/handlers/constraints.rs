//! The pointer that stays where it is, or within a surface: `pointer-constraints`. It takes effect while the pointer is
//! on the surface and the window has the keyboard, so that Alt+Tab ends it.

use smithay::delegate_pointer_constraints;
use smithay::input::pointer::PointerHandle;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{Logical, Point};
use smithay::wayland::compositor::RegionAttributes;
use smithay::wayland::pointer_constraints::{
    PointerConstraint, PointerConstraintsHandler, with_pointer_constraint,
};

use super::compositor::root;
use crate::state::State;

/// What holds the pointer.
pub enum Hold {
    /// It stays where it is.
    Locked,
    /// It stays on this surface, which is here, and there in this part of it.
    Confined(WlSurface, Point<f64, Logical>, Option<RegionAttributes>),
}

/// What holds the pointer now.
pub fn hold(state: &State) -> Option<Hold> {
    let (surface, origin) = state.pointer_target.clone()?;
    let pointer = state.seat.get_pointer()?;
    with_pointer_constraint(&surface, &pointer, |constraint| {
        let constraint = constraint.filter(|constraint| constraint.is_active())?;
        Some(match &*constraint {
            PointerConstraint::Locked(_) => Hold::Locked,
            PointerConstraint::Confined(confined) => {
                Hold::Confined(surface.clone(), origin, confined.region().cloned())
            }
        })
    })
}

impl Hold {
    /// Where the pointer comes to that is moved from one point to another.
    pub fn apply(
        &self,
        state: &State,
        from: Point<f64, Logical>,
        to: Point<f64, Logical>,
    ) -> Point<f64, Logical> {
        let Self::Confined(surface, origin, region) = self else { return from };
        let allowed = |point: &Point<f64, Logical>| {
            let inside = (*point - *origin).to_i32_floor();
            let within = region.as_ref().is_none_or(|region| region.contains(inside));
            within && state.surface_under(*point).is_some_and(|(under, _)| under == *surface)
        };
        if allowed(&to) {
            return to;
        }
        // To an edge, and along that.
        let x = reach(from.x, to.x, |x| allowed(&(x, from.y).into()));
        let y = reach(from.y, to.y, |y| allowed(&(x, y).into()));
        (x, y).into()
    }
}

/// How far one comes from a place where one may be to another: there, or to the last whole pixel before an edge.
fn reach(from: f64, to: f64, allowed: impl Fn(f64) -> bool) -> f64 {
    if allowed(to) {
        return to;
    }
    let (mut near, mut far) = (from, to);
    while (far - near).abs() > 1.0 / 256.0 {
        let middle = f64::midpoint(near, far);
        if allowed(middle) { near = middle } else { far = middle }
    }
    near.floor()
}

/// The pointer, the keyboard or a constraint may have come to another surface: that which is to be held is.
pub fn update(state: &State) {
    let Some((surface, origin)) = &state.pointer_target else { return };
    let (Some(pointer), Some(keyboard)) = (state.seat.get_pointer(), state.seat.get_keyboard())
    else {
        return;
    };
    let focus = keyboard.current_focus().map(WlSurface::from);
    let wanted = focus == Some(root(surface)) && pointer.current_focus().as_ref() == Some(surface);
    let inside = (pointer.current_location() - *origin).to_i32_floor();
    with_pointer_constraint(surface, &pointer, |constraint| {
        let Some(constraint) = constraint else { return };
        let within = constraint.region().is_none_or(|region| region.contains(inside));
        match (wanted, constraint.is_active()) {
            (true, false) if within => constraint.activate(),
            (false, true) => constraint.deactivate(),
            _ => {}
        }
    });
}

impl PointerConstraintsHandler for State {
    fn new_constraint(&mut self, _: &WlSurface, _: &PointerHandle<Self>) {
        update(self);
    }

    /// Where the client would have the pointer while it is locked, and so where it goes on from.
    fn cursor_position_hint(
        &mut self,
        surface: &WlSurface,
        pointer: &PointerHandle<Self>,
        location: Point<f64, Logical>,
    ) {
        let held = matches!(hold(self), Some(Hold::Locked));
        if let Some((target, origin)) = &self.pointer_target
            && held
            && target == surface
        {
            pointer.set_location(*origin + location);
        }
    }
}

delegate_pointer_constraints!(State);
