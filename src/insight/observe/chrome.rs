//! Traces for `chrome://tracing` and <https://ui.perfetto.dev>.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::{CallbackReport, Observer, WaitReport};

/// An [`Observer`] that writes each wait and each callback as a JSON trace, which `chrome://tracing` and Perfetto
/// open.
///
/// The format is the array form of the [Trace Event
/// Format](https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU).
/// `examples/trace_picture.rs` draws it: `docs/trace.svg` shows ninety milliseconds of the example compositor.
///
/// It writes one line per event, so wrap a file in a [`BufWriter`](std::io::BufWriter). [`finish`](Self::finish)
/// closes the array and returns errors. So does dropping the trace, without errors: with the loop, by
/// [`clear_observers`](crate::EventLoop::clear_observers), or when
/// [`set_observer`](crate::EventLoop::set_observer) replaces it.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("trace.json");
/// use std::fs::File;
/// use std::io::BufWriter;
/// use soloop::{ChromeTrace, EventLoop};
///
/// type Trace = ChromeTrace<BufWriter<File>>;
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle };
/// event_loop.set_observer(ChromeTrace::new(BufWriter::new(File::create(&path)?)));
/// state.handle.insert_idle(|_state| println!("busy"));
/// event_loop.dispatch(None, &mut state)?;
/// event_loop.observer_mut::<Trace>().unwrap().finish()?;
///
/// let events: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path)?).unwrap();
/// assert!(events.as_array().unwrap().iter().any(|event| event["name"] == "idle"));
/// # Ok::<(), soloop::Error>(())
/// ```
pub struct ChromeTrace<W: Write> {
    writer: W,
    epoch: Instant,
    /// Nothing has been written yet.
    empty: bool,
    /// The array is closed, or writing failed. With the error, unless `finish` has returned it.
    ended: Option<io::Result<()>>,
}

impl<W: Write> ChromeTrace<W> {
    /// Makes a trace that writes to `writer`; its times are in microseconds from now on.
    pub fn new(writer: W) -> Self {
        Self { writer, epoch: Instant::now(), empty: true, ended: None }
    }

    /// Closes the array, and flushes the writer. Later events are not traced.
    ///
    /// # Errors
    ///
    /// The first error of the writer since the trace began. Nothing was written after it.
    pub fn finish(&mut self) -> io::Result<()> {
        if let Some(ended) = self.ended.replace(Ok(())) {
            return ended;
        }
        let opened = if self.empty { "[" } else { "" };
        self.writer.write_all(format!("{opened}\n]\n").as_bytes())?;
        self.writer.flush()
    }

    /// Borrows the writer mutably.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    fn event(&mut self, name: &str, kind: &str, at: Instant, duration: Duration, args: &str) {
        if self.ended.is_some() {
            return;
        }
        // One process, one thread: the loop's. "X" is a complete event, with a beginning and a duration.
        let line = format!(
            "{}\n{{\"name\":{},\"cat\":\"{kind}\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\
             \"ts\":{},\"dur\":{},\"args\":{{{args}}}}}",
            if self.empty { "[" } else { "," },
            Json(name),
            Micros(at.saturating_duration_since(self.epoch)),
            Micros(duration),
        );
        self.empty = false;
        self.ended = self.writer.write_all(line.as_bytes()).err().map(Err);
    }
}

impl<W: Write> Observer for ChromeTrace<W> {
    fn wait_end(&mut self, report: &WaitReport) {
        let args = format!("\"events\":{}", report.events);
        self.event("wait", "wait", report.started, report.duration, &args);
    }

    fn callback_end(&mut self, report: &CallbackReport<'_>) {
        let mut args = format!("\"priority\":\"{:?}\"", report.priority);
        if let Some(lateness) = report.lateness {
            args += &format!(",\"lateness_us\":{}", Micros(lateness));
        }
        self.event(report.name, report.kind.as_str(), report.started, report.duration, &args);
    }
}

impl<W: Write> Drop for ChromeTrace<W> {
    fn drop(&mut self) {
        // `drop` can't report an error; `finish` does.
        let _ = self.finish();
    }
}

impl<W: Write> fmt::Debug for ChromeTrace<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChromeTrace").field("done", &self.ended.is_some()).finish_non_exhaustive()
    }
}

/// Microseconds with three digits after the point.
struct Micros(Duration);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        write!(f, "{}.{:03}", nanos / 1000, nanos % 1000)
    }
}

/// A JSON string.
struct Json<'a>(&'a str);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\0'..' ' => write!(f, "\\u{:04x}", u32::from(c))?,
                _ => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}
