use super::*;

use calloop::Dispatcher;
use calloop::generic::Generic;

#[derive(Default)]
pub struct Handshake {
    pending: Option<Dispatcher<'static, Generic<UnixStream>, State<Handshake>>>,
    session: Option<UnixStream>,
}

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(Handshake::default())?;
    let (mut client, server) = UnixStream::pair()?;
    let source = Generic::new(server, Interest::READ, Mode::Level);
    let pending = Dispatcher::new(source, |_, stream, state: &mut State<Handshake>| {
        let mut hello = [0; 5];
        (&**stream).read_exact(&mut hello)?;
        state.log.push("hello".into());
        // The source is borrowed as long as its callback runs.
        state.handle.insert_idle(|state| {
            let pending = state.own.pending.take().expect("it is there");
            // Panics if anyone has kept a clone.
            state.own.session = Some(pending.into_source_inner().unwrap());
        });
        Ok(PostAction::Remove)
    });
    state.handle.register_dispatcher(pending.clone())?;
    state.own.pending = Some(pending);

    client.write_all(b"hello, then")?;
    event_loop.dispatch(None, &mut state)?;
    let mut rest = [0; 6];
    state.own.session.take().expect("it is there").read_exact(&mut rest)?;
    state.log.push(String::from_utf8(rest.into())?);
    Ok(state.log)
}
