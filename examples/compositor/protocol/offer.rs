//! `wl_data_offer` of something dragged: what the client that it is over makes of it.

use wayland_server::backend::ClientId;
use wayland_server::protocol::wl_data_device::WlDataDevice;
use wayland_server::protocol::wl_data_device_manager::DndAction;
use wayland_server::protocol::wl_data_offer::{self, Error, WlDataOffer};
use wayland_server::protocol::wl_data_source::WlDataSource;
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, Resource, WEnum};

use super::{DealKey, Protocol, ProtocolHost, SourceKey};

/// The version of the protocol from which on there are actions.
const ACTIONS: u32 = 3;

/// What a client and the source of a drag have agreed on: the client in any of its offers, of which each of its devices
/// has one.
pub struct Deal {
    source: SourceKey,
    pub offers: Vec<WlDataOffer>,
    accepted: bool,
    actions: DndAction,
    preferred: DndAction,
    /// The one of those both sides can do.
    action: DndAction,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Stage {
    /// The drag is over a surface of the client.
    Open,
    Dropped,
    /// The drag has left, or the client has finished.
    Closed,
}

impl Deal {
    fn choose(&self, of_source: DndAction) -> DndAction {
        let both = self.actions & of_source;
        let mut choices =
            [self.preferred, DndAction::Copy, DndAction::Move, DndAction::Ask].into_iter();
        choices
            .find(|action| !action.is_empty() && both.contains(*action))
            .unwrap_or(DndAction::None)
    }
}

/// `actions` as far as there are such.
pub(super) fn known(actions: WEnum<DndAction>) -> Option<DndAction> {
    actions.into_result().ok().filter(|actions| DndAction::all().contains(*actions))
}

impl Protocol {
    /// Tells a source something, unless it is gone or of a version that has no word for it.
    pub(super) fn tell_source(
        &self,
        source: Option<SourceKey>,
        since: u32,
        tell: impl FnOnce(&WlDataSource),
    ) {
        let source = source.and_then(|key| self.sources.get(key));
        source.map(|source| &source.resource).filter(|it| it.version() >= since).map(tell);
    }

    /// Offers what is dragged to the devices of a client.
    pub(super) fn offer_drag<D: ProtocolHost>(
        &mut self,
        key: SourceKey,
        devices: &[WlDataDevice],
    ) -> Option<DealKey> {
        let source = self.sources.get(key)?;
        // Who knows of no actions copies.
        let knows = devices.iter().all(|device| device.version() >= ACTIONS);
        let actions = if knows { DndAction::None } else { DndAction::Copy };
        let deal = self.deals.insert(Deal {
            source: key,
            offers: Vec::new(),
            accepted: false,
            actions,
            preferred: actions,
            action: DndAction::None,
            stage: Stage::Open,
        });
        for device in devices {
            let Some(offer) = self.offer_source::<D, _>(device, source, deal) else { continue };
            if offer.version() >= ACTIONS {
                offer.source_actions(source.actions());
            }
            self.deals[deal].offers.push(offer);
        }
        self.choose_action(deal);
        Some(deal)
    }

    /// Whether something can be dropped, and then it is.
    pub(super) fn drop_deal(&mut self, key: DealKey) -> bool {
        let Some(deal) = self.deals.get_mut(key) else { return false };
        let made = deal.accepted && !deal.action.is_empty();
        if made {
            deal.stage = Stage::Dropped;
            self.tell_source(
                Some(self.deals[key].source),
                ACTIONS,
                WlDataSource::dnd_drop_performed,
            );
        }
        made
    }

    /// The drag goes elsewhere.
    pub(super) fn close_deal(&mut self, key: DealKey) {
        let Some(deal) = self.deals.get_mut(key) else { return };
        deal.stage = Stage::Closed;
        let (source, accepted, action) = (Some(deal.source), deal.accepted, deal.action);
        if accepted {
            self.tell_source(source, 1, |source| source.target(None));
        }
        if !action.is_empty() {
            self.tell_source(source, ACTIONS, |source| source.action(DndAction::None));
        }
    }

    /// Finds the action that both sides can do, and tells them if it is another.
    fn choose_action(&mut self, key: DealKey) {
        let Some(deal) = self.deals.get_mut(key) else { return };
        let Some(source) = self.sources.get(deal.source) else { return };
        let action = deal.choose(source.actions());
        if std::mem::replace(&mut deal.action, action) == action {
            return;
        }
        // Once it is dropped, it is the client itself that decides what to do.
        for offer in deal.offers.iter().filter(|_| deal.stage == Stage::Open) {
            if offer.version() >= ACTIONS {
                offer.action(action);
            }
        }
        let source = Some(deal.source);
        self.tell_source(source, ACTIONS, |source| source.action(action));
    }
}

impl<D: ProtocolHost> Dispatch<WlDataOffer, DealKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WlDataOffer,
        request: wl_data_offer::Request,
        key: &DealKey,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        use wl_data_offer::Request;
        let protocol = data.as_mut();
        let Some(deal) = protocol.deals.get_mut(*key) else { return };
        let (source, stage) = (deal.source, deal.stage);
        match request {
            Request::Accept { mime_type, .. } if stage == Stage::Open => {
                deal.accepted = mime_type.is_some();
                protocol.tell_source(Some(source), 1, |source| source.target(mime_type));
            }
            Request::Receive { mime_type, fd } if stage != Stage::Closed => {
                protocol.ask_for(source, mime_type, fd);
            }
            Request::SetActions { dnd_actions, preferred_action } if stage != Stage::Closed => {
                let Some(actions) = known(dnd_actions) else {
                    return resource
                        .post_error(Error::InvalidActionMask, "there is no such action");
                };
                let preferred = known(preferred_action).filter(|it| it.bits().count_ones() < 2);
                let Some(preferred) = preferred.filter(|it| actions.contains(*it)) else {
                    return resource.post_error(Error::InvalidAction, "not one of the actions");
                };
                (deal.actions, deal.preferred) = (actions, preferred);
                protocol.choose_action(*key);
            }
            Request::Finish => {
                let done = DndAction::Copy | DndAction::Move;
                if stage != Stage::Dropped || !deal.accepted || !done.intersects(deal.action) {
                    return resource.post_error(Error::InvalidFinish, "nothing is to be finished");
                }
                deal.stage = Stage::Closed;
                protocol.tell_source(Some(source), ACTIONS, WlDataSource::dnd_finished);
            }
            _ => {}
        }
    }

    fn destroyed(data: &mut D, _: ClientId, resource: &WlDataOffer, key: &DealKey) {
        let protocol = data.as_mut();
        let Some(deal) = protocol.deals.get_mut(*key) else { return };
        deal.offers.retain(|offer| offer != resource);
        if !deal.offers.is_empty() {
            return;
        }
        let (source, stage) = (Some(deal.source), deal.stage);
        match stage {
            Stage::Open => protocol.close_deal(*key),
            // Without a word for it, the end of the offer is the end of it all.
            Stage::Dropped if resource.version() < ACTIONS => {
                protocol.tell_source(source, ACTIONS, WlDataSource::dnd_finished);
            }
            Stage::Dropped => protocol.tell_source(source, ACTIONS, WlDataSource::cancelled),
            Stage::Closed => {}
        }
        protocol.deals.remove(*key);
    }
}
