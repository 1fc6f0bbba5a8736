//! Keyboards, pointers, touchscreens, touchpads and graphics tablets: libinput, on the devices that the session gives.

use smithay::backend::input::InputEvent;
use smithay::backend::libinput::{LibinputInputBackend, LibinputSessionInterface};
use smithay::backend::session::Session;
use smithay::input::keyboard::LedState;
use smithay::reexports::input::{Device, DeviceCapability, Event, Led, Libinput};

use crate::Result;

/// What input asks of the state.
pub trait InputHandler {
    fn devices(&mut self) -> &mut Devices;
    fn input(&mut self, event: InputEvent<LibinputInputBackend>);
}

pub fn hear<D: InputHandler>(event: InputEvent<LibinputInputBackend>, _: &mut (), data: &mut D) {
    match event {
        InputEvent::DeviceAdded { device } => data.devices().added(device),
        InputEvent::DeviceRemoved { device } => data.devices().removed(&device),
        event => data.input(event),
    }
}

/// The devices that are there.
pub struct Devices {
    libinput: Libinput,
    all: Vec<Device>,
    leds: Led,
}

/// The input devices of a seat. Their first events are to be taken by [`Devices::take_added`].
///
/// # Errors
///
/// libinput knows no such seat.
pub fn open<S: Session + 'static>(session: S) -> Result<(Devices, LibinputInputBackend)> {
    let seat = session.seat();
    let mut libinput = Libinput::new_with_udev::<LibinputSessionInterface<S>>(
        LibinputSessionInterface::from(session),
    );
    libinput.udev_assign_seat(&seat).map_err(|()| format!("no input devices of {seat}"))?;
    let source = LibinputInputBackend::new(libinput.clone());
    let mut devices = Devices { libinput, all: Vec::new(), leds: Led::empty() };
    devices.take_added();
    Ok((devices, source))
}

impl Devices {
    /// What libinput has found by itself makes its fd readable only with the next input.
    fn take_added(&mut self) {
        let added: Vec<Event> = self.libinput.by_ref().collect();
        for event in added {
            use smithay::reexports::input::event::{DeviceEvent, EventTrait};
            match event {
                Event::Device(DeviceEvent::Added(event)) => self.added(event.device()),
                Event::Device(DeviceEvent::Removed(event)) => self.removed(&event.device()),
                // Keys that are let go of because their keyboard is.
                _ => {}
            }
        }
    }

    fn added(&mut self, mut device: Device) {
        device.led_update(self.leds);
        // Who types is not to lose the keys for a touchpad.
        if device.config_tap_finger_count() > 0 {
            let _ = device.config_tap_set_enabled(true);
        }
        println!("compositor: device added: {}", device.name());
        self.all.push(device);
    }

    fn removed(&mut self, device: &Device) {
        println!("compositor: device removed: {}", device.name());
        self.all.retain(|other| other != device);
    }

    pub fn set_leds(&mut self, leds: LedState) {
        self.leds = leds.into();
        for device in &mut self.all {
            if device.has_capability(DeviceCapability::Keyboard) {
                device.led_update(self.leds);
            }
        }
    }

    /// The session has taken the devices away.
    pub fn suspend(&mut self) {
        self.libinput.suspend();
        self.take_added();
    }

    /// The session has given them back.
    pub fn resume(&mut self) {
        if self.libinput.resume().is_err() {
            eprintln!("compositor: the input devices can't be had back");
        }
        self.take_added();
    }

    pub fn count(&self) -> usize {
        self.all.len()
    }
}
