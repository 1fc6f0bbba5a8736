//! `xdg_activation_v1`: a client with the keyboard lets another have it, by a token that it passes on.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};

use wayland_protocols::xdg::activation::v1::server::xdg_activation_token_v1::{
    self, XdgActivationTokenV1,
};
use wayland_protocols::xdg::activation::v1::server::xdg_activation_v1::{self, XdgActivationV1};
use wayland_server::backend::ClientId;
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::{Protocol, ProtocolHost, RequestKey};

/// How many tokens are good at once: with one more the oldest is not any more.
const MOST: usize = 64;

/// A token that is asked for; once committed it is given out.
#[derive(Default)]
pub struct TokenRequest {
    committed: bool,
}

/// The tokens that were given out and not used yet.
#[derive(Default)]
pub struct Tokens(VecDeque<String>);

impl Tokens {
    fn issue(&mut self) -> io::Result<String> {
        let token = random()?;
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(token.clone());
        Ok(token)
    }

    /// Whether it is good; it is so once.
    fn redeem(&mut self, token: &str) -> bool {
        let found = self.0.iter().position(|issued| issued == token);
        found.and_then(|index| self.0.remove(index)).is_some()
    }
}

/// What nobody can guess.
fn random() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.map(|byte| format!("{byte:02x}")).concat())
}

impl<D: ProtocolHost> GlobalDispatch<XdgActivationV1, (), D> for Protocol {
    fn bind(
        _: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<XdgActivationV1>,
        _: &(),
        init: &mut DataInit<'_, D>,
    ) {
        init.init(resource, ());
    }
}

impl<D: ProtocolHost> Dispatch<XdgActivationV1, (), D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        _: &XdgActivationV1,
        request: xdg_activation_v1::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        use xdg_activation_v1::Request;
        let protocol = data.as_mut();
        match request {
            Request::GetActivationToken { id } => {
                let key = protocol.token_requests.insert(TokenRequest::default());
                init.init(id, key);
            }
            Request::Activate { token, surface } => {
                let window = surface.data().and_then(|key| protocol.window_of(*key));
                // A window that is not there yet gets the keyboard when it comes.
                if let Some(window) = window.filter(|window| protocol.windows.contains(window))
                    && protocol.tokens.redeem(&token)
                {
                    data.activation_asked(window);
                }
            }
            _ => {}
        }
    }
}

impl<D: ProtocolHost> Dispatch<XdgActivationTokenV1, RequestKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &XdgActivationTokenV1,
        request: xdg_activation_token_v1::Request,
        key: &RequestKey,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        use xdg_activation_token_v1::{Error, Request};
        let protocol = data.as_mut();
        let Some(asked) = protocol.token_requests.get_mut(*key) else { return };
        if asked.committed && !matches!(request, Request::Destroy) {
            return resource.post_error(Error::AlreadyUsed, "this token was committed");
        }
        let Request::Commit = request else { return };
        asked.committed = true;
        // Who does not have the keyboard can't pass it on, but gets a token, which is good for nothing.
        let token =
            if protocol.has_keyboard(resource) { protocol.tokens.issue() } else { random() };
        resource.done(token.unwrap_or_default());
    }

    fn destroyed(data: &mut D, _: ClientId, _: &XdgActivationTokenV1, key: &RequestKey) {
        data.as_mut().token_requests.remove(*key);
    }
}
