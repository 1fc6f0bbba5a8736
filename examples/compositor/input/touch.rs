//! Fingers, by their numbers: where each comes down it stays, until it is lifted.

use super::{InputHost, time};
use crate::geometry::Point;

/// What fingers do on the output.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Touch {
    Down(i32, Point),
    Move(i32, Point),
    Up(i32),
    /// All that are down are lifted, and what they have done is not for the clients.
    Cancel,
}

/// Does as fingers do; what one can't do that is down, or is not, is ignored.
pub fn touch<D: InputHost>(data: &mut D, touch: Touch) {
    let time = time(data);
    let fingers = &mut data.as_mut().fingers;
    match touch {
        Touch::Down(finger, point) if fingers.insert(finger) => {
            data.as_mut().touches += 1;
            let target = data.target_at(point);
            data.pressed_on(target, point);
            if let Some(target) = target {
                data.touch_down(time, finger, target, point);
            }
        }
        Touch::Move(finger, point) if fingers.contains(&finger) => {
            data.touch_moved(time, finger, point);
        }
        Touch::Up(finger) if fingers.remove(&finger) => data.touch_up(time, finger),
        Touch::Cancel => {
            fingers.clear();
            data.touch_cancelled();
        }
        _ => {}
    }
}
