// calloop: no task waits for a source.
// error[E0277]: the trait bound `Result<PostAction, std::io::Error>: Default` is not satisfied
// Headline only: it is said of the source, of the future and of its `await`. `adapt_io` is what a task has for fds.

use std::os::unix::net::UnixStream;

use soloop::{EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, TaskContext};

struct State {
    handle: LoopHandle<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::<State>::new()?;
    handle.spawn(|cx: TaskContext<State>| async move {
        let (_theirs, ours) = UnixStream::pair().unwrap();
        let source = Generic::new(ours, Interest::READ, Mode::Level);
        let _ready = cx.once(source).await;
    });
    Ok(())
}
