// calloop: any state will do; callbacks that need the loop capture a clone of its handle, and leak it.
// error[E0599]: the function or associated item `new` exists for struct `EventLoop<State>`, but its trait bounds were not satisfied

use soloop::EventLoop;

struct State;

fn main() -> soloop::Result<()> {
    let (_event_loop, _handle) = EventLoop::<State>::new()?;
    Ok(())
}
