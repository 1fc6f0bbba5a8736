//! Where subsurfaces are: `wl_subsurface.set_position`, and the delegation of the rest of `wl_compositor`.
//!
//! The protocol has a position take effect with the next commit of the parent. Smithay 0.7 keeps it with the state
//! of the subsurface: one that is not synchronized moves with its own commit, and one that is moves with any
//! commit above it, for a commit takes along what synchronized surfaces below have pending. So positions are kept
//! here, with the state of the parent, into which they come by its own commit only. What Smithay finds in the
//! subsurface is set from there, before it looks.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use smithay::reexports::wayland_server::backend::ClientId;
use smithay::reexports::wayland_server::protocol::{
    wl_callback::WlCallback, wl_compositor::WlCompositor, wl_region::WlRegion,
    wl_subcompositor::WlSubcompositor, wl_subsurface, wl_subsurface::WlSubsurface,
    wl_surface::WlSurface,
};
use smithay::reexports::wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, delegate_dispatch, delegate_global_dispatch,
};
use smithay::utils::{IsAlive, Logical, Point};
use smithay::wayland::compositor::{
    Cacheable, CompositorHandler, CompositorState, RegionUserData, SubsurfaceCachedState,
    SubsurfaceUserData, SurfaceUserData, add_pre_commit_hook, get_children, get_parent,
    with_states,
};

use super::compositor::root;
use crate::state::State;
use crate::{input, windows};

/// Where the subsurfaces of a surface are that were ever positioned: a part of its state.
#[derive(Default)]
struct Places(HashMap<WlSurface, Point<i32, Logical>>);

impl Cacheable for Places {
    fn commit(&mut self, _: &DisplayHandle) -> Self {
        std::mem::take(self)
    }

    fn merge_into(self, into: &mut Self, _: &DisplayHandle) {
        into.0.extend(self.0);
    }
}

/// What is asked for, until the surface is committed.
#[derive(Default)]
struct Asked(Mutex<Places>);

/// Has the commits of a surface take along where its subsurfaces are to be.
pub fn watch_commits(surface: &WlSurface) {
    add_pre_commit_hook::<State, _>(surface, |_, _, surface| {
        with_states(surface, |states| {
            if let Some(Asked(asked)) = states.data_map.get::<Asked>() {
                let asked =
                    std::mem::take(&mut *asked.lock().unwrap_or_else(PoisonError::into_inner));
                states.cached_state.get::<Places>().pending().0.extend(asked.0);
            }
        });
    });
}

fn ask(subsurface: &WlSurface, place: Point<i32, Logical>) {
    // Without a parent it is nowhere.
    let Some(parent) = get_parent(subsurface) else { return };
    with_states(&parent, |states| {
        states.data_map.insert_if_missing_threadsafe(Asked::default);
        if let Some(Asked(asked)) = states.data_map.get::<Asked>() {
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.0.insert(subsurface.clone(), place);
        }
    });
}

/// It is no subsurface any more. If it becomes one again it begins at the corner of its parent.
fn forget(subsurface: &WlSurface) {
    let Some(parent) = get_parent(subsurface) else { return };
    with_states(&parent, |states| {
        if let Some(Asked(asked)) = states.data_map.get::<Asked>() {
            asked.lock().unwrap_or_else(PoisonError::into_inner).0.remove(subsurface);
        }
        let mut places = states.cached_state.get::<Places>();
        places.pending().0.remove(subsurface);
        places.current().0.remove(subsurface);
    });
}

/// Has Smithay find the subsurfaces of the tree that a surface belongs to where they are.
pub fn place(surface: &WlSurface) {
    place_below(&root(surface));
}

#[allow(clippy::mutable_key_type, reason = "the hash of a surface is that of its id")]
fn place_below(surface: &WlSurface) {
    let children = get_children(surface);
    if children.is_empty() {
        return;
    }
    let places = with_states(surface, |states| {
        let mut places = states.cached_state.get::<Places>();
        let Places(places) = places.current();
        places.retain(|child, _| child.alive());
        places.clone()
    });
    for child in children {
        let place = places.get(&child).copied().unwrap_or_default();
        with_states(&child, |states| {
            states.cached_state.get::<SubsurfaceCachedState>().current().location = place;
        });
        place_below(&child);
    }
}

impl Dispatch<WlSubsurface, SubsurfaceUserData> for State {
    fn request(
        state: &mut Self,
        client: &Client,
        subsurface: &WlSubsurface,
        request: wl_subsurface::Request,
        data: &SubsurfaceUserData,
        display: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        if let wl_subsurface::Request::SetPosition { x, y } = request {
            let scale = state.client_compositor_state(client).client_scale();
            let place = Point::<f64, Logical>::from((f64::from(x), f64::from(y)));
            ask(data.surface(), place.downscale(scale).to_i32_round());
        } else {
            <CompositorState as Dispatch<_, _, Self>>::request(
                state, client, subsurface, request, data, display, init,
            );
        }
    }

    fn destroyed(
        state: &mut Self,
        client: ClientId,
        subsurface: &WlSubsurface,
        data: &SubsurfaceUserData,
    ) {
        input::end_touches_on(state, data.surface());
        forget(data.surface());
        <CompositorState as Dispatch<_, _, Self>>::destroyed(state, client, subsurface, data);
        windows::lost(state);
    }
}

// `delegate_compositor!`, but for `WlSubsurface`.
delegate_global_dispatch!(State: [WlCompositor: ()] => CompositorState);
delegate_global_dispatch!(State: [WlSubcompositor: ()] => CompositorState);
delegate_dispatch!(State: [WlCompositor: ()] => CompositorState);
delegate_dispatch!(State: [WlSurface: SurfaceUserData] => CompositorState);
delegate_dispatch!(State: [WlRegion: RegionUserData] => CompositorState);
delegate_dispatch!(State: [WlCallback: ()] => CompositorState);
delegate_dispatch!(State: [WlSubcompositor: ()] => CompositorState);
