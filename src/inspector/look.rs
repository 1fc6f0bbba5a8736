//! Serves a viewer from inside [`LoopHandle::inspect`](crate::LoopHandle::inspect), with access to the loop.

use std::time::{Duration, Instant};

use super::message::{Counts, Source};
use super::recorder::{Attached, Recorder, TraceBuffer, nanos};
use super::viewer::{Tracing, Viewer};
use crate::error::type_name::without_paths;
use crate::{AnyToken, ChromeTrace, EventLoop, LoopData, SourceRow, Token};

/// How long one look collects rows, and so delays a callback.
const SLICE: Duration = Duration::from_micros(25);

/// How many bytes of a message a row takes, roughly.
const ROW: usize = 250;

/// A snapshot in progress.
#[derive(Debug, Default)]
pub(super) struct Collecting {
    /// The snapshot's number, and the sources still to be collected.
    begun: Option<(u64, Vec<AnyToken>)>,
    /// The message so far.
    line: Vec<u8>,
}

/// Collects what `viewer` requested, and queues it for the viewer.
pub(super) fn look<Data: LoopData>(
    viewer: Token<Viewer>,
    event_loop: &mut EventLoop<Data>,
    data: &mut Data,
) {
    if event_loop.observer::<Recorder>().is_none() {
        event_loop.set_observer(Recorder::new());
    }
    let Some(source) = event_loop.get_mut(viewer) else { return };
    let (slow, tracing) = (source.slow, source.tracing);
    let Some(notifier) = source.notifier() else { return };
    let collecting = source.collecting.take();
    let Some(recorder) = event_loop.observer_mut::<Recorder>() else { return };
    recorder.set_own();
    let attached = Attached { notifier, slow, pending: Vec::new(), trace: None };
    let attached = recorder.viewers.entry(viewer).or_insert(attached);
    attached.slow = slow;
    let mut lines = std::mem::take(&mut attached.pending);
    let now = data.loop_handle().now();
    let tracing = trace(attached, tracing, now, &mut lines);
    let collected = collecting.map(|collecting| collect(collecting, event_loop, data));

    let Some(source) = event_loop.get_mut(viewer) else { return };
    source.tracing = tracing;
    lines.into_iter().for_each(|line| source.send(line));
    match collected {
        Some(Ok(line)) => source.send(line),
        unfinished => source.collecting = unfinished.and_then(Result::err),
    }
    data.loop_handle().update(viewer, |_| ());
}

/// Begins or ends a trace.
fn trace(
    attached: &mut Attached,
    tracing: Option<Tracing>,
    now: Instant,
    lines: &mut Vec<Vec<u8>>,
) -> Option<Tracing> {
    match tracing {
        Some(Tracing::For(time)) => {
            attached.trace = Some(ChromeTrace::new(TraceBuffer::default()));
            Some(Tracing::Until(now.checked_add(time).unwrap_or(now)))
        }
        Some(Tracing::Until(end)) if end <= now => {
            if let Some(mut trace) = attached.trace.take() {
                let truncated = trace.finish().is_err();
                let text = std::mem::take(&mut trace.get_mut().text);
                lines.push(trace_line(text, truncated));
            }
            None
        }
        tracing => tracing,
    }
}

/// The message for a trace, whose events are JSON text already.
fn trace_line(events: Vec<u8>, truncated: bool) -> Vec<u8> {
    let mut line = format!("{{\"trace\":{{\"truncated\":{truncated},\"events\":").into_bytes();
    line.extend(events);
    line.extend(if truncated { &b"]}}\n"[..] } else { b"}}\n" });
    line
}

/// Continues a snapshot for one slice. Returns its message when it is complete.
fn collect<Data: LoopData>(
    collecting: Collecting,
    event_loop: &mut EventLoop<Data>,
    data: &mut Data,
) -> Result<Vec<u8>, Collecting> {
    let started = Instant::now();
    let Collecting { begun, mut line } = collecting;
    let (number, mut left) = begun.unwrap_or_else(|| begin(event_loop, &mut line));
    let handle = data.loop_handle();
    let now = handle.now();
    while let Some(token) = left.pop() {
        let Some(row) = event_loop.source_row(token, handle) else { continue };
        #[cfg(feature = "executor")]
        let task = handle.downcast::<crate::Task>(token).and_then(|task| event_loop.get(task));
        #[cfg(feature = "executor")]
        let waits_for = task.map(|task| task.waits().to_string());
        #[cfg(not(feature = "executor"))]
        let waits_for = None;
        let Some(recorder) = event_loop.observer_mut::<Recorder>() else { break };
        if line.last() != Some(&b'[') {
            line.push(b',');
        }
        write(&mut line, &source(row, recorder.show(token), waits_for, now));
        if started.elapsed() >= SLICE {
            return Err(Collecting { begun: Some((number, left)), line });
        }
    }
    let recorder = event_loop.observer_mut::<Recorder>();
    let gone = recorder.map(|recorder| recorder.end_snapshot(number)).unwrap_or_default();
    line.extend(b"],\"gone\":");
    write(&mut line, &gone);
    line.extend(b"}}\n");
    Ok(line)
}

fn begin<Data>(event_loop: &mut EventLoop<Data>, line: &mut Vec<u8>) -> (u64, Vec<AnyToken>) {
    let left: Vec<_> = event_loop.tokens().collect();
    // Otherwise one of the looks moves most of the message.
    line.reserve(left.len() * ROW);
    let begun = event_loop.observer_mut::<Recorder>().map(Recorder::begin_snapshot);
    let (number, totals, others) = begun.unwrap_or_default();
    line.extend(b"{\"snapshot\":{\"loop\":");
    write(line, &totals);
    line.extend(b",\"others\":");
    write(line, &others);
    line.extend(b",\"sources\":[");
    (number, left)
}

fn source(
    row: SourceRow,
    recorded: Option<(&Counts, Option<&str>)>,
    waits_for: Option<String>,
    now: Instant,
) -> Source {
    let (counts, last_error) = recorded.unzip();
    Source {
        id: row.token.to_bits(),
        name: row.name,
        type_name: without_paths(row.type_name),
        enabled: row.enabled,
        priority: row.priority.as_str().into(),
        scoped: row.scoped,
        due_in_ns: row.deadline.map(|deadline| due_in(deadline, now)),
        backlog: row.backlog,
        waits_for,
        last_error: last_error.flatten().map(str::to_owned).or(row.last_error),
        counts: counts.cloned().unwrap_or_default(),
    }
}

fn due_in(deadline: Instant, now: Instant) -> i64 {
    let from = |start, end: Instant| {
        i64::try_from(nanos(end.saturating_duration_since(start))).unwrap_or(i64::MAX)
    };
    // One of the two is 0.
    from(now, deadline) - from(deadline, now)
}

fn write(line: &mut Vec<u8>, value: &impl serde::Serialize) {
    // Writing to memory does not fail, and all keys of these values are strings.
    let _ = serde_json::to_writer(line, value);
}
