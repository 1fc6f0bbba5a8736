//! What a Wayland compositor offers, asked for through `WaylandSource`. With `WAYLAND_DISPLAY` set:
//! `cargo run --features wayland-client --example globals`

use soloop::{EventLoop, LoopData, LoopHandle, WaylandSource};
use wayland_client::protocol::{wl_callback, wl_registry};
use wayland_client::{Connection, Dispatch, QueueHandle};

struct State {
    handle: LoopHandle<State>,
    globals: Vec<String>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl Dispatch<wl_registry::WlRegistry, ()> for State {
    fn event(
        state: &mut Self,
        _: &wl_registry::WlRegistry,
        event: wl_registry::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_registry::Event::Global { interface, version, .. } = event {
            state.globals.push(format!("{interface} {version}"));
        }
    }
}

impl Dispatch<wl_callback::WlCallback, ()> for State {
    fn event(
        state: &mut Self,
        _: &wl_callback::WlCallback,
        _: wl_callback::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        // Everything that was asked for before has been answered.
        state.handle.stop();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Ok(connection) = Connection::connect_to_env() else {
        println!("no compositor: WAYLAND_DISPLAY names none");
        return Ok(());
    };
    let queue = connection.new_event_queue::<State>();
    connection.display().get_registry(&queue.handle(), ());
    connection.display().sync(&queue.handle(), ());

    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, globals: Vec::new() };
    let source = WaylandSource::new(connection, queue);
    state.handle.insert_source(source, |queue, state| queue.dispatch_pending(state))?;
    event_loop.run(None, &mut state, |_| ())?;
    for global in &state.globals {
        println!("{global}");
    }
    Ok(())
}
