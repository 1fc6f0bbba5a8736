//! What is copied of buffers, and when clients have them back.

use std::os::unix::fs::FileExt;

use wayland_client::protocol::wl_output::Transform;
use wayland_client::protocol::wl_shm::Format;

use super::client::Client;
use super::server::{Compositor, Control};
use super::{BLUE, GREEN, RED, rgb};

/// How much was copied from clients so far.
fn copied(control: &mut Control) -> u64 {
    let stats = control.ask("stats");
    let line = stats.iter().find_map(|line| line.strip_prefix("protocol: ")).unwrap();
    let (before, _) = line.split_once(" KiB copied").unwrap();
    before.rsplit('(').next().unwrap().parse().unwrap()
}

#[test]
fn what_is_not_damaged_is_not_copied() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("damaged", (256, 256), RED);
    let (x, y) = compositor.window("damaged");
    let mut control = compositor.control();
    let before = copied(&mut control);
    window.surface.attach(Some(&client.buffer((256, 256), GREEN)), 0, 0);
    window.surface.damage_buffer(10, 10, 16, 16);
    window.surface.damage(100, 100, 16, 16);
    window.surface.commit();
    client.roundtrip();
    let picture = compositor.screenshot();
    for (dx, dy) in [(10, 10), (25, 25), (100, 115)] {
        assert_eq!(picture.pixel(x + dx, y + dy), rgb(GREEN), "{dx} {dy}");
    }
    for (dx, dy) in [(9, 10), (26, 25), (99, 100), (200, 200)] {
        assert_eq!(picture.pixel(x + dx, y + dy), rgb(RED), "{dx} {dy}");
    }
    assert_eq!(copied(&mut control) - before, 2, "KiB, of 256");
    client.until("both buffers back", |heard| heard.releases == 2);
    // The same size, not the same scale: what is damaged is so in logical pixels.
    window.surface.set_buffer_scale(2);
    window.surface.attach(Some(&client.buffer((256, 256), BLUE)), 0, 0);
    window.surface.damage(5, 5, 8, 8);
    window.surface.commit();
    client.roundtrip();
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 5, y + 5), rgb(BLUE));
    assert_eq!(picture.pixel(x + 12, y + 12), rgb(BLUE));
    assert_eq!(picture.pixel(x + 4, y + 5), rgb(RED));
    assert_eq!(picture.pixel(x + 100, y + 100), rgb(RED));
}

/// A window of 64x32, whose upper half is red at the left and green at the right, and whose lower one is blue. Each
/// buffer is what a client has drawn that turns all that before.
#[test]
fn buffers_that_were_turned_are_turned_back() {
    use Transform::{_90, _180, _270, Flipped, Flipped90, Flipped180, Flipped270, Normal};
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("turned", (64, 32), 0xffffffff);
    let (x, y) = compositor.window("turned");
    // The corners of the buffer: upper left and right, lower left and right.
    let turned = [
        (Normal, [RED, GREEN, BLUE, BLUE]),
        (_90, [GREEN, BLUE, RED, BLUE]),
        (_180, [BLUE, BLUE, GREEN, RED]),
        (_270, [BLUE, RED, BLUE, GREEN]),
        (Flipped, [GREEN, RED, BLUE, BLUE]),
        (Flipped90, [RED, BLUE, GREEN, BLUE]),
        (Flipped180, [BLUE, BLUE, RED, GREEN]),
        (Flipped270, [BLUE, GREEN, BLUE, RED]),
    ];
    for (transform, corners) in turned {
        let upright = matches!(transform, Normal | _180 | Flipped | Flipped180);
        let (width, height) = if upright { (64, 32) } else { (32, 64) };
        let memory = client.memory(4 * 64 * 32);
        let pixels = (0..width * height).flat_map(|index| {
            let (column, row) = (index % width * 2 / width, index / width * 2 / height);
            corners[(2 * row + column) as usize].to_le_bytes()
        });
        memory.write_all_at(&pixels.collect::<Vec<u8>>(), 0).unwrap();
        let pool = client.pool(&memory, 4 * 64 * 32);
        let format = Format::Argb8888;
        let buffer = pool.create_buffer(0, width, height, 4 * width, format, &client.queue, ());
        window.surface.set_buffer_transform(transform);
        window.surface.attach(Some(&buffer), 0, 0);
        // All of it, but said so in four parts, which are not those that are looked at.
        for (left, top) in [(0, 0), (40, 0), (0, 20), (40, 20)] {
            window.surface.damage(left, top, 40, 20);
        }
        window.surface.commit();
        client.roundtrip();
        let picture = compositor.screenshot();
        let expected = [
            (0, 0, RED),
            (31, 15, RED),
            (32, 0, GREEN),
            (63, 15, GREEN),
            (0, 16, BLUE),
            (63, 31, BLUE),
        ];
        for (dx, dy, colour) in expected {
            assert_eq!(picture.pixel(x + dx, y + dy), rgb(colour), "{transform:?} {dx} {dy}");
        }
        assert!(compositor.control().ask("windows")[0].contains(" 64x32 "), "{transform:?}");
    }
}

#[test]
fn nothing_is_copied_that_no_frame_shows() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("flickers", (256, 256), RED);
    let mut control = compositor.control();
    let before = copied(&mut control);
    let [red, green] = [RED, GREEN].map(|colour| client.buffer((256, 256), colour));
    for _ in 0..100 {
        for buffer in [&red, &green] {
            window.surface.attach(Some(buffer), 0, 0);
            window.surface.damage(0, 0, 256, 256);
            window.surface.commit();
        }
    }
    client.frames(&window, 1);
    assert!(client.heard.releases > 100, "{}", client.heard.releases);
    let copied = copied(&mut control) - before;
    // 200 of them are 50 MiB. They take one frame, or a few if the machine has much to do.
    assert!(copied <= 256 * 20, "{copied} KiB");
}

#[test]
fn a_buffer_that_is_destroyed_at_once_is_shown() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let window = client.window("kept", (64, 64), RED);
    let (x, y) = compositor.window("kept");
    for colour in [GREEN, BLUE] {
        let memory = client.memory(4 * 64 * 64);
        memory.write_all_at(&colour.to_le_bytes().repeat(64 * 64), 0).unwrap();
        let pool = client.pool(&memory, 4 * 64 * 64);
        let buffer = pool.create_buffer(0, 64, 64, 256, Format::Argb8888, &client.queue, ());
        window.surface.attach(Some(&buffer), 0, 0);
        window.surface.damage(0, 0, 64, 64);
        window.surface.commit();
        buffer.destroy();
        pool.destroy();
    }
    client.roundtrip();
    assert_eq!(compositor.screenshot().pixel(x + 32, y + 32), rgb(BLUE));
    assert_eq!(client.heard.releases, 1, "of the buffer that is still there");
}
