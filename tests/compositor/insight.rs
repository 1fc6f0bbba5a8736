//! What the compositor tells of its loop: `stats`, and traces.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use super::RED;
use super::client::Client;
use super::server::{Compositor, Control};

/// The lines of a table of `stats`, without its title.
fn table<'a>(stats: &'a [String], title: &str) -> Vec<Vec<&'a str>> {
    let lines = stats.iter().skip_while(|line| *line != title).skip(1);
    let rows = lines.take_while(|line| line.starts_with("  "));
    // Columns are two spaces apart at least.
    let cells = |row: &'a String| row.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
    rows.map(|row| cells(row).collect()).collect()
}

/// The line of a table that begins with this name.
fn row<'a>(table: &[Vec<&'a str>], name: &str) -> Vec<&'a str> {
    let found = table.iter().find(|row| row[0] == name);
    found.unwrap_or_else(|| panic!("no {name:?} in {table:#?}")).clone()
}

fn stats(control: &mut Control) -> Vec<String> {
    let stats = control.ask("stats");
    assert_eq!(stats.last().unwrap(), "ok");
    stats
}

#[test]
fn stats_shows_the_sources_and_the_slowest_callbacks() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("seen", (120, 80), RED);
    client.frames(&window, 3);
    let mut control = compositor.control();
    control.ask("windows");
    let stats = stats(&mut control);
    for module in ["protocol", "input", "rendering", "control", "clients", "loop"] {
        let head = format!("{module}: ");
        assert_eq!(stats.iter().filter(|line| line.starts_with(&head)).count(), 1, "{stats:#?}");
    }

    let sources = table(&stats, "sources:");
    assert_eq!(
        sources[0],
        ["name", "type", "state", "priority", "events", "time", "last error"],
        "{stats:#?}"
    );
    let clients = row(&sources, "wayland clients");
    assert_eq!(clients[1..4], ["Generic<Display<State>>", "enabled", "normal"]);
    assert!(clients[4].parse::<u32>().unwrap() > 0, "{clients:?}");
    assert_eq!(row(&sources, "wayland socket")[1], "Generic<ListeningSocket>");
    // Whoever types here is first, and what waits for a disk is last.
    assert_eq!(row(&sources, "control client")[3], "high");
    assert_eq!(row(&sources, "signals")[3], "high");
    assert_eq!(row(&sources, "screenshots")[3], "low");
    let others = ["gone clients", "control socket", "children"];
    assert!(others.iter().all(|name| row(&sources, name)[2] == "enabled"), "{stats:#?}");
    let nameless = sources.iter().find(|row| row[0] == "-");
    assert_eq!(nameless, None, "every source has a name");

    let callbacks = table(&stats, "callbacks:");
    assert_eq!(callbacks[0], ["name", "kind", "callbacks", "p50", "p99", "max"]);
    let frames = row(&callbacks, "frame timer");
    assert_eq!(frames[1], "source");
    assert!(frames[2].parse::<u32>().unwrap() >= 3, "{frames:?}");
    let slowest = table(&stats, "slowest callbacks:");
    assert_eq!(slowest.len(), 6, "the title and the five slowest: {stats:#?}");
}

#[test]
fn a_trace_loads_as_json_with_the_spans_of_waits_and_callbacks() {
    let mut compositor = Compositor::start(&["--serve", "--trace", "trace.json"]);
    let mut client = Client::connect(&compositor);
    let window = client.window("traced", (120, 80), RED);
    client.frames(&window, 5);
    compositor.screenshot();
    let mut control = compositor.control();
    control.ask("key 30");
    control.ask("type ab");
    stats(&mut control);
    assert_eq!(control.ask("quit"), ["ok"]);
    assert!(compositor.wait().success());

    let text = std::fs::read_to_string(compositor.path("trace.json")).unwrap();
    let trace: Value = serde_json::from_str(&text).unwrap();
    let mut spans: BTreeMap<(&str, &str), Vec<(f64, f64)>> = BTreeMap::new();
    let mut end = 0.0;
    for event in trace.as_array().unwrap() {
        assert_eq!(
            (&event["ph"], &event["pid"], &event["tid"]),
            (&"X".into(), &1.into(), &1.into())
        );
        let (start, duration) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
        // One thread: what it does, it does one after the other. Times are whole nanoseconds.
        assert!(start >= end - 0.001, "{event} begins before {end}");
        end = start + duration;
        let (name, kind) = (event["name"].as_str().unwrap(), event["cat"].as_str().unwrap());
        spans.entry((kind, name)).or_default().push((start, duration));
    }
    let count = |kind, name| spans.get(&(kind, name)).map_or(0, Vec::len);
    assert!(count("wait", "wait") > 10, "{spans:#?}");
    assert!(count("source", "frame timer") >= 5, "{spans:#?}");
    for name in ["wayland socket", "wayland clients", "control socket", "control client"] {
        assert!(count("source", name) >= 1, "{name}: {spans:#?}");
    }
    assert_eq!(count("source", "screenshots"), 1);
    assert_eq!(count("source", "release"), 1);
    assert!(count("source", "typing") >= 8, "press and release, twice: {spans:#?}");
    assert_eq!(count("inspect", "inspect"), 1, "the stats");
    assert!(count("remote", "remote") >= 2, "keys that are let go");

    // Frames are a period of 60 Hz apart, or several.
    let frames = &spans[&("source", "frame timer")];
    let trace_line = |event: &&Value| event["name"] == "frame timer";
    let events = trace.as_array().unwrap().iter().filter(trace_line);
    assert!(events.clone().all(|event| event["args"]["priority"] == "High"));
    let deadlines: Vec<f64> = frames
        .iter()
        .zip(events)
        .map(|((start, _), event)| start - event["args"]["lateness_us"].as_f64().unwrap())
        .collect();
    for pair in deadlines.windows(2) {
        let periods = (pair[1] - pair[0]) / 16_666.667;
        assert!(periods > 0.9, "{deadlines:?}");
    }
}

#[test]
fn a_trace_that_can_not_be_written_is_an_error() {
    let output = std::process::Command::new(super::server::binary())
        .args(["--serve", "--trace", "/no/such/directory/trace.json"])
        .env("XDG_RUNTIME_DIR", tempfile::tempdir().unwrap().path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_viewer_sees_the_running_compositor() {
    let compositor = Compositor::start(&["--serve", "--inspect", "inspector"]);
    let mut viewer = UnixStream::connect(compositor.path("inspector")).unwrap();
    viewer.write_all(b"{\"hello\":{\"version\":1}}\n\"snapshot\"\n").unwrap();
    let mut lines = BufReader::new(viewer).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["hello"]["program"], "compositor");
    let snapshot = next();
    let sources = snapshot["snapshot"]["sources"].as_array().unwrap();
    for name in ["wayland clients", "wayland socket", "signals", "inspector", "inspector viewer"] {
        assert!(sources.iter().any(|source| source["name"] == name), "{name}: {snapshot:#}");
    }
}
