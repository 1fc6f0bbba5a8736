//! The second screen is one that a VNC client has a size for, and there if that is not 0 by 0.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

pub struct Screen(UnixStream);

impl Screen {
    pub fn open(mut stream: UnixStream) -> Self {
        let mut version = [0; 12];
        stream.read_exact(&mut version).unwrap();
        stream.write_all(b"RFB 003.008\n").unwrap();
        let mut count = [0];
        stream.read_exact(&mut count).unwrap();
        stream.read_exact(&mut vec![0; count[0] as usize]).unwrap();
        // No password.
        stream.write_all(&[1]).unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        // Others may look, too.
        stream.write_all(&[1]).unwrap();
        let mut head = [0; 24];
        stream.read_exact(&mut head).unwrap();
        let name = u32::from_be_bytes([head[20], head[21], head[22], head[23]]);
        stream.read_exact(&mut vec![0; name as usize]).unwrap();
        // SetEncodings: a desktop that changes its size, which is what the client has to know of to be heard.
        stream.write_all(&[2, 0, 0, 1]).unwrap();
        stream.write_all(&(-308_i32).to_be_bytes()).unwrap();
        Self(stream)
    }

    /// SetDesktopSize, with one screen.
    pub fn resize(&mut self, width: u16, height: u16) {
        let mut message = vec![251, 0];
        for word in [width, height] {
            message.extend(word.to_be_bytes());
        }
        message.extend([1, 0]);
        message.extend(0_u32.to_be_bytes());
        for word in [0, 0, width, height] {
            message.extend(word.to_be_bytes());
        }
        message.extend(0_u32.to_be_bytes());
        self.0.write_all(&message).unwrap();
    }
}
