//! The clients of the demonstration: processes of their own that connect to the compositor like any other.

mod pictures;
mod window;

use std::error::Error;

use window::{Attachment, Scene};

/// Their names, in the order they are started.
pub const NAMES: [&str; 4] = ["plasma", "clock", "orbit", "menu"];

/// Is one of them, until the compositor has gone.
pub fn run(name: &str) -> Result<(), Box<dyn Error>> {
    let scene = match name {
        "plasma" => Scene {
            title: "Plasma: frame callbacks",
            size: (400, 260),
            opaque: true,
            paint: pictures::plasma,
            attachment: None,
        },
        "clock" => Scene {
            title: "Clock",
            size: (240, 240),
            opaque: false,
            paint: pictures::clock,
            attachment: None,
        },
        "orbit" => Scene {
            title: "Orbit: a subsurface",
            size: (360, 220),
            opaque: true,
            paint: pictures::sky,
            attachment: Some(Attachment::Subsurface {
                size: (56, 56),
                paint: pictures::moon,
                path: pictures::orbit,
            }),
        },
        "menu" => Scene {
            title: "Menu: a popup",
            size: (320, 200),
            opaque: true,
            paint: pictures::page,
            attachment: Some(Attachment::Popup {
                size: (170, 118),
                paint: pictures::menu,
                anchor: (210, 70),
            }),
        },
        _ => return Err(format!("there is no demo client {name:?}").into()),
    };
    window::show(name, scene)
}
