//! MIGRATING.md: what it quotes are the files in `examples/migrating`, which do on soloop what they do on calloop, and the
//! numbers it gives of the port are those of the files.
#![cfg(feature = "executor")]

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::{
    wl_callback, wl_callback::WlCallback, wl_compositor::WlCompositor, wl_registry::WlRegistry,
    wl_surface::WlSurface,
};
use wayland_client::{Connection, Dispatch, QueueHandle, delegate_noop};
use wayland_protocols::xdg::shell::client::{
    xdg_surface, xdg_surface::XdgSurface, xdg_toplevel, xdg_toplevel::XdgToplevel,
    xdg_wm_base::XdgWmBase,
};
use wayland_server::ListeningSocket;

#[allow(unreachable_pub, reason = "a program's")]
#[path = "../examples/migrating/compositor/calloop.rs"]
mod on_calloop;
#[allow(unreachable_pub, reason = "a program's")]
#[path = "../examples/migrating/compositor/soloop.rs"]
mod on_soloop;

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

mod guide {
    use super::*;

    /// What the example prints of each pattern: its name, what it does on calloop and on soloop.
    fn patterns() -> Vec<[String; 3]> {
        let test = std::env::current_exe().unwrap();
        let example = test.ancestors().nth(2).unwrap().join("examples/migrating");
        assert!(example.exists(), "{} is missing: build the examples", example.display());
        let output = Command::new(example).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let pattern = |lines: &[&str]| {
            let [name, before, after] = lines else { panic!("{lines:?}") };
            [name, before, after].map(|line| line.trim().to_owned())
        };
        lines.lines().collect::<Vec<_>>().chunks(3).map(pattern).collect()
    }

    #[test]
    fn every_pattern_does_on_soloop_what_it_does_on_calloop() {
        let patterns = patterns();
        assert_eq!(patterns.len(), 17);
        for [name, before, after] in patterns {
            let (before, after) =
                (before.strip_prefix("calloop: "), after.strip_prefix("soloop: "));
            assert!(before.is_some_and(|log| log.len() > "[]".len()), "{name}: {before:?}");
            assert_eq!(before, after, "{name}");
        }
    }

    /// The Rust code of the guide with the names of the files it is from: `<!-- name -->` is above each block.
    fn quotes(guide: &str) -> Vec<(&str, &str)> {
        let blocks = guide.split("```rust").skip(1).map(|rest| rest.split("\n```").next().unwrap());
        let names = guide.split("```rust").map(|text| {
            let line = text.trim_end().lines().next_back().unwrap_or_default();
            line.trim_start_matches("<!-- ").trim_end_matches(" -->")
        });
        names.zip(blocks).collect()
    }

    #[test]
    fn every_block_is_the_text_of_its_file() {
        let guide = file("MIGRATING.md");
        let mut named = Vec::new();
        for (name, block) in quotes(&guide) {
            let text = file(&format!("examples/migrating/{name}"));
            let (flags, code) = block.split_once('\n').unwrap_or_default();
            assert_eq!(flags, "", "{name}");
            // Of the module that the patterns share, what they share; of each, what is not the same in all.
            let text = match text.split_once("// What the patterns share.\n") {
                Some((_, shared)) => shared,
                None => text.trim_start_matches("use super::*;\n\n"),
            };
            assert_eq!(code.trim_end(), text.trim_end(), "{name}");
            named.push(name.to_owned());
        }
        for side in ["before", "after"] {
            for [pattern, ..] in patterns() {
                let name = format!("{side}/{pattern}.rs");
                assert!(named.contains(&name), "{name} is not in the guide");
            }
        }
        assert_eq!(named.len(), 36);
    }

    /// The lines of `one` that are not in `other`, and the other way round: what `diff` counts.
    fn changed(one: &str, other: &str) -> (usize, usize) {
        let (one, other): (Vec<_>, Vec<_>) = (one.lines().collect(), other.lines().collect());
        // The length of the longest common subsequence of the first lines of each.
        let mut common = vec![vec![0; other.len() + 1]; one.len() + 1];
        for (i, line) in one.iter().enumerate() {
            for (j, with) in other.iter().enumerate() {
                common[i + 1][j + 1] = match line == with {
                    true => common[i][j] + 1,
                    false => common[i][j + 1].max(common[i + 1][j]),
                };
            }
        }
        let common = common[one.len()][other.len()];
        (one.len() - common, other.len() - common)
    }

