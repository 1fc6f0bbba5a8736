//! What the compositor offers beyond the core protocol, each as a client uses it.

use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wayland_client::globals::BindError;
use wayland_client::protocol::wl_buffer::WlBuffer;
use wayland_client::protocol::wl_output::WlOutput;
use wayland_client::protocol::wl_pointer::WlPointer;
use wayland_client::protocol::wl_shm::Format;
use wayland_client::{Connection, Dispatch, EventQueue, Proxy, QueueHandle, delegate_noop};
use wayland_protocols::wp::cursor_shape::v1::client::{
    wp_cursor_shape_device_v1::{Shape, WpCursorShapeDeviceV1},
    wp_cursor_shape_manager_v1::WpCursorShapeManagerV1,
};
use wayland_protocols::wp::fractional_scale::v1::client::{
    wp_fractional_scale_manager_v1::WpFractionalScaleManagerV1,
    wp_fractional_scale_v1::{self, WpFractionalScaleV1},
};
use wayland_protocols::wp::presentation_time::client::{
    wp_presentation::{self, WpPresentation},
    wp_presentation_feedback::{self, WpPresentationFeedback},
};
use wayland_protocols::wp::single_pixel_buffer::v1::client::wp_single_pixel_buffer_manager_v1::WpSinglePixelBufferManagerV1;
use wayland_protocols::wp::viewporter::client::{
    wp_viewport::WpViewport, wp_viewporter::WpViewporter,
};
use wayland_protocols::xdg::activation::v1::client::{
    xdg_activation_token_v1::{self, XdgActivationTokenV1},
    xdg_activation_v1::XdgActivationV1,
};

use super::client::Client;
use super::server::Compositor;
use super::{BLUE, GREEN, RED, rgb};

/// What these globals have said.
#[derive(Default)]
struct Heard {
    scales: Vec<u32>,
    clock: Option<u32>,
    presented: Vec<Presented>,
    outputs: usize,
    discarded: usize,
    tokens: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Presented {
    time: Duration,
    refresh: Duration,
    sequence: u64,
}

/// A client's use of one of them.
struct Extra<G> {
    events: EventQueue<Heard>,
    queue: QueueHandle<Heard>,
    heard: Heard,
    global: G,
}

impl<G: Proxy + 'static> Extra<G>
where
    Heard: Dispatch<G, ()>,
{
    fn of(client: &Client) -> Self {
        let events = client.connection.new_event_queue();
        let queue = events.handle();
        let global: Result<G, BindError> = client.globals.bind(&queue, 1..=1, ());
        Self { events, queue, heard: Heard::default(), global: global.unwrap() }
    }

    fn listen(&mut self) -> &mut Heard {
        self.events.roundtrip(&mut self.heard).unwrap();
        &mut self.heard
    }
}

/// A square buffer with a colour in each of its quarters.
fn quarters(client: &Client, side: i32, colours: [u32; 4]) -> WlBuffer {
    let memory = client.memory(4 * side * side);
    let pixels = (0..side * side).flat_map(|index| {
        let (column, row) = (index % side * 2 / side, index / side * 2 / side);
        colours[(2 * row + column) as usize].to_le_bytes()
    });
    memory.write_all_at(&pixels.collect::<Vec<u8>>(), 0).unwrap();
    let pool = client.pool(&memory, 4 * side * side);
    pool.create_buffer(0, side, side, 4 * side, Format::Argb8888, &client.queue, ())
}

#[test]
fn a_viewport_crops_and_scales() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let viewporter = Extra::<WpViewporter>::of(&client);
    let window = client.unmapped_window("cropped");
    let viewport = viewporter.global.get_viewport(&window.surface, &viewporter.queue, ());
    // 40x40, a quarter of it in each colour; the lower right one and some of what is beside it is shown.
    let buffer = quarters(&client, 40, [RED, GREEN, BLUE, 0xffffffff]);
    viewport.set_source(10.0, 20.0, 20.0, 20.0);
    viewport.set_destination(100, 80);
    window.surface.attach(Some(&buffer), 0, 0);
    window.surface.commit();
    client.roundtrip();
    let (x, y) = compositor.window("cropped");
    let picture = compositor.screenshot();
    for (dx, dy, colour) in
        [(0, 0, BLUE), (49, 79, BLUE), (50, 0, 0xffffffff), (99, 79, 0xffffffff)]
    {
        assert_eq!(picture.pixel(x + dx, y + dy), rgb(colour), "{dx} {dy}");
    }
    assert_ne!(picture.pixel(x + 100, y + 40), 0xffffff);
    assert!(compositor.control().ask("windows")[0].contains(" 100x80 "));

