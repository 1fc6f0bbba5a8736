// calloop: refused as well, or the state is made `'static` by `Rc` and clones.
// error[E0505]: cannot move out of `config` because it is borrowed

use std::time::Duration;

use soloop::{EventLoop, LoopData, LoopHandle};

struct Config {
    name: &'static str,
}

struct App<'a> {
    handle: LoopHandle<App<'a>>,
    config: &'a Config,
}

impl LoopData for App<'_> {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let config = Config { name: "seat0" };
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut app = App { handle, config: &config };
    drop(config);
    app.handle.insert_idle(|app| assert_eq!(app.config.name, "seat0"));
    event_loop.dispatch(Duration::ZERO, &mut app)
}
