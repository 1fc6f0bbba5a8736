// A loop stays in the thread that made it; that thread hands out the `Remote`.

use std::sync::mpsc;
use std::thread;

use soloop::{EventLoop, LoopData, LoopHandle, Remote};

struct State {
    handle: LoopHandle<State>,
    requests: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn serve(ready: mpsc::Sender<Remote<State>>) -> soloop::Result<u32> {
    let (mut event_loop, handle) = EventLoop::new()?;
    ready.send(handle.remote()).unwrap();
    let mut state = State { handle, requests: 0 };
    event_loop.run(None, &mut state, |_| ())?;
    Ok(state.requests)
}

fn main() -> soloop::Result<()> {
    let (ready, made) = mpsc::channel();
    let server = thread::spawn(move || serve(ready));
    let remote = made.recv().unwrap();
    for _ in 0..10 {
        assert!(remote.post(|state| state.requests += 1));
    }
    assert!(remote.post(|state| state.handle.stop()));
    assert_eq!(server.join().unwrap()?, 10);
    Ok(())
}
