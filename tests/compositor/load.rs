//! Many clients that draw all the time: what a frame of them takes.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use wayland_client::protocol::wl_shm::Format;

use super::client::Client;
use super::server::Compositor;
use super::witness::{computed, computed_by};

pub const CLIENTS: usize = 50;
const SIDE: i32 = 256;
/// What is not optimized takes its time.
const FRAMES: usize = if cfg!(debug_assertions) { 30 } else { 120 };

/// What of its window each client says it has changed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Damaged {
    Everything,
    /// A square of 16 pixels.
    Corner,
}

/// What a frame took.
#[derive(Debug)]
pub struct Cost {
    /// Of the processor, in the compositor.
    pub busy: Duration,
    /// Copied from the clients, in KiB.
    pub copied: u64,
    /// Of the processor, to copy as much and do nothing else.
    pub copying: Duration,
}

/// Fifty windows on an output of 1280x720, repainted in each frame.
pub fn fifty_clients(damaged: Damaged) -> Cost {
    let compositor = Compositor::start(&["--serve", "--size", "1280x720"]);
    let begin = Barrier::new(CLIENTS + 1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (begin, stream) = (&begin, compositor.raw_client());
                scope.spawn(move || animate(Client::over(stream), number, damaged, begin))
            })
            .collect();
        begin.wait();
        let before = Snapshot::of(&compositor);
        let mut intervals: Vec<Duration> =
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let after = Snapshot::of(&compositor);
        intervals.sort();
        let at = |share: usize| intervals[(intervals.len() - 1) * share / 100];
        let frames = after.frames - before.frames;
        let busy = (after.busy - before.busy) / frames as u32;
        let copied = (after.copied - before.copied) / frames;
        let copying = copying(copied);
        println!(
            "{CLIENTS} clients, {damaged:?}: from one frame to the next {:.2?} (median), {:.2?} (90 of 100), \
             {:.2?} (all); {busy:.2?} of the processor and {copied} KiB copied for each, which alone takes {:.2?}",
            at(50),
            at(90),
            at(100),
            copying
        );
        println!("{CLIENTS} clients, {damaged:?}: {}", after.rendering);
        Cost { busy, copied, copying }
    })
}

/// What this machine takes to copy so many KiB, of memory that is not in its caches.
fn copying(kib: u64) -> Duration {
    let from = vec![1_u8; (kib << 10) as usize];
    let mut to = vec![2_u8; from.len()];
    let before = computed("/proc/thread-self/schedstat");
    for _ in 0..10 {
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&mut to);
    }
    (computed("/proc/thread-self/schedstat") - before) / 10
}

/// A window with two buffers, shown in turns.
fn animate(mut client: Client, number: usize, damaged: Damaged, begin: &Barrier) -> Vec<Duration> {
    let window = client.unmapped_window(&format!("number {number}"));
    let bytes = 4 * SIDE * SIDE;
    let pool = client.pool(&client.memory(2 * bytes), 2 * bytes);
    let buffers = [0, bytes].map(|offset| {
        pool.create_buffer(offset, SIDE, SIDE, 4 * SIDE, Format::Xrgb8888, &client.queue, ())
    });
    let side = if damaged == Damaged::Everything { SIDE } else { 16 };
    let mut show = |frame: usize| {
        window.surface.frame(&client.queue, ());
        window.surface.attach(Some(&buffers[frame % 2]), 0, 0);
        window.surface.damage_buffer(0, 0, side, side);
        window.surface.commit();
        let seen = client.heard.frames;
        client.until("a frame callback", |heard| heard.frames > seen);
        Instant::now()
    };
    show(0);
    begin.wait();
    let mut last = show(1);
    let mut interval = |frame| {
        let now = show(frame);
        now - std::mem::replace(&mut last, now)
    };
    (2..FRAMES).map(&mut interval).collect()
}

/// What the compositor has done so far.
pub struct Snapshot {
    rendering: String,
    pub frames: u64,
    /// In KiB.
    pub copied: u64,
    busy: Duration,
}

impl Snapshot {
    pub fn of(compositor: &Compositor) -> Self {
        let stats = compositor.control().ask("stats");
        let line = |name: &str| stats.iter().find(|line| line.starts_with(name)).unwrap().clone();
        let number = |line: &str, before: &str| -> u64 {
            let words: Vec<&str> = line.split([' ', '(']).filter(|word| !word.is_empty()).collect();
            let end = words.iter().position(|word| *word == before);
            words[end.unwrap() - 1].parse().unwrap()
        };
        let rendering = line("rendering: ");
        Self {
            frames: number(&rendering, "frames"),
            copied: number(&line("protocol: "), "KiB"),
            busy: computed_by(compositor),
            rendering,
        }
    }
}
