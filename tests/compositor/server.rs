//! The compositor under test: a process of its own, in a directory of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// What is waited for takes milliseconds, of a browser a second; this is for a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Compositor {
    pub child: Child,
    pub dir: tempfile::TempDir,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

/// The example, which cargo builds together with its tests; those of `examples/smithay` test that one.
pub fn binary() -> PathBuf {
    if let Some(binary) = option_env!("CARGO_BIN_EXE_soloop-smithay") {
        return binary.into();
    }
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let binary = profile.join("examples/compositor");
    assert!(binary.exists(), "{} is missing: build the examples", binary.display());
    binary
}

pub fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // Nobody may be interested any more.
            let _ = sender.send(line);
        }
    });
    receiver
}

impl Compositor {
    /// Starts it, and waits until it listens.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), arguments)
    }

    /// In a directory in which there may be something.
    pub fn start_in(dir: tempfile::TempDir, arguments: &[&str]) -> Self {
        Self::start_with(dir, arguments, &[])
    }

    /// With further variables in its environment.
    pub fn start_with(
        dir: tempfile::TempDir,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let child = Command::new(binary())
            .args(["--socket", "wl", "--size", "640x480"])
            .args(arguments)
            .env("XDG_RUNTIME_DIR", dir.path())
            .envs(environment.iter().copied())
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        let compositor = Self { child, dir, stdout, stderr };
        compositor.stdout_line("WAYLAND_DISPLAY=wl");
        compositor
    }

    pub fn serve() -> Self {
        Self::start(&["--serve"])
    }

    /// The next line of its output with these words in it.
    pub fn stdout_line(&self, words: &str) -> String {
        wait_for_line(&self.stdout, words)
    }

    /// The next complaint with these words in it.
    pub fn stderr_line(&self, words: &str) -> String {
        wait_for_line(&self.stderr, words)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A connection that is up to the caller.
    pub fn raw_client(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path("wl")).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub fn control(&self) -> Control {
        let stream = UnixStream::connect(self.path("wl.control")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Control { stream: BufReader::new(stream) }
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        // Its output ends with it.
        while let Ok(line) =
            self.stdout.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            drop(line);
        }
        assert!(Instant::now() < deadline, "the compositor does not end");
        self.child.wait().unwrap()
    }

    /// Takes a screenshot over the control socket.
    pub fn screenshot(&self) -> Picture {
        let path = self.path("shot.png");
        let answer = self.control().ask(&format!("screenshot {}", path.display()));
        let picture = Picture::read(&path);
        let (width, height) = picture.size();
        assert_eq!(answer, [format!("ok {} {width}x{height}", path.display())]);
        picture
    }

    /// Where the window with this title is on the output: x, y.
    pub fn window(&self, title: &str) -> (i32, i32) {
        let windows = self.control().ask("windows");
        let line = windows.iter().find(|line| line.contains(&format!("title={title:?}")));
        let line = line.unwrap_or_else(|| panic!("no window {title:?} in {windows:?}"));
        position(line)
    }
}

impl Drop for Compositor {
    fn drop(&mut self) {
        // It has usually ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a window is, by its line of those of the control socket.
pub fn position(line: &str) -> (i32, i32) {
    let words: Vec<&str> = line.split(' ').collect();
    (words[3].parse().unwrap(), words[4].parse().unwrap())
}

pub fn wait_for_line(lines: &Receiver<String>, words: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if line.contains(words) => return line,
            Ok(line) => seen.push(line),
            Err(error) => panic!("no line with {words:?} ({error}), only {seen:#?}"),
        }
    }
}

/// A client of the control socket.
pub struct Control {
    stream: BufReader<UnixStream>,
}

impl Control {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// The lines of an answer, up to the one that ends it.
    pub fn answer(&mut self) -> Vec<String> {
        let mut answer = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.stream.read_line(&mut line).unwrap(), 0, "disconnected: {answer:?}");
            answer.push(line.trim_end().to_owned());
            if line.starts_with("ok") || line.starts_with("error") {
                return answer;
            }
        }
    }

    pub fn ask(&mut self, command: &str) -> Vec<String> {
        self.send(format!("{command}\n").as_bytes());
        self.answer()
    }

    /// Whether the compositor has hung up, once it has.
    pub fn is_at_end(&mut self) -> bool {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).is_ok()
    }
}

/// A screenshot.
pub struct Picture {
    width: usize,
    pixels: Vec<u8>,
}

impl Picture {
    pub fn read(path: &Path) -> Self {
        let file = BufReader::new(std::fs::File::open(path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.color_type, png::ColorType::Rgb);
        Self { width: info.width as usize, pixels }
    }

    /// Width and height.
    pub fn size(&self) -> (i32, i32) {
        (self.width as i32, (self.pixels.len() / 3 / self.width) as i32)
    }

    /// `0xRRGGBB`
    pub fn pixel(&self, x: i32, y: i32) -> u32 {
        let start = 3 * (y as usize * self.width + x as usize);
        let [red, green, blue] = [0, 1, 2].map(|byte| u32::from(self.pixels[start + byte]));
        red << 16 | green << 8 | blue
    }
}