    // Without a destination the surface is as large as the source, and without both as the buffer.
    viewport.set_destination(-1, -1);
    window.surface.commit();
    client.roundtrip();
    assert!(compositor.control().ask("windows")[0].contains(" 20x20 "));
    viewport.destroy();
    window.surface.commit();
    client.roundtrip();
    assert!(compositor.control().ask("windows")[0].contains(" 40x40 "));
    assert_eq!(compositor.screenshot().pixel(x + 39, y), rgb(GREEN));
}

#[test]
fn what_is_damaged_of_a_viewport_is_repainted() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let viewporter = Extra::<WpViewporter>::of(&client);
    let window = client.unmapped_window("stretched");
    let viewport = viewporter.global.get_viewport(&window.surface, &viewporter.queue, ());
    viewport.set_destination(120, 120);
    client.show(&window.surface, (40, 40), RED);
    client.roundtrip();
    let (x, y) = compositor.window("stretched");
    assert_eq!(compositor.screenshot().pixel(x + 119, y + 119), rgb(RED));
    window.surface.attach(Some(&client.buffer((40, 40), GREEN)), 0, 0);
    window.surface.damage_buffer(10, 10, 10, 10);
    window.surface.commit();
    client.roundtrip();
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 30, y + 30), rgb(GREEN));
    assert_eq!(picture.pixel(x + 59, y + 59), rgb(GREEN));
    assert_eq!(picture.pixel(x + 29, y + 30), rgb(RED));
    window.surface.attach(Some(&client.buffer((40, 40), BLUE)), 0, 0);
    window.surface.damage(90, 90, 30, 30);
    window.surface.commit();
    client.roundtrip();
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 90, y + 90), rgb(BLUE));
    assert_eq!(picture.pixel(x + 59, y + 59), rgb(GREEN));
}

#[test]
fn viewports_have_rules() {
    let compositor = Compositor::serve();
    type Rule = fn(&WpViewport);
    let rules: [(&str, Rule, u32); 4] = [
        ("bad_value", |viewport| viewport.set_destination(0, 5), 0),
        ("bad_value", |viewport| viewport.set_source(-2.0, 0.0, 5.0, 5.0), 0),
        ("bad_size", |viewport| viewport.set_source(0.0, 0.0, 5.5, 5.0), 1),
        ("out_of_buffer", |viewport| viewport.set_source(30.0, 0.0, 11.0, 5.0), 2),
    ];
    for (name, rule, code) in rules {
        let mut client = Client::connect(&compositor);
        let viewporter = Extra::<WpViewporter>::of(&client);
        let window = client.unmapped_window("strict");
        rule(&viewporter.global.get_viewport(&window.surface, &viewporter.queue, ()));
        client.show(&window.surface, (40, 40), RED);
        let error = client.protocol_error();
        assert_eq!((error.code, error.object_interface.as_str()), (code, "wp_viewport"), "{name}");
    }
    let mut client = Client::connect(&compositor);
    let viewporter = Extra::<WpViewporter>::of(&client);
    let surface = client.surface();
    viewporter.global.get_viewport(&surface, &viewporter.queue, ());
    viewporter.global.get_viewport(&surface, &viewporter.queue, ());
    assert_eq!(client.protocol_error().code, 0, "viewport_exists");
}

