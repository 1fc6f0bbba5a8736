//! The command line.

use std::ffi::OsString;

use lexopt::prelude::*;

pub const HELP: &str = "\
A Wayland client: a window that shows the Mandelbrot set.

usage: client [OPTIONS]

  --frames N      end by itself after so many frames
  --size WxH      the size of the window in pixels (default: 480x320), where the compositor leaves it open
  --title TITLE   the title of the window (default: Mandelbrot)
  --log           say on standard output what happens
  -h, --help      show this

Arrow keys move the picture; Page Up, Page Down, the wheel and the buttons of the pointer zoom; Escape ends it.
";

/// What the client is asked to do.
#[derive(Debug)]
pub enum Request {
    Help,
    Run(Options),
}

#[derive(Debug)]
pub struct Options {
    pub frames: Option<u64>,
    pub size: (i32, i32),
    pub title: String,
    pub log: bool,
}

/// Reads the command line, without the name of the program.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Request, lexopt::Error> {
    let mut options =
        Options { frames: None, size: (480, 320), title: "Mandelbrot".into(), log: false };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("frames") => options.frames = Some(parser.value()?.parse()?),
            Long("size") => options.size = parser.value()?.parse_with(size)?,
            Long("title") => options.title = parser.value()?.string()?,
            Long("log") => options.log = true,
            Short('h') | Long("help") => return Ok(Request::Help),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Request::Run(options))
}

fn size(word: &str) -> Result<(i32, i32), String> {
    let side = |word: &str| word.parse().ok().filter(|side| (64..=8192).contains(side));
    let sides =
        word.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?)));
    sides.ok_or_else(|| format!("{word:?} is not WIDTHxHEIGHT, of 64 to 8192 pixels each"))
}
