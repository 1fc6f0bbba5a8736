//! A client with a window that something can be dragged from and to, and what it hears of that.

use std::os::fd::OwnedFd;
use std::time::Instant;

use wayland_client::protocol::wl_data_device::{self, WlDataDevice};
use wayland_client::protocol::wl_data_device_manager::{DndAction, WlDataDeviceManager};
use wayland_client::protocol::wl_data_offer::{self, WlDataOffer};
use wayland_client::protocol::wl_data_source::{self, WlDataSource};
use wayland_client::protocol::wl_pointer::{self, WlPointer};
use wayland_client::{
    Connection, Dispatch, EventQueue, QueueHandle, WEnum, delegate_noop, event_created_child,
};

use super::client::{Client, Window};
use super::server::{Compositor, PATIENCE};

pub struct Desk {
    pub client: Client,
    pub window: Window,
    /// Of its window, on the output.
    pub at: (i32, i32),
    pub events: EventQueue<Heard>,
    pub heard: Heard,
    pub manager: WlDataDeviceManager,
    pub device: WlDataDevice,
}

#[derive(Default)]
pub struct Heard {
    /// Of the last press.
    pub press: u32,
    /// The pointer is on the window.
    pub pointed: bool,
    pub releases: usize,
    pub mime_types: Vec<String>,
    pub source_actions: Option<DndAction>,
    /// Where something dragged is on the window, while it is.
    pub over: Option<(f64, f64)>,
    pub offer: Option<WlDataOffer>,
    /// The action that was agreed on, as the offer has it.
    pub action: Option<DndAction>,
    pub dropped: bool,
    /// What the source is told, in order.
    pub source: Vec<Told>,
    pub asked: Vec<OwnedFd>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Told {
    Target(Option<String>),
    Action(DndAction),
    Dropped,
    Finished,
    Cancelled,
}

impl Desk {
    pub fn new(compositor: &Compositor, title: &str, colour: u32) -> Self {
        let mut client = Client::connect(compositor);
        let events = client.connection.new_event_queue();
        let queue = events.handle();
        let manager: WlDataDeviceManager = client.globals.bind(&queue, 3..=3, ()).unwrap();
        let device = manager.get_data_device(&client.seat, &queue, ());
        client.seat.get_pointer(&queue, ());
        let window = client.window(title, (100, 80), colour);
        let at = compositor.window(title);
        Self { client, window, at, events, heard: Heard::default(), manager, device }
    }

    pub fn until(&mut self, what: &str, done: impl Fn(&Heard) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(&self.heard) {
            assert!(Instant::now() < deadline, "never: {what}");
            self.listen();
        }
    }

    pub fn listen(&mut self) -> &mut Heard {
        self.events.roundtrip(&mut self.heard).unwrap();
        &mut self.heard
    }

    pub fn source(&self, actions: DndAction) -> WlDataSource {
        let source = self.manager.create_data_source(&self.events.handle(), ());
        source.offer("text/plain".to_owned());
        source.set_actions(actions);
        source
    }

    /// Presses the left button on the window, and tells the serial of that.
    pub fn press(&mut self, compositor: &Compositor) -> u32 {
        point_at(compositor, self.at, (10, 10), "left press");
        self.until("a press", |heard| heard.press != 0);
        std::mem::take(&mut self.heard.press)
    }

    /// Begins to drag something.
    pub fn drag(&mut self, compositor: &Compositor, source: &WlDataSource) {
        let serial = self.press(compositor);
        self.device.start_drag(Some(source), &self.window.surface, None, serial);
        self.until("the pointer to leave", |heard| !heard.pointed);
    }

    /// Something is dragged over the window, which wants it.
    pub fn accept(&mut self, actions: DndAction, preferred: DndAction) -> WlDataOffer {
        self.until("an offer", |heard| heard.over.is_some());
        let offer = self.heard.offer.clone().unwrap();
        offer.accept(0, Some("text/plain".to_owned()));
        offer.set_actions(actions, preferred);
        self.listen();
        offer
    }
}

/// Moves the pointer to a place on a window, and does something with a button there.
pub fn point_at(compositor: &Compositor, window: (i32, i32), (x, y): (i32, i32), button: &str) {
    let command = format!("pointer {} {} {button}", window.0 + x, window.1 + y);
    assert_eq!(compositor.control().ask(&command), ["ok"]);
}

impl Dispatch<WlDataDevice, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlDataDevice,
        event: wl_data_device::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wl_data_device::Event;
        match event {
            Event::DataOffer { .. } => {
                heard.mime_types.clear();
                (heard.source_actions, heard.action) = (None, None);
            }
            Event::Enter { x, y, id, .. } => (heard.over, heard.offer) = (Some((x, y)), id),
            Event::Motion { x, y, .. } => heard.over = Some((x, y)),
            Event::Leave => heard.over = None,
            Event::Drop => heard.dropped = true,
            _ => {}
        }
    }

    event_created_child!(Self, WlDataDevice, [
        wl_data_device::EVT_DATA_OFFER_OPCODE => (WlDataOffer, ()),
    ]);
}

fn action(action: WEnum<DndAction>) -> DndAction {
    action.into_result().unwrap()
}

impl Dispatch<WlDataOffer, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlDataOffer,
        event: wl_data_offer::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wl_data_offer::Event;
        match event {
            Event::Offer { mime_type } => heard.mime_types.push(mime_type),
            Event::SourceActions { source_actions } => {
                heard.source_actions = Some(action(source_actions));
            }
            Event::Action { dnd_action } => heard.action = Some(action(dnd_action)),
            _ => {}
        }
    }
}

impl Dispatch<WlDataSource, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlDataSource,
        event: wl_data_source::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wl_data_source::Event;
        match event {
            Event::Target { mime_type } => heard.source.push(Told::Target(mime_type)),
            Event::Action { dnd_action } => heard.source.push(Told::Action(action(dnd_action))),
            Event::DndDropPerformed => heard.source.push(Told::Dropped),
            Event::DndFinished => heard.source.push(Told::Finished),
            Event::Cancelled => heard.source.push(Told::Cancelled),
            Event::Send { fd, .. } => heard.asked.push(fd),
            _ => {}
        }
    }
}

impl Dispatch<WlPointer, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlPointer,
        event: wl_pointer::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wl_pointer::{ButtonState, Event};
        match event {
            Event::Enter { .. } => heard.pointed = true,
            Event::Leave { .. } => heard.pointed = false,
            Event::Button { serial, state: WEnum::Value(ButtonState::Pressed), .. } => {
                heard.press = serial;
            }
            Event::Button { .. } => heard.releases += 1,
            _ => {}
        }
    }
}

delegate_noop!(Heard: WlDataDeviceManager);