#[test]
fn a_single_pixel_is_stretched() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let viewporter = Extra::<WpViewporter>::of(&client);
    let pixels = Extra::<WpSinglePixelBufferManagerV1>::of(&client);
    let window = client.unmapped_window("one colour");
    let viewport = viewporter.global.get_viewport(&window.surface, &viewporter.queue, ());
    viewport.set_destination(64, 48);
    let channel = |byte: u32| byte * 0x01010101;
    let buffer = pixels.global.create_u32_rgba_buffer(
        channel(0x12),
        channel(0x34),
        channel(0x56),
        channel(0xff),
        &pixels.queue,
        (),
    );
    window.surface.attach(Some(&buffer), 0, 0);
    window.surface.commit();
    client.roundtrip();
    let (x, y) = compositor.window("one colour");
    let picture = compositor.screenshot();
    for (dx, dy) in [(0, 0), (63, 47), (30, 30)] {
        assert_eq!(picture.pixel(x + dx, y + dy), 0x123456);
    }
    assert_ne!(picture.pixel(x + 64, y + 30), 0x123456);
}

#[test]
fn the_fractional_scale_is_one() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let mut scales = Extra::<WpFractionalScaleManagerV1>::of(&client);
    let surface = client.surface();
    let scale = scales.global.get_fractional_scale(&surface, &scales.queue, ());
    assert_eq!(scales.listen().scales, [120]);
    scale.destroy();
    scales.global.get_fractional_scale(&surface, &scales.queue, ());
    assert_eq!(scales.listen().scales, [120, 120]);
    scales.global.get_fractional_scale(&surface, &scales.queue, ());
    assert_eq!(client.protocol_error().code, 0, "fractional_scale_exists");
}

#[test]
fn commits_are_presented_or_discarded() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let mut presentation = Extra::<WpPresentation>::of(&client);
    let _output: WlOutput = client.globals.bind(&presentation.queue, 1..=1, ()).unwrap();
    let window = client.window("watched", (64, 64), RED);
    assert_eq!(presentation.listen().clock, Some(ClockId::Monotonic as u32));
    let now = || Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap();
    let before = now();
    for colour in [GREEN, BLUE] {
        // The first is replaced before it can be shown, if the machine lets both come in time.
        presentation.global.feedback(&window.surface, &presentation.queue, ());
        client.show(&window.surface, (64, 64), colour);
    }
    while presentation.listen().presented.is_empty() {}
    client.frames(&window, 1);
    let heard = presentation.listen();
    assert_eq!(heard.presented.len() + heard.discarded, 2);
    let last = *heard.presented.last().unwrap();
    assert!((before..now()).contains(&last.time), "{last:?}");
    assert_eq!(last.refresh, Duration::from_nanos(16_666_667));
    assert_eq!(heard.outputs, heard.presented.len());

    presentation.global.feedback(&window.surface, &presentation.queue, ());
    client.show(&window.surface, (64, 64), RED);
    let seen = presentation.heard.presented.len();
    while presentation.listen().presented.len() == seen {}
    assert!(presentation.heard.presented.last().unwrap().sequence > last.sequence);

    // What is not on the output is never shown; what is replaced is not, either.
    let hidden = client.surface();
    let discarded = presentation.heard.discarded;
    presentation.global.feedback(&hidden, &presentation.queue, ());
    client.show(&hidden, (64, 64), RED);
    while presentation.listen().discarded == discarded {}
    presentation.global.feedback(&window.surface, &presentation.queue, ());
    window.surface.destroy();
    while presentation.listen().discarded == discarded + 1 {}
}

#[test]
fn who_has_the_keyboard_passes_it_on_by_a_token() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let mut activation = Extra::<XdgActivationV1>::of(&client);
    let window = client.window("below", (64, 64), RED);
    let mut other = Client::connect(&compositor);
    let mut its_activation = Extra::<XdgActivationV1>::of(&other);
    other.window("above", (64, 64), GREEN);
    let mut control = compositor.control();
    let mut active = || {
        let windows = control.ask("windows");
        windows
            .iter()
            .position(|line| line.contains(" active "))
            .map(|index| windows[index].clone())
    };
    let token = |extra: &mut Extra<XdgActivationV1>| {
        extra.global.get_activation_token(&extra.queue, ()).commit();
        extra.listen().tokens.pop().unwrap()
    };
    // Nobody's, and one's that does not have the keyboard.
    activation.global.activate("made up".to_owned(), &window.surface);
    let worthless = token(&mut activation);
    activation.global.activate(worthless, &window.surface);
    client.roundtrip();
    assert!(active().unwrap().contains("title=\"above\""));

    let good = token(&mut its_activation);
    activation.global.activate(good.clone(), &window.surface);
    client.roundtrip();
    assert!(active().unwrap().contains("title=\"below\""));
    // It is good once.
    other.window("third", (64, 64), BLUE);
    activation.global.activate(good, &window.surface);
    client.roundtrip();
    assert!(active().unwrap().contains("title=\"third\""));

    let used = activation.global.get_activation_token(&activation.queue, ());
    used.commit();
    used.commit();
    assert_eq!(client.protocol_error().code, 0, "already_used");
}

