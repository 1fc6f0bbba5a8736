//! Draws a trace of [`ChromeTrace`](soloop::ChromeTrace) as a picture: time from left to right, a lane for each
//! source, a box for each callback. `docs/trace.svg` was drawn by it.
//!
//! ```text
//! cargo run --example compositor -- --trace trace.json
//! cargo run --example trace_picture -- trace.json trace.svg 1000 1060       from and to, in milliseconds
//! cargo run --example trace_picture                                         a trace of its own, and no file
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::io::{BufWriter, Seek};
use std::time::Duration;

use serde_json::Value;
use soloop::{
    ChromeTrace, EventLoop, Interval, LoopData, LoopHandle, PostAction, SourceOptions,
    TimeoutAction, Timer,
};

/// The layout, in pixels.
const WIDTH: f64 = 1280.0;
const NAMES: f64 = 170.0;
const NUMBERS: f64 = 190.0;
const TITLE: f64 = 64.0;
const LANE: f64 = 30.0;
const AXIS: f64 = 36.0;
/// What is shorter is drawn as wide as this.
const THINNEST: f64 = 1.5;

/// One box, in microseconds since the trace began.
struct Span {
    start: f64,
    duration: f64,
}

impl Span {
    fn end(&self) -> f64 {
        self.start + self.duration
    }
}

/// What ran under one name.
struct Lane {
    name: String,
    kind: String,
    spans: Vec<Span>,
}

impl Lane {
    fn total(&self) -> f64 {
        self.spans.iter().map(|span| span.duration).sum()
    }

    fn colour(&self) -> &'static str {
        match &*self.kind {
            "wait" => "#c3ccd6",
            "source" => "#2f6fb3",
            "op" | "inspect" => "#3a9a6a",
            "remote" => "#a05fb5",
            _ => "#d08a2e",
        }
    }
}

/// The lanes of a trace: the wait first, then those that took most time. Of each lane the spans that touch the
/// time between `from` and `to` are kept.
fn lanes(trace: &str, from: f64, to: f64) -> Result<Vec<Lane>, Box<dyn Error>> {
    let events: Vec<Value> = serde_json::from_str(trace)?;
    let mut lanes: BTreeMap<(String, String), Vec<Span>> = BTreeMap::new();
    for event in &events {
        let text = |key| event[key].as_str().map(str::to_owned).ok_or("an event without a name");
        let number = |key| event[key].as_f64().ok_or("an event without a time");
        let span = Span { start: number("ts")?, duration: number("dur")? };
        if span.start < to && span.end() > from {
            lanes.entry((text("cat")?, text("name")?)).or_default().push(span);
        }
    }
    let lanes = lanes.into_iter().map(|((kind, name), spans)| Lane { name, kind, spans });
    let mut lanes: Vec<Lane> = lanes.collect();
    lanes.sort_by(|a, b| {
        (b.kind == "wait").cmp(&(a.kind == "wait")).then(b.total().total_cmp(&a.total()))
    });
    Ok(lanes)
}

/// A duration in microseconds, to be read by people.
fn short(micros: f64) -> String {
    format!("{:.1?}", Duration::from_nanos((micros * 1000.0) as u64))
}

