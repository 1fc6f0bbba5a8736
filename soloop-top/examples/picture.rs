//! Draws what soloop-top shows of a running program: `cargo run --example picture -- SOCKET SECS >docs/top.svg`, after
//! `cargo build --release`, whose soloop-top it runs in a terminal of its own.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::num::NonZero;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const SIZE: PtySize = PtySize { rows: 32, cols: 150, pixel_width: 0, pixel_height: 0 };
/// Of a character, in pixels.
const CELL: (u32, u32) = (8, 17);
const PALETTE: [&str; 16] = [
    "#1d1f21", "#cc6666", "#7fae5a", "#e0b050", "#81a2be", "#b294bb", "#6fb5b0", "#c5c8c6",
    "#7a7d80", "#d98080", "#b5bd68", "#f0c674", "#9fbbd6", "#c9a9d0", "#8abeb7", "#ffffff",
];

fn color(color: vt100::Color, default: &'static str) -> String {
    match color {
        vt100::Color::Default => default.to_owned(),
        vt100::Color::Idx(index) => PALETTE[usize::from(index) % 16].to_owned(),
        vt100::Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn svg(screen: &vt100::Screen) -> String {
    let (width, height) = (u32::from(SIZE.cols) * CELL.0, u32::from(SIZE.rows) * CELL.1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"-8 -8 {w} {h}\" \
         font-family=\"monospace\" font-size=\"13\">\n<rect x=\"-8\" y=\"-8\" width=\"{w}\" height=\"{h}\" fill=\"{}\"/>\n",
        PALETTE[0],
        w = width + 16,
        h = height + 16
    );
    for row in 0..SIZE.rows {
        let mut column = 0;
        while column < SIZE.cols {
            let Some(first) = screen.cell(row, column) else { break };
            let style = |cell: &vt100::Cell| (cell.fgcolor(), cell.bgcolor(), cell.bold());
            let mut text = String::new();
            let start = column;
            while let Some(cell) =
                screen.cell(row, column).filter(|cell| style(cell) == style(first))
            {
                text += if cell.has_contents() { cell.contents() } else { " " };
                column += 1;
            }
            let (x, y) = (u32::from(start) * CELL.0, u32::from(row) * CELL.1);
            let length = u32::from(column - start) * CELL.0;
            if first.bgcolor() != vt100::Color::Default {
                let fill = color(first.bgcolor(), PALETTE[0]);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{length}\" height=\"{}\" fill=\"{fill}\"/>",
                    CELL.1
                );
            }
            if !text.trim().is_empty() {
                let fill = color(first.fgcolor(), PALETTE[7]);
                let weight = if first.bold() { " font-weight=\"bold\"" } else { "" };
                let _ = writeln!(
                    svg,
                    "<text x=\"{x}\" y=\"{}\" fill=\"{fill}\"{weight} textLength=\"{length}\" xml:space=\"preserve\">{}</text>",
                    y + 13,
                    escaped(&text)
                );
            }
        }
    }
    svg + "</svg>\n"
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: picture SOCKET SECS";
    let path = arguments.next().ok_or(usage)?;
    let time = Duration::from_secs_f64(arguments.next().ok_or(usage)?.parse()?);
    let pty = native_pty_system().openpty(SIZE)?;
    let mut command =
        CommandBuilder::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/release/soloop-top"));
    command.args([&*path, "--slow", "2"]);
    command.env("TERM", "xterm-256color");
    let mut child = pty.slave.spawn_command(command)?;
    drop(pty.slave);
    let mut keyboard = pty.master.take_writer()?;
    let mut output = pty.master.try_clone_reader()?;
    let (sender, bytes) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = output.read(&mut buffer) {
            if sender.send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    let cells = |count| NonZero::new(count).ok_or("no size");
    let mut terminal = vt100::Parser::new(cells(SIZE.rows)?, cells(SIZE.cols)?, 0);
    let end = Instant::now() + time;
    while let Ok(bytes) = bytes.recv_timeout(end.saturating_duration_since(Instant::now())) {
        terminal.process(&bytes);
    }
    print!("{}", svg(terminal.screen()));
    keyboard.write_all(b"q")?;
    child.wait()?;
    Ok(())
}