#[test]
fn a_pointer_has_the_shape_that_is_asked_for() {
    let compositor = Compositor::serve();
    let mut client = Client::connect(&compositor);
    let shapes = Extra::<WpCursorShapeManagerV1>::of(&client);
    let pointer: WlPointer = client.seat.get_pointer(&client.queue, ());
    let device = shapes.global.get_pointer(&pointer, &shapes.queue, ());
    client.window("under it", (64, 64), RED);
    let (x, y) = compositor.window("under it");
    let mut control = compositor.control();
    control.ask(&format!("pointer {} {}", x + 10, y + 10));
    client.until("the pointer", |heard| heard.pointer.is_some());
    let looks = |shape| {
        device.set_shape(0, shape);
        client.connection.roundtrip().unwrap();
        let picture = compositor.screenshot();
        [(0, 0), (1, 5), (20, 20)].map(|(dx, dy)| picture.pixel(x + 10 + dx, y + 10 + dy))
    };
    assert_eq!(looks(Shape::Default), [0, 0xffffff, rgb(RED)], "an arrow points from below");
    assert_eq!(looks(Shape::Text), [0xffffff, 0, rgb(RED)], "a bar is around it");
    assert_eq!(looks(Shape::Crosshair)[0], 0xffffff);
    // It moves, and leaves nothing behind.
    control.ask(&format!("pointer {} {}", x + 50, y + 50));
    let picture = compositor.screenshot();
    assert_eq!(picture.pixel(x + 10, y + 10), rgb(RED));
    assert_eq!(picture.pixel(x + 50, y + 50), 0xffffff);
    control.ask("pointer 639 479");
    assert_eq!(compositor.screenshot().pixel(x + 50, y + 50), rgb(RED));
}

impl Dispatch<WpFractionalScaleV1, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WpFractionalScaleV1,
        event: wp_fractional_scale_v1::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wp_fractional_scale_v1::Event::PreferredScale { scale } = event {
            heard.scales.push(scale);
        }
    }
}

impl Dispatch<WpPresentation, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WpPresentation,
        event: wp_presentation::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wp_presentation::Event::ClockId { clk_id } = event {
            heard.clock = Some(clk_id);
        }
    }
}

impl Dispatch<WpPresentationFeedback, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WpPresentationFeedback,
        event: wp_presentation_feedback::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wp_presentation_feedback::Event;
        match event {
            Event::Presented { tv_sec_hi, tv_sec_lo, tv_nsec, refresh, seq_hi, seq_lo, .. } => {
                let whole = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
                heard.presented.push(Presented {
                    time: Duration::new(whole(tv_sec_hi, tv_sec_lo), tv_nsec),
                    refresh: Duration::from_nanos(refresh.into()),
                    sequence: whole(seq_hi, seq_lo),
                });
            }
            Event::Discarded => heard.discarded += 1,
            Event::SyncOutput { .. } => heard.outputs += 1,
            _ => {}
        }
    }
}

impl Dispatch<XdgActivationTokenV1, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &XdgActivationTokenV1,
        event: xdg_activation_token_v1::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_activation_token_v1::Event::Done { token } = event {
            heard.tokens.push(token);
        }
    }
}

delegate_noop!(Heard: WpViewporter);
delegate_noop!(Heard: WpViewport);
delegate_noop!(Heard: WpSinglePixelBufferManagerV1);
delegate_noop!(Heard: WpFractionalScaleManagerV1);
delegate_noop!(Heard: WpCursorShapeManagerV1);
delegate_noop!(Heard: WpCursorShapeDeviceV1);
delegate_noop!(Heard: XdgActivationV1);
delegate_noop!(Heard: ignore WlBuffer);
delegate_noop!(Heard: ignore WlOutput);
