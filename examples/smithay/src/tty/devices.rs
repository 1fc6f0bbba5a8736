//! Keyboards, pointers, touchscreens, touchpads and graphics tablets: libinput, on the devices that the session gives.

use std::io;

use smithay::backend::input::InputEvent;
use smithay::backend::libinput::{
    LibinputInputBackend, LibinputSessionInterface, PointerScrollAxis,
};
use smithay::backend::session::Session;
use smithay::input::keyboard::LedState;
use smithay::reexports::input::event::gesture::{
    GestureHoldEvent, GesturePinchEvent, GestureSwipeEvent,
};
use smithay::reexports::input::event::{
    DeviceEvent, EventTrait, GestureEvent, KeyboardEvent, PointerEvent, TabletToolEvent, TouchEvent,
};
use smithay::reexports::input::{Device, DeviceCapability, Event, Led, Libinput};

use crate::Result;

/// What input asks of the state.
pub trait InputHandler {
    fn devices(&mut self) -> &mut Devices;
    fn input(&mut self, event: InputEvent<LibinputInputBackend>);
}

/// Takes what there is. Smithay's own source does the same, but is one of calloop's.
pub fn hear<D: InputHandler>(libinput: &mut Libinput, data: &mut D) -> io::Result<bool> {
    libinput.dispatch()?;
    for event in libinput {
        match event {
            Event::Device(DeviceEvent::Added(event)) => data.devices().added(event.device()),
            Event::Device(DeviceEvent::Removed(event)) => data.devices().removed(&event.device()),
            event => {
                if let Some(event) = translate(event) {
                    data.input(event);
                }
            }
        }
    }
    Ok(true)
}

/// What Smithay calls it.
fn translate(event: Event) -> Option<InputEvent<LibinputInputBackend>> {
    use InputEvent as To;
    use {GestureHoldEvent as Hold, GesturePinchEvent as Pinch, GestureSwipeEvent as Swipe};
    Some(match event {
        Event::Keyboard(KeyboardEvent::Key(event)) => To::Keyboard { event },
        Event::Pointer(event) => match event {
            PointerEvent::Motion(event) => To::PointerMotion { event },
            PointerEvent::MotionAbsolute(event) => To::PointerMotionAbsolute { event },
            PointerEvent::Button(event) => To::PointerButton { event },
            PointerEvent::ScrollWheel(event) => {
                To::PointerAxis { event: PointerScrollAxis::Wheel(event) }
            }
            PointerEvent::ScrollFinger(event) => {
                To::PointerAxis { event: PointerScrollAxis::Finger(event) }
            }
            PointerEvent::ScrollContinuous(event) => {
                To::PointerAxis { event: PointerScrollAxis::Continuous(event) }
            }
            _ => return None,
        },
        Event::Touch(event) => match event {
            TouchEvent::Down(event) => To::TouchDown { event },
            TouchEvent::Motion(event) => To::TouchMotion { event },
            TouchEvent::Up(event) => To::TouchUp { event },
            TouchEvent::Cancel(event) => To::TouchCancel { event },
            TouchEvent::Frame(event) => To::TouchFrame { event },
            _ => return None,
        },
        Event::Tablet(event) => match event {
            TabletToolEvent::Axis(event) => To::TabletToolAxis { event },
            TabletToolEvent::Proximity(event) => To::TabletToolProximity { event },
            TabletToolEvent::Tip(event) => To::TabletToolTip { event },
            TabletToolEvent::Button(event) => To::TabletToolButton { event },
            _ => return None,
        },
        Event::Gesture(event) => match event {
            GestureEvent::Swipe(Swipe::Begin(event)) => To::GestureSwipeBegin { event },
            GestureEvent::Swipe(Swipe::Update(event)) => To::GestureSwipeUpdate { event },
            GestureEvent::Swipe(Swipe::End(event)) => To::GestureSwipeEnd { event },
            GestureEvent::Pinch(Pinch::Begin(event)) => To::GesturePinchBegin { event },
            GestureEvent::Pinch(Pinch::Update(event)) => To::GesturePinchUpdate { event },
            GestureEvent::Pinch(Pinch::End(event)) => To::GesturePinchEnd { event },
            GestureEvent::Hold(Hold::Begin(event)) => To::GestureHoldBegin { event },
            GestureEvent::Hold(Hold::End(event)) => To::GestureHoldEnd { event },
            _ => return None,
        },
        _ => return None,
    })
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
pub fn open<S: Session + 'static>(session: S) -> Result<(Devices, Libinput)> {
    let seat = session.seat();
    let mut libinput = Libinput::new_with_udev::<LibinputSessionInterface<S>>(
        LibinputSessionInterface::from(session),
    );
    libinput.udev_assign_seat(&seat).map_err(|()| format!("no input devices of {seat}"))?;
    let mut devices = Devices { libinput: libinput.clone(), all: Vec::new(), leds: Led::empty() };
    devices.take_added();
    Ok((devices, libinput))
}

impl Devices {
    /// What libinput has found by itself makes its fd readable only with the next input.
    fn take_added(&mut self) {
        let added: Vec<Event> = self.libinput.by_ref().collect();
        for event in added {
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
