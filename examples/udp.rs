//! A UDP service over `MioSource`: a thread sends numbers, the service answers with their squares; a ping from
//! the thread ends it.

use std::net::UdpSocket;

use soloop::{EventLoop, Interest, LoopData, LoopHandle, MioSource, Mode, PostAction, make_ping};

struct State {
    handle: LoopHandle<State>,
    served: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, served: 0 };

    let socket = mio::net::UdpSocket::bind("127.0.0.1:0".parse()?)?;
    let address = socket.local_addr()?;
    // Level-triggered: one datagram a call, and it is called again as long as there are more.
    let service = MioSource::new(socket, Interest::READ, Mode::Level);
    state.handle.insert_source(service, |ready, state| {
        let mut datagram = [0; 8];
        let (length, client) = ready.io.recv_from(&mut datagram)?;
        if length == datagram.len() {
            let number = u64::from_be_bytes(datagram);
            ready.io.send_to(&number.wrapping_mul(number).to_be_bytes(), client)?;
            state.served += 1;
        }
        Ok(PostAction::Continue)
    })?;

    let (ping, pings) = make_ping();
    state.handle.insert_source(pings, |(), state| state.handle.stop())?;

    let client = std::thread::spawn(move || -> std::io::Result<Vec<u64>> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(address)?;
        let mut squares = Vec::new();
        for number in 1..=10_u64 {
            socket.send(&number.to_be_bytes())?;
            let mut answer = [0; 8];
            socket.recv_exact(&mut answer)?;
            squares.push(u64::from_be_bytes(answer));
        }
        ping.ping();
        Ok(squares)
    });
    event_loop.run(None, &mut state, |_| ())?;
    let squares = client.join().expect("the client does not panic")?;
    assert_eq!(squares, [1, 4, 9, 16, 25, 36, 49, 64, 81, 100]);
    println!("served {} requests at {address}: {squares:?}", state.served);
    Ok(())
}

/// A datagram that has to have this length.
trait RecvExact {
    fn recv_exact(&self, buffer: &mut [u8]) -> std::io::Result<()>;
}

impl RecvExact for UdpSocket {
    fn recv_exact(&self, buffer: &mut [u8]) -> std::io::Result<()> {
        match self.recv(buffer)? {
            length if length == buffer.len() => Ok(()),
            _ => Err(std::io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
