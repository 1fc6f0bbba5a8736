//! A touchscreen and a touchpad, which qemu has none of: the kernel has devices made by programs (uinput).

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use evdev::uinput::VirtualDevice;
use evdev::{
    AbsInfo, AbsoluteAxisCode as Axis, AbsoluteAxisEvent, AttributeSet, InputEvent, KeyCode,
    KeyEvent, PropType, UinputAbsSetup,
};

use super::guest;
use super::seat::Seat;

/// What libinput calls a stroke takes that long, and then some.
const STEPS: i32 = 20;
const PAUSE: Duration = Duration::from_millis(12);

/// Plugs one of them in, strokes it with one finger or with three when the compositor knows it, and pulls it out.
pub fn stroke(kind: &str, socket: &str) {
    let is_pad = kind == "touchpad";
    let fingers = if is_pad { 3 } else { 1 };
    let mut device = device(kind, is_pad);
    while !fs::read_to_string("/tmp/log").unwrap().contains(&format!("device added: {kind}")) {
        sleep(PAUSE);
    }
    let strokes = || Seat::number_in(&guest::ask(socket, "stats"), "input:", "strokes");
    let before = strokes();
    let tools = [KeyCode::BTN_TOUCH, KeyCode::BTN_TOOL_TRIPLETAP];
    let press = |down: bool| -> Vec<InputEvent> {
        tools[..1 + usize::from(is_pad)]
            .iter()
            .map(|key| *KeyEvent::new(*key, down.into()))
            .collect()
    };
    let axis = |axis: Axis, value: i32| *AbsoluteAxisEvent::new(axis, value);
    for step in 0..STEPS {
        let mut events = if step == 0 { press(true) } else { Vec::new() };
        for finger in 0..fingers {
            events.push(axis(Axis::ABS_MT_SLOT, finger));
            if step == 0 {
                events.push(axis(Axis::ABS_MT_TRACKING_ID, finger + 1));
            }
            events.push(axis(Axis::ABS_MT_POSITION_X, 100 + 200 * finger + 10 * step));
            events.push(axis(Axis::ABS_MT_POSITION_Y, 100 + 5 * step));
        }
        device.emit(&events).unwrap();
        sleep(PAUSE);
    }
    let mut events = press(false);
    for finger in 0..fingers {
        events.push(axis(Axis::ABS_MT_SLOT, finger));
        events.push(axis(Axis::ABS_MT_TRACKING_ID, -1));
    }
    device.emit(&events).unwrap();
    // What has not been read when it is pulled out is lost.
    while strokes() == before {
        sleep(PAUSE);
    }
}

fn device(name: &str, is_pad: bool) -> VirtualDevice {
    let mut keys = vec![KeyCode::BTN_TOUCH];
    let mut properties = vec![PropType::DIRECT];
    if is_pad {
        keys.extend([
            KeyCode::BTN_LEFT,
            KeyCode::BTN_TOOL_FINGER,
            KeyCode::BTN_TOOL_DOUBLETAP,
            KeyCode::BTN_TOOL_TRIPLETAP,
        ]);
        properties = vec![PropType::POINTER, PropType::BUTTONPAD];
    }
    let axes = [
        (Axis::ABS_X, 1280, 10),
        (Axis::ABS_Y, 800, 10),
        (Axis::ABS_MT_SLOT, 4, 0),
        (Axis::ABS_MT_TRACKING_ID, 65535, 0),
        (Axis::ABS_MT_POSITION_X, 1280, 10),
        (Axis::ABS_MT_POSITION_Y, 800, 10),
    ];
    let mut builder = VirtualDevice::builder().unwrap().name(name);
    for (axis, most, resolution) in axes {
        let info = AbsInfo::new(0, 0, most, 0, 0, resolution);
        builder = builder.with_absolute_axis(&UinputAbsSetup::new(axis, info)).unwrap();
    }
    let keys: AttributeSet<KeyCode> = keys.into_iter().collect();
    let properties: AttributeSet<PropType> = properties.into_iter().collect();
    builder.with_keys(&keys).unwrap().with_properties(&properties).unwrap().build().unwrap()
}
