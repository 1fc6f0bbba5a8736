// A state needs no `'static`: it borrows what outlives it, and its callbacks use that through it.

use std::time::Duration;

use soloop::{Clock, EventLoop, LoopData, LoopHandle, TimeoutAction, Timer};

struct Config {
    name: String,
}

struct App<'a> {
    handle: LoopHandle<App<'a>>,
    config: &'a Config,
    log: &'a mut Vec<String>,
}

impl LoopData for App<'_> {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let config = Config { name: "seat0".to_owned() };
    let mut log = Vec::new();
    let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    let mut app = App { handle, config: &config, log: &mut log };
    let second = Duration::from_secs(1);
    let timer = Timer::from_duration(second);
    app.handle.insert_source(timer, move |_, app: &mut App| {
        app.log.push(format!("hello {}", app.config.name));
        if app.log.len() == 2 {
            app.handle.stop();
        }
        TimeoutAction::ToDuration(second)
    })?;
    event_loop.run(None, &mut app, |_| ())?;
    drop((event_loop, app));
    assert_eq!(log, ["hello seat0", "hello seat0"]);
    Ok(())
}
