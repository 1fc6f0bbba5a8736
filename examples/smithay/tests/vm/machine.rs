//! The machine: qemu, its shell on the serial line, its keys, its pointer and its screens.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::vnc;

/// For each wait. Software that is emulated takes its time, and whole machines have stood still for longer than a minute.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Machine {
    qemu: Child,
    serial: UnixStream,
    heard: Vec<u8>,
    commands: u32,
    qmp: BufReader<UnixStream>,
    directory: PathBuf,
    sockets: tempfile::TempDir,
    second_screen: Option<vnc::Screen>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

impl Machine {
    /// Starts what `image` has made.
    pub fn boot(directory: &Path) -> Self {
        let sockets = tempfile::tempdir().unwrap();
        let socket = |name: &str| sockets.path().join(name);
        let listen = |name: &str| format!("unix:{},server=on,wait=off", socket(name).display());
        let mut qemu = Command::new("qemu-system-x86_64");
        // There may be a /dev/kvm that does not work.
        qemu.args(["-M", "q35,i8042=off", "-accel", "tcg,thread=multi", "-cpu", "max"])
            .args(["-m", "512", "-smp", "2", "-display", "none", "-vga", "none"])
            .args(["-nodefaults", "-no-reboot"])
            .arg("-kernel")
            .arg(directory.join("vmlinux"))
            .arg("-initrd")
            .arg(directory.join("root.cpio"))
            .args(["-append", KERNEL])
            .args(["-serial", &listen("serial"), "-qmp", &listen("qmp")])
            .args(["-device", "pcie-root-port,id=port1,chassis=1,slot=1"])
            .args(["-device", "pcie-root-port,id=port2,chassis=2,slot=2"])
            .args(["-device", "qemu-xhci,id=usb"])
            .args(["-device", "virtio-gpu-pci,id=gpu0,max_outputs=2"])
            .args(["-device", "virtio-keyboard-pci", "-device", "virtio-mouse-pci"])
            .args(["-vnc", &format!("unix:{},display=gpu0,head=1", socket("vnc").display())])
            .stdin(Stdio::null());
        let qemu = qemu.spawn().expect("qemu starts");
        let serial = connect(&socket("serial"));
        serial.set_read_timeout(Some(PATIENCE)).unwrap();
        let qmp = connect(&socket("qmp"));
        qmp.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut machine = Self {
            qemu,
            serial,
            heard: Vec::new(),
            commands: 0,
            qmp: BufReader::new(qmp),
            directory: directory.to_owned(),
            sockets,
            second_screen: None,
        };
        machine.answer("\"QMP\"");
        machine.qmp("qmp_capabilities", "");
        machine.hear("=ready\n");
        machine
    }

