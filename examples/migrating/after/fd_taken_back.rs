use super::*;

use soloop::Generic;

#[derive(Default)]
pub struct Handshake {
    pending: Option<Token<Generic<UnixStream>>>,
    session: Option<UnixStream>,
}

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(Handshake::default())?;
    let (mut client, server) = UnixStream::pair()?;
    let source = Generic::new(server, Interest::READ, Mode::Level);
    let pending = state.handle.insert_source(source, |ready, state| {
        let mut hello = [0; 5];
        ready.io.read_exact(&mut hello)?;
        state.log.push("hello".into());
        let pending = state.own.pending.take().expect("it is there");
        state.handle.take(pending, |source, state| {
            state.own.session = Some(source.into_inner());
        });
        Ok(PostAction::Continue)
    })?;
    state.own.pending = Some(pending);

    client.write_all(b"hello, then")?;
    event_loop.dispatch(None, &mut state)?;
    let mut rest = [0; 6];
    state.own.session.take().expect("it is there").read_exact(&mut rest)?;
    state.log.push(String::from_utf8(rest.into())?);
    Ok(state.log)
}
