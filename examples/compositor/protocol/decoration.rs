//! `zxdg_decoration_manager_v1`: who draws the frame of a window. The compositor does, unless the client would rather.

use wayland_protocols::xdg::decoration::zv1::server::zxdg_decoration_manager_v1::{
    self, ZxdgDecorationManagerV1,
};
use wayland_protocols::xdg::decoration::zv1::server::zxdg_toplevel_decoration_v1::{
    self, Mode, ZxdgToplevelDecorationV1,
};
use wayland_server::backend::ClientId;
use wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource, WEnum,
};

use super::{Protocol, ProtocolHost, SurfaceKey};

/// What was agreed on with a client that asks.
pub struct Decoration {
    resource: ZxdgToplevelDecorationV1,
    /// What the next configure event says.
    wanted: Mode,
    /// What the last one that was acknowledged said.
    pub agreed: Mode,
}

impl Decoration {
    pub fn send_configure(&self) {
        self.resource.configure(self.wanted);
    }

    pub fn post_error(&self, error: zxdg_toplevel_decoration_v1::Error, message: &str) {
        self.resource.post_error(error, message);
    }

    /// The client has acknowledged what was sent; whether that changes anything.
    pub fn acknowledged(&mut self) -> bool {
        std::mem::replace(&mut self.agreed, self.wanted) != self.wanted
    }
}

impl<D: ProtocolHost> GlobalDispatch<ZxdgDecorationManagerV1, (), D> for Protocol {
    fn bind(
        _: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<ZxdgDecorationManagerV1>,
        _: &(),
        init: &mut DataInit<'_, D>,
    ) {
        init.init(resource, ());
    }
}

impl<D: ProtocolHost> Dispatch<ZxdgDecorationManagerV1, (), D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        _: &ZxdgDecorationManagerV1,
        request: zxdg_decoration_manager_v1::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        use zxdg_decoration_manager_v1::Request;
        use zxdg_toplevel_decoration_v1::Error;
        let Request::GetToplevelDecoration { id, toplevel } = request else { return };
        let key = toplevel.data::<SurfaceKey>().copied().unwrap_or_default();
        let resource = init.init(id, key);
        let protocol = data.as_mut();
        let Some(surface) = protocol.surfaces.get(key) else { return };
        if surface.has_content() || matches!(surface.pending.attach, Some(Some(_))) {
            return resource
                .post_error(Error::UnconfiguredBuffer, "this window has a buffer already");
        }
        let Some(toplevel) = protocol.toplevel_mut(key) else { return };
        if toplevel.decoration.is_some() {
            return resource.post_error(Error::AlreadyConstructed, "there is one for this window");
        }
        let (wanted, agreed) = (Mode::ServerSide, Mode::ServerSide);
        toplevel.decoration = Some(Decoration { resource, wanted, agreed });
        protocol.configure(key);
    }
}

impl<D: ProtocolHost> Dispatch<ZxdgToplevelDecorationV1, SurfaceKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &ZxdgToplevelDecorationV1,
        request: zxdg_toplevel_decoration_v1::Request,
        key: &SurfaceKey,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        use zxdg_toplevel_decoration_v1::{Error, Request};
        let wanted = match request {
            Request::SetMode { mode: WEnum::Value(mode) } => mode,
            Request::SetMode { mode: WEnum::Unknown(mode) } => {
                return resource.post_error(Error::InvalidMode, format!("{mode} is not a mode"));
            }
            Request::UnsetMode => Mode::ServerSide,
            _ => return,
        };
        let protocol = data.as_mut();
        let toplevel = protocol.toplevel_mut(*key);
        if let Some(decoration) = toplevel.and_then(|toplevel| toplevel.decoration.as_mut()) {
            decoration.wanted = wanted;
            protocol.configure(*key);
        }
    }

    fn destroyed(data: &mut D, _: ClientId, resource: &ZxdgToplevelDecorationV1, key: &SurfaceKey) {
        let toplevel = data.as_mut().toplevel_mut(*key);
        let gone = toplevel.and_then(|toplevel| {
            toplevel.decoration.take_if(|decoration| decoration.resource == *resource)
        });
        if gone.is_some() {
            data.changed(None);
        }
    }
}
