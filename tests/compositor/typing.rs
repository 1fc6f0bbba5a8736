//! Texts that are typed through the control socket: tasks that end with whoever asked for them.

use super::RED;
use super::client::Client;
use super::server::{Compositor, PATIENCE};

const SHIFT: u32 = 42;

#[test]
fn a_text_is_typed_key_after_key() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.seat.get_keyboard(&client.queue, ());
    client.window("typed on", (64, 64), RED);
    client.until("keyboard focus", |heard| heard.keyboard_entered);
    let mut control = compositor.control();
    // It is done when the answer is there, and then the next command is obeyed.
    control.send(b"type aB 1\nkey 30 press\n");
    assert_eq!(control.answer(), ["ok"]);
    assert_eq!(control.answer(), ["ok"]);
    let stroke = |key| [(key, true), (key, false)];
    let shifted = [(SHIFT, true), (48, true), (48, false), (SHIFT, false)];
    let expected = [&stroke(30)[..], &shifted, &stroke(57), &stroke(2), &[(30, true)]].concat();
    client.until("all keys", |heard| heard.keys.len() == expected.len());
    assert_eq!(client.heard.keys, expected);
    assert!(control.ask("type ü")[0].starts_with("error there is no key for 'ü'"));
}

#[test]
fn it_ends_with_whoever_asked_and_no_key_stays_down() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    client.seat.get_keyboard(&client.queue, ());
    client.window("typed on", (64, 64), RED);
    client.until("keyboard focus", |heard| heard.keyboard_entered);
    let mut control = compositor.control();
    // A minute and more of typing.
    control.send(format!("type {}\n", "A".repeat(2000)).as_bytes());
    client.until("the first keys", |heard| heard.keys.len() >= 2);
    drop(control);
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut control = compositor.control();
    // Callbacks of the past are told under its name all the time; the source is not.
    loop {
        let stats = control.ask("stats");
        let mut sources = stats.iter().take_while(|line| *line != "callbacks:");
        if !sources.any(|line| line.starts_with("  typing")) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{stats:#?}");
    }
    client.roundtrip();
    let down = |key| client.heard.keys.iter().filter(|(k, down)| *k == key && *down).count();
    let up = |key| client.heard.keys.iter().filter(|(k, down)| *k == key && !*down).count();
    assert!(down(30) < 1000);
    assert_eq!((down(30), down(SHIFT)), (up(30), up(SHIFT)), "{:?}", client.heard.keys);
    assert!(control.ask("stats")[1].ends_with(" 0 keys held down"));
}