    #[test]
    fn its_numbers_of_the_port_are_those_of_the_files() {
        let on_calloop = file("examples/migrating/compositor/calloop.rs");
        let on_soloop = file("examples/migrating/compositor/soloop.rs");
        let (gone, new) = changed(&on_calloop, &on_soloop);
        let lines = (on_calloop.lines().count(), on_soloop.lines().count());
        let sentence = format!(
            "{} lines on calloop and {} on soloop; {gone} lines go and {new} come",
            lines.0, lines.1
        );
        let guide = file("MIGRATING.md").replace('\n', " ");
        assert!(guide.contains(&sentence), "the guide should say: {sentence}");
    }
}

/// A Wayland client that opens a window and shows some frames.
#[derive(Default)]
struct Window {
    frames: usize,
    sizes: Vec<(i32, i32)>,
}

const FRAMES: usize = 5;

impl Window {
    fn show(stream: UnixStream) -> Self {
        let connection = Connection::from_socket(stream).unwrap();
        let (globals, mut events) = registry_queue_init::<Self>(&connection).unwrap();
        let queue = events.handle();
        let compositor: WlCompositor = globals.bind(&queue, 6..=6, ()).unwrap();
        let wm_base: XdgWmBase = globals.bind(&queue, 5..=5, ()).unwrap();
        let surface = compositor.create_surface(&queue, ());
        let xdg = wm_base.get_xdg_surface(&surface, &queue, ());
        let _toplevel = xdg.get_toplevel(&queue, ());
        let mut window = Self::default();
        while window.frames < FRAMES {
            let seen = window.frames;
            surface.frame(&queue, ());
            surface.commit();
            while window.frames == seen {
                events.blocking_dispatch(&mut window).unwrap();
            }
        }
        window
    }
}

impl Dispatch<WlRegistry, GlobalListContents> for Window {
    fn event(
        _: &mut Self,
        _: &WlRegistry,
        _: wayland_client::protocol::wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

impl Dispatch<WlCallback, ()> for Window {
    fn event(
        window: &mut Self,
        _: &WlCallback,
        _: wl_callback::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        window.frames += 1;
    }
}

impl Dispatch<XdgToplevel, ()> for Window {
    fn event(
        window: &mut Self,
        _: &XdgToplevel,
        event: xdg_toplevel::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_toplevel::Event::Configure { width, height, .. } = event {
            window.sizes.push((width, height));
        }
    }
}

impl Dispatch<XdgSurface, ()> for Window {
    fn event(
        _: &mut Self,
        xdg: &XdgSurface,
        event: xdg_surface::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_surface::Event::Configure { serial } = event {
            xdg.ack_configure(serial);
        }
    }
}

delegate_noop!(Window: WlCompositor);
delegate_noop!(Window: ignore WlSurface);
delegate_noop!(Window: ignore XdgWmBase);

/// The ported compositor, with two clients that open windows and one that does not.
macro_rules! port {
    ($test:ident, $compositor:ident) => {
        #[test]
        fn $test() {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("wayland");
            let socket = ListeningSocket::bind_absolute(path.clone()).unwrap();
            // All are there before the compositor is: it ends with the last.
            let connect = || UnixStream::connect(&path).unwrap();
            let (windows, quiet) = ([connect(), connect()], connect());
            let windows = windows.map(|stream| thread::spawn(|| Window::show(stream)));
            let report = $compositor::run(socket).unwrap();
            println!("{report:?}");
            for window in windows {
                let window = window.join().unwrap();
                assert_eq!(window.frames, FRAMES);
                assert!(!window.sizes.is_empty());
                let known = [(1280, 720), (640, 720)];
                assert!(window.sizes.iter().all(|size| known.contains(size)), "{:?}", window.sizes);
            }
            assert_eq!((report.clients, report.expelled), (3, 1));
            assert!((FRAMES..=2 * FRAMES).contains(&report.frames), "{report:?}");
            assert!((2..=4).contains(&report.layouts), "{report:?}");
            assert_eq!(report.wallpaper.as_deref(), Some("dunes"));
            drop(quiet);
        }
    };
}

port!(the_port_runs_on_calloop, on_calloop);
port!(the_port_runs_on_soloop, on_soloop);
