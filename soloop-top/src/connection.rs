//! The connection to the program.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use soloop::inspector::{Hello, Message, Request, VERSION};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How long a program may take for its first word.
pub const PATIENCE: Duration = Duration::from_secs(3);

pub struct Connection {
    stream: UnixStream,
    input: Vec<u8>,
    pub hello: Hello,
}

impl Connection {
    /// Connects, and waits for the program's first word.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!("no program has a socket at {shown}"),
            ErrorKind::ConnectionRefused => {
                format!("nobody listens at {shown} any more, or it is no socket")
            }
            ErrorKind::PermissionDenied => format!("the socket at {shown} is somebody else's"),
            _ => format!("{shown}: {error}"),
        })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let pid = rustix::net::sockopt::socket_peercred(&stream).ok().map(|peer| peer.pid);
        let hello = Hello { version: VERSION, pid: 0, program: String::new() };
        let mut connection = Self { stream, input: Vec::new(), hello };
        let line = match connection.line() {
            Ok(line) => line.unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let what =
                    pid.map_or("it is busy or stopped", |pid| state(pid.as_raw_pid() as u32));
                return Err(format!("the program at {shown} does not answer: {what}").into());
            }
            Err(error) => return Err(error.into()),
        };
        match serde_json::from_str(&line) {
            Ok(Message::Hello(hello)) if hello.version == VERSION => connection.hello = hello,
            Ok(Message::Hello(Hello { version, program, .. })) => {
                return Err(format!(
                    "{program} speaks version {version} of the inspector's protocol, and soloop-top version {VERSION}"
                )
                .into());
            }
            Ok(Message::Error(why)) => return Err(why.into()),
            _ => return Err(format!("what listens at {shown} is no inspector").into()),
        }
        connection.ask(&Request::Hello { version: VERSION })?;
        Ok(connection)
    }

    pub fn ask(&mut self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.stream.write_all(&line)
    }

    /// From here on nothing blocks.
    pub fn into_nonblocking(self) -> io::Result<Self> {
        self.stream.set_nonblocking(true)?;
        Ok(self)
    }

    /// Waits for as long as it takes.
    pub fn be_patient(&mut self) -> io::Result<()> {
        self.stream.set_read_timeout(None)
    }

    /// The next line, without its end; `None` if the program has ended the connection.
    pub fn line(&mut self) -> io::Result<Option<String>> {
        let mut seen = 0;
        loop {
            if let Some(end) = self.input[seen..].iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.input.drain(..=seen + end).collect();
                line.pop();
                let line = String::from_utf8(line);
                return line
                    .map(Some)
                    .map_err(|error| io::Error::new(ErrorKind::InvalidData, error));
            }
            seen = self.input.len();
            let mut buffer = vec![0; 1 << 16];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(read) => self.input.extend(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next message; `None` if the program has ended the connection.
    pub fn message(&mut self) -> Result<Option<Message>> {
        let Some(line) = self.line()? else { return Ok(None) };
        match serde_json::from_str(&line)? {
            Message::Error(why) => Err(why.into()),
            message => Ok(Some(message)),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// What a process that does not answer does instead.
pub fn state(pid: u32) -> &'static str {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, which comes before, may have anything in it.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    match state {
        Some('T') => "it is stopped by a signal",
        Some('t') => "it is stopped by a debugger",
        Some('D') => "a callback waits for a disk",
        Some('R') => "a callback keeps it busy",
        Some('S') => "a callback waits for something",
        Some(_) => "it has ended",
        None => "it is gone",
    }
}
