//! Serves a viewer from inside [`LoopHandle::inspect`](crate::LoopHandle::inspect), with access to the loop.

use std::time::{Duration, Instant};

use super::message::Source;
use super::recorder::{Attached, Record, Recorder, TraceBuffer};
use super::viewer::{Tracing, Viewer};
use crate::clock::stamp;
use crate::error::type_name::without_paths;
use crate::{AnyToken, ChromeTrace, EventLoop, LoopData, SourceRow, Token};

/// How long one look collects rows, and so delays a callback.
const SLICE: Duration = Duration::from_micros(25);

/// How many bytes of a message a row takes, roughly.
const ROW: usize = 250;

/// A snapshot in progress.
#[derive(Debug, Default)]
pub(super) struct Collecting {
    number: u64,
    /// The sources still to be collected.
    left: Vec<AnyToken>,
    /// The message so far: empty until the first look.
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
    let Some((_, notifier)) = source.notifier.clone() else { return };
    let mut collecting = source.collecting.take();
    let Some(recorder) = event_loop.observer_mut::<Recorder>() else { return };
    recorder.is_own = true;
    let attached = Attached { notifier, slow, pending: Vec::new(), trace: None };
    let attached = recorder.viewers.entry(viewer).or_insert(attached);
    attached.slow = slow;
    let mut lines = std::mem::take(&mut attached.pending);
    let now = data.loop_handle().now();
    let tracing = trace(attached, tracing, now, &mut lines);
    let collected = collecting.take_if(|collecting| collect(collecting, event_loop, data));
    lines.extend(collected.map(|collected| collected.line));

    let Some(source) = event_loop.get_mut(viewer) else { return };
    (source.tracing, source.collecting) = (tracing, collecting);
    lines.into_iter().for_each(|line| source.send(line));
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
                let head = format!("{{\"trace\":{{\"truncated\":{truncated},\"events\":");
                let tail = if truncated { &b"]}}\n"[..] } else { b"}}\n" };
                // The events are JSON text already.
                lines.push([head.as_bytes(), &trace.get_mut().text, tail].concat());
            }
            None
        }
        tracing => tracing,
    }
}

/// Continues a snapshot for one slice. Returns whether it is complete.
fn collect<Data: LoopData>(
    collecting: &mut Collecting,
    event_loop: &mut EventLoop<Data>,
    data: &mut Data,
) -> bool {
    let started = Instant::now();
    let Collecting { number, left, line } = collecting;
    if line.is_empty() {
        left.extend(event_loop.tokens());
        // Otherwise one of the looks moves most of the message.
        line.reserve(left.len() * ROW);
        let begun = event_loop.observer_mut::<Recorder>().map(Recorder::begin_snapshot);
        let (begun, totals, others) = begun.unwrap_or_default();
        *number = begun;
        line.extend(b"{\"snapshot\":{\"loop\":");
        write(line, &totals);
        line.extend(b",\"others\":");
        write(line, &others);
        line.extend(b",\"sources\":[");
    }
    let handle = data.loop_handle();
    let now = handle.clock().now_stamp();
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
        write(line, &source(row, recorder.show(token), waits_for, now));
        if started.elapsed() >= SLICE {
            return false;
        }
    }
    let recorder = event_loop.observer_mut::<Recorder>();
    let gone = recorder.map(|recorder| recorder.end_snapshot(*number)).unwrap_or_default();
    line.extend(b"],\"gone\":");
    write(line, &gone);
    line.extend(b"}}\n");
    true
}

fn source(
    row: SourceRow,
    recorded: Option<&Record>,
    waits_for: Option<String>,
    now: i64,
) -> Source {
    Source {
        id: row.token.to_bits(),
        name: row.name,
        type_name: without_paths(row.type_name),
        enabled: row.enabled,
        priority: row.priority.as_str().into(),
        scoped: row.scoped,
        due_in_ns: row.deadline.map(|deadline| stamp(deadline).saturating_sub(now)),
        backlog: row.backlog,
        waits_for,
        last_error: recorded.and_then(|record| record.last_error.clone()).or(row.last_error),
        counts: recorded.map(|record| record.counts.clone()).unwrap_or_default(),
    }
}

fn write(line: &mut Vec<u8>, value: &impl serde::Serialize) {
    // Writing to memory does not fail, and all keys of these values are strings.
    let _ = serde_json::to_writer(line, value);
}