    /// Reads from the serial line up to some words.
    fn hear(&mut self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.heard.windows(words.len()).position(|it| it == words.as_bytes());
            if let Some(start) = found {
                let before: Vec<u8> = self.heard.drain(..start + words.len()).collect();
                return String::from_utf8_lossy(&before[..start]).into_owned();
            }
            let heard = String::from_utf8_lossy(&self.heard);
            assert!(Instant::now() < deadline, "never {words:?} on the serial line, but {heard}");
            let mut bytes = [0; 4096];
            match self.serial.read(&mut bytes) {
                Ok(0) => panic!("the machine is off; last words: {heard}"),
                Ok(length) => self.heard.extend(&bytes[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("the serial line: {error}; last words: {heard}"),
            }
        }
    }

    /// What a command of root's says.
    pub fn run(&mut self, command: &str) -> String {
        self.commands += 1;
        let end = format!("=end {}\n", self.commands);
        writeln!(self.serial, "{command}\necho; echo '{}'", end.trim()).unwrap();
        self.hear(&end).trim().to_owned()
    }

    /// Runs a command until its output has these words in it.
    pub fn run_until(&mut self, command: &str, words: &str) -> String {
        self.run_until_with(command, words, |_| ())
    }

    /// The same, and does something before each look.
    pub fn run_until_with(&mut self, command: &str, words: &str, act: fn(&mut Self)) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            act(self);
            let output = self.run(command);
            if output.contains(words) {
                return output;
            }
            assert!(Instant::now() < deadline, "{command} never says {words:?}, but {output}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn answer(&mut self, words: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.qmp.read_line(&mut line).unwrap() > 0, "qemu has gone");
            assert!(!line.contains("\"error\""), "qemu: {line}");
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Tells qemu, in JSON without its outer braces.
    pub fn qmp(&mut self, command: &str, arguments: &str) -> String {
        let line = format!("{{\"execute\":\"{command}\",\"arguments\":{{{arguments}}}}}\n");
        self.qmp.get_mut().write_all(line.as_bytes()).unwrap();
        self.answer("\"return\"")
    }

    fn events(&mut self, events: &[String]) {
        self.qmp("input-send-event", &format!("\"events\":[{}]", events.join(",")));
    }

    /// Presses keys, and releases them.
    pub fn keys(&mut self, keys: &[&str]) {
        self.hold(keys, true);
        let reversed: Vec<&str> = keys.iter().rev().copied().collect();
        self.hold(&reversed, false);
    }

    pub fn hold(&mut self, keys: &[&str], down: bool) {
        for key in keys {
            let key = format!("\"down\":{down},\"key\":{{\"type\":\"qcode\",\"data\":\"{key}\"}}");
            self.events(&[format!("{{\"type\":\"key\",\"data\":{{{key}}}}}")]);
        }
    }

    /// Types letters, and Return.
    pub fn type_line(&mut self, line: &str) {
        for letter in line.chars() {
            self.keys(&[&letter.to_string()]);
        }
        self.keys(&["ret"]);
    }

    pub fn motion(&mut self, x: i32, y: i32) {
        let axis = |axis, by| {
            format!("{{\"type\":\"rel\",\"data\":{{\"axis\":\"{axis}\",\"value\":{by}}}}}")
        };
        self.events(&[axis("x", x), axis("y", y)]);
    }

    pub fn button(&mut self, down: bool) {
        let data = format!("{{\"down\":{down},\"button\":\"left\"}}");
        self.events(&[format!("{{\"type\":\"btn\",\"data\":{data}}}")]);
    }

    /// What a screen shows.
    pub fn look(&mut self, head: u32, name: &str) -> Picture {
        let path = self.directory.join(format!("{name}.png"));
        let shown = path.display();
        let arguments = format!(
            "\"filename\":\"{shown}\",\"format\":\"png\",\"device\":\"gpu0\",\"head\":{head}"
        );
        self.qmp("screendump", &arguments);
        Picture::read(&path)
    }

    /// Looks at a screen until that shows something.
    pub fn look_until(
        &mut self,
        head: u32,
        name: &str,
        what: impl Fn(&Picture) -> bool,
    ) -> Picture {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let picture = self.look(head, name);
            if what(&picture) {
                return picture;
            }
            assert!(Instant::now() < deadline, "{name}.png never shows what it should");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Plugs a second keyboard in, or pulls it out.
    pub fn plug_keyboard(&mut self, plugged: bool) {
        if plugged {
            let device = "\"driver\":\"virtio-keyboard-pci\",\"id\":\"second\",\"bus\":\"port1\"";
            self.qmp("device_add", device);
        } else {
            self.qmp("device_del", "\"id\":\"second\"");
            // Another one can have its place only then.
            self.answer("\"device\": \"second\"");
        }
    }

    pub fn kill_seatd(&mut self) {
        self.run("kill -KILL $(pidof seatd)");
    }

    pub fn start_seatd(&mut self) {
        self.run("rm -f /run/seatd.sock; seatd -g seat >/tmp/seatd.log 2>&1 &");
        self.run_until("ls /run/seatd.sock", "/run/seatd.sock");
    }

    /// Plugs the second screen in, gives it another size, or pulls it out: 0 by 0.
    pub fn second_screen(&mut self, width: u16, height: u16) {
        let socket = self.sockets.path().join("vnc");
        let screen = self.second_screen.get_or_insert_with(|| vnc::Screen::open(connect(&socket)));
        screen.resize(width, height);
    }
}

const KERNEL: &str = "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off nokaslr \
                      random.trust_cpu=on tsc=reliable no_timer_check rdinit=/init";

fn connect(path: &Path) -> UnixStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "{}: {error}", path.display()),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// RGB, from the top left on.
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    fn read(path: &Path) -> Self {
        let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap()))
            .read_info()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let samples = info.color_type.samples();
        let pixels = bytes.chunks_exact(samples).map(|it| [it[0], it[1], it[2]]).collect();
        Self { width: info.width as usize, height: info.height as usize, pixels }
    }

    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }

    /// How many pixels have this colour, or nearly.
    pub fn count(&self, colour: [u8; 3]) -> usize {
        let near = |pixel: &&[u8; 3]| {
            pixel.iter().zip(colour).all(|(one, other)| one.abs_diff(other) <= 3)
        };
        self.pixels.iter().filter(near).count()
    }

    pub fn differs_from(&self, other: &Self) -> usize {
        self.pixels.iter().zip(&other.pixels).filter(|(one, other)| one != other).count()
    }
}

/// Whether a program is installed.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = [PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")];
    std::env::split_paths(&path).chain(sbin).any(|it| fs::exists(it.join(program)).unwrap_or(false))
}