/// The name of a lane: of a type, what is behind its path.
fn label(lane: &Lane) -> String {
    let name = escape(lane.name.rsplit("::").next().unwrap_or(&lane.name));
    if lane.kind == "op" { format!("{name} (op)") } else { name }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// The picture of the time between `from` and `to`, in microseconds.
fn draw(lanes: &[Lane], from: f64, to: f64) -> Result<String, std::fmt::Error> {
    let bottom = TITLE + LANE * lanes.len() as f64;
    let height = bottom + AXIS;
    let (left, right) = (NAMES, WIDTH - NUMBERS);
    let x = |time: f64| left + (time.clamp(from, to) - from) / (to - from) * (right - left);
    let mut svg = String::new();
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"DejaVu Sans, Verdana, sans-serif\" font-size=\"13\" fill=\"#22272e\" stroke=\"none\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>"
    )?;
    writeln!(
        svg,
        "<text x=\"14\" y=\"26\" font-size=\"16\" font-weight=\"bold\">{} of one thread, \
         a lane for each source</text>",
        short(to - from)
    )?;
    let head = TITLE - 10.0;
    for (at, title) in [(60.0, "times"), (122.0, "total"), (180.0, "longest")] {
        let at = right + at;
        writeln!(
            svg,
            "<text x=\"{at}\" y=\"{head}\" text-anchor=\"end\" fill=\"#66707b\">{title}</text>"
        )?;
    }

    // Ten lines or so, a round number of milliseconds apart.
    let steps = [1.0, 2.0, 5.0].map(|step| [step, step * 10.0, step * 100.0, step * 1000.0]);
    let steps = steps.as_flattened().iter().map(|millis| millis * 1000.0);
    let step = steps.filter(|step| (to - from) / step <= 12.0).fold(1e6, f64::min);
    let mut line = (from / step).ceil() * step;
    while line <= to {
        let (at, label) = (x(line), line / 1000.0);
        writeln!(
            svg,
            "<path d=\"M{at:.1} {TITLE}V{bottom}\" stroke=\"#d9dee4\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#66707b\">{label} ms</text>",
            bottom + 22.0
        )?;
        line += step;
    }

    for (index, lane) in lanes.iter().enumerate() {
        let top = TITLE + LANE * index as f64;
        let text = top + LANE * 0.66;
        writeln!(
            svg,
            "<path d=\"M0 {top}H{WIDTH}\" stroke=\"#eceff2\"/>\
             <text x=\"14\" y=\"{text:.1}\">{}</text>",
            label(lane)
        )?;
        for span in &lane.spans {
            let (start, end) = (x(span.start), x(span.end()));
            writeln!(
                svg,
                "<rect x=\"{start:.2}\" y=\"{:.1}\" width=\"{:.2}\" height=\"{:.1}\" fill=\"{}\">\
                 <title>{}: {} at {:.3} ms</title></rect>",
                top + 5.0,
                (end - start).max(THINNEST),
                LANE - 10.0,
                lane.colour(),
                escape(&lane.name),
                short(span.duration),
                span.start / 1000.0,
            )?;
        }
        let longest = lane.spans.iter().map(|span| span.duration).fold(0.0, f64::max);
        let numbers = [lane.spans.len().to_string(), short(lane.total()), short(longest)];
        for (at, number) in [60.0, 122.0, 180.0].into_iter().zip(numbers) {
            let at = right + at;
            writeln!(svg, "<text x=\"{at}\" y=\"{text:.1}\" text-anchor=\"end\">{number}</text>")?;
        }
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

struct State {
    handle: LoopHandle<State>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// Ten frames, traced.
fn record() -> Result<String, Box<dyn Error>> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle };
    let mut file = tempfile::tempfile()?;
    event_loop.set_observer(ChromeTrace::new(BufWriter::new(file.try_clone()?)));
    let frame = Duration::from_millis(2);
    let options = SourceOptions::new().name("frame");
    state.handle.insert_source_with(options, Interval::new(frame), |_, _| PostAction::Continue)?;
    let options = SourceOptions::new().name("the end");
    let end = Timer::from_duration(10 * frame + frame / 2);
    state.handle.insert_once_with(options, end, |_, state| {
        state.handle.stop();
        TimeoutAction::Drop
    })?;
    event_loop.run(None, &mut state, |_| ())?;
    event_loop.clear_observers(); // the trace is closed
    file.rewind()?;
    Ok(std::io::read_to_string(file)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (trace, out, window) = match words[..] {
        [] => (record()?, None, None),
        [trace, out] => (std::fs::read_to_string(trace)?, Some(out), None),
        [trace, out, from, to] => {
            let window: (f64, f64) = (from.parse()?, to.parse()?);
            (std::fs::read_to_string(trace)?, Some(out), Some(window))
        }
        _ => return Err("usage: trace_picture [TRACE PICTURE [FROM TO]]".into()),
    };
    let all = lanes(&trace, 0.0, f64::INFINITY)?;
    let end = all.iter().flat_map(|lane| &lane.spans).map(Span::end).fold(0.0, f64::max);
    let (from, to) = window.map_or((0.0, end), |(from, to)| (from * 1000.0, to * 1000.0));
    if from.partial_cmp(&to).is_none_or(|order| order.is_ge()) {
        return Err("there is no time between the beginning and the end".into());
    }
    let lanes = if window.is_some() { lanes(&trace, from, to)? } else { all };
    let svg = draw(&lanes, from, to)?;
    match out {
        Some(out) => std::fs::write(out, svg)?,
        None => println!("{} lanes, {} bytes of SVG", lanes.len(), svg.len()),
    }
    Ok(())
}
