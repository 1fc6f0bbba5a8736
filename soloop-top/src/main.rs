//! Shows what a running soloop program does. The protocol is that of `soloop::inspector`.

mod connection;
mod live;
mod model;
mod options;
mod screen;
mod text;

use std::error::Error;
use std::io::{ErrorKind, Write, stdout};
use std::process::ExitCode;
use std::time::Duration;

use soloop::inspector::{Message, Request};

use connection::{Connection, PATIENCE, state};
use model::Model;
use options::{HELP, Mode, Options};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let done = match options::parse(std::env::args_os().skip(1)) {
        Ok(None) => write!(stdout(), "{HELP}").map_err(Into::into),
        Ok(Some(options)) => run(&options),
        Err(error) => {
            eprintln!("soloop-top: {error}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read it has enough.
        Err(error) if kind(&*error) == Some(ErrorKind::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soloop-top: {error}");
            ExitCode::FAILURE
        }
    }
}

fn kind(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    error.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
}

fn run(options: &Options) -> Result<()> {
    let mut connection = Connection::open(&options.path)?;
    match options.mode {
        Mode::Screen => live::run(connection, options),
        Mode::Once => {
            let model = second(&mut connection, options)?;
            Ok(write!(stdout(), "{}", text::table(&model))?)
        }
        Mode::OnceJson => {
            let model = second(&mut connection, options)?;
            Ok(writeln!(stdout(), "{}", serde_json::to_string(&model.last())?)?)
        }
        Mode::Json => {
            watch(&mut connection, options)?;
            connection.be_patient()?;
            while let Some(line) = connection.line()? {
                writeln!(stdout(), "{line}")?;
            }
            Ok(())
        }
        Mode::Trace(time) => trace(&mut connection, time),
    }
}

fn watch(connection: &mut Connection, options: &Options) -> Result<()> {
    let every_ms = options.every.as_millis() as u64;
    let slow_us = Some(options.slow.as_micros() as u64);
    Ok(connection.ask(&Request::Watch { every_ms, slow_us })?)
}

/// The next message; it is an error if the program has none.
fn next(connection: &mut Connection) -> Result<Message> {
    let pid = connection.hello.pid;
    match connection.message() {
        Ok(message) => message.ok_or_else(|| "the program has ended the connection".into()),
        Err(error) if kind(&*error) == Some(ErrorKind::WouldBlock) => {
            let seconds = PATIENCE.as_secs();
            Err(format!("the program is silent for {seconds} s: {}", state(pid)).into())
        }
        Err(error) => Err(error),
    }
}

/// What happens within a second.
fn second(connection: &mut Connection, options: &Options) -> Result<Model> {
    watch(connection, options)?;
    let mut model = Model::default();
    let mut first = None;
    loop {
        if let Message::Snapshot(snapshot) = next(connection)? {
            let counted = Duration::from_nanos(snapshot.totals.counted_ns);
            model.add(snapshot);
            if counted.saturating_sub(*first.get_or_insert(counted)) >= Duration::from_secs(1) {
                return Ok(model);
            }
        }
    }
}

fn trace(connection: &mut Connection, time: Duration) -> Result<()> {
    connection.ask(&Request::Trace { ms: time.as_millis() as u64 })?;
    connection.be_patient()?;
    let Message::Trace(trace) = next(connection)? else {
        return Err("the program has no trace".into());
    };
    if trace.truncated {
        eprintln!("soloop-top: the trace ends before its time: there was too much of it");
    }
    Ok(writeln!(stdout(), "{}", serde_json::to_string(&trace.events)?)?)
}
