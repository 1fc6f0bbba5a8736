// `Remote` goes to other threads whatever the state is made of; what it posts runs with the state, in the thread of the loop.

use std::thread;

use soloop::{EventLoop, LoopData, LoopHandle};

/// Neither `Send` nor `Sync`, as much of OpenGL and of Wayland.
struct Surface {
    pointer: *mut u8,
}

struct State {
    handle: LoopHandle<State>,
    surface: Surface,
    results: Vec<u64>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::<State>::new()?;
    let remote = handle.remote();
    let mut state =
        State { handle, surface: Surface { pointer: std::ptr::null_mut() }, results: Vec::new() };
    let home = thread::current().id();
    let worker = thread::spawn(move || {
        for n in 1..=3 {
            let result = n * n;
            remote.post(move |state| {
                assert_eq!(thread::current().id(), home);
                assert!(state.surface.pointer.is_null());
                state.results.push(result);
            });
        }
        remote.stop();
        remote
    });
    event_loop.run(None, &mut state, |_| ())?;
    let remote = worker.join().unwrap();
    event_loop.apply_pending(&mut state)?;
    assert_eq!(state.results, [1, 4, 9]);

    drop(event_loop);
    assert!(!remote.post(|_| unreachable!()), "the loop is gone");
    Ok(())
}
