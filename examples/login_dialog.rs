//! A login dialog as straight-line async code over one global state, on a clock that jumps.
//!
//! As callbacks this is a state machine: prompt, wait for a key or the timeout, check in a thread, lock for a
//! while after three failures, start again. As a task it reads from top to bottom. The state stays the only
//! place where anything is kept: the screen, the keys that were typed, the session; the task reaches it
//! between two awaits. Time is virtual, so that the minutes that pass here take no time.
//!
//! ```text
//! cargo run --example login_dialog
//! ```

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Duration;

use soloop::{
    Clock, EventLoop, LoopData, LoopHandle, TaskContext, TimeoutAction, Timer, Token, spawn::Task,
};

struct State {
    handle: LoopHandle<State>,
    screen: Vec<String>,
    keyboard: Keyboard,
    user: Option<String>,
}

/// What was typed and not read yet, and who waits for it.
#[derive(Default)]
struct Keyboard {
    lines: VecDeque<String>,
    reader: Option<Waker>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    fn show(&mut self, text: impl Into<String>) {
        self.screen.push(text.into());
    }

    /// What the input source of a real program would call.
    fn typed(&mut self, line: &str) {
        self.keyboard.lines.push_back(line.to_owned());
        if let Some(reader) = self.keyboard.reader.take() {
            reader.wake();
        }
    }
}

type Cx = TaskContext<State>;

/// The dialog. Its result is in the state.
async fn log_in(cx: Cx) {
    loop {
        for _ in 0..3 {
            cx.with(|state| state.show("login:")).await;
            let name = read_line(&cx).await;
            cx.with(|state| state.show("password:")).await;
            let Ok(password) = cx.timeout(Duration::from_secs(30), read_line(&cx)).await else {
                cx.with(|state| state.show("too slow")).await;
                continue;
            };
            // Checking takes its time, on purpose.
            cx.sleep(Duration::from_millis(1500)).await;
            if password == "swordfish" {
                cx.with(move |state| {
                    state.show(format!("welcome, {name}"));
                    state.user = Some(name);
                    state.handle.stop();
                })
                .await;
                return;
            }
            cx.with(|state| state.show("wrong")).await;
        }
        cx.with(|state| state.show("locked for five minutes")).await;
        cx.sleep(Duration::from_secs(300)).await;
    }
}

/// The next line that is typed.
async fn read_line(cx: &Cx) -> String {
    loop {
        let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
        let line = cx.with(move |state| {
            let line = state.keyboard.lines.pop_front();
            if line.is_none() {
                state.keyboard.reader = Some(waker);
            }
            line
        });
        if let Some(line) = line.await {
            return line;
        }
        woken().await;
    }
}

/// Is ready when the task is polled anew.
async fn woken() {
    let mut polled = false;
    poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending })
        .await;
}

/// Types `lines`, each so many seconds after the start.
fn script(state: &mut State, lines: &[(u64, &'static str)]) -> soloop::Result<()> {
    let started = state.handle.now();
    for &(second, line) in lines {
        let timer = Timer::from_deadline(started + Duration::from_secs(second));
        state.handle.insert_source(timer, move |_, state| {
            state.typed(line);
            TimeoutAction::Drop
        })?;
    }
    Ok(())
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    let mut state = State { handle, screen: Vec::new(), keyboard: Keyboard::default(), user: None };
    let started = state.handle.now();

    script(
        &mut state,
        &[
            (1, "ada"),
            (2, "12345"), // wrong
            (10, "ada"),  // and then nothing for 30 seconds
            (60, "ada"),
            (61, "letmein"), // wrong: the third failure, five minutes of rest
            (70, "ada"),     // typed ahead
            (370, "swordfish"),
        ],
    )?;
    let dialog: Token<Task> = state.handle.spawn(log_in);
    event_loop.run(None, &mut state, |_| ())?;

    for line in &state.screen {
        println!("{line}");
    }
    let passed = state.handle.now() - started;
    println!("({passed:?} passed on the loop's clock)");
    assert_eq!(state.user.as_deref(), Some("ada"));
    assert_eq!(passed, Duration::from_millis(371_500));
    assert!(!state.handle.contains(dialog), "a task that is done is gone");
    Ok(())
}
