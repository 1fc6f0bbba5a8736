//! What it takes to return from a function that called the kernel: the same system calls made by the function that is
//! measured, and by functions that it calls, up to four deep.

use std::hint::black_box;
use std::time::Instant;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::fd::OwnedFd;

const TIMES: u32 = 50_000;
const ROUNDS: usize = 21;

#[inline(always)]
fn wait(epoll: &OwnedFd, events: &mut Vec<epoll::Event>) -> usize {
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let room = rustix::buffer::spare_capacity(events);
    epoll::wait(epoll, room, Some(&zero)).expect("epoll_wait")
}

/// Functions that do nothing but call another one.
macro_rules! nest {
    ($($outer:ident calls $inner:ident,)*) => {$(
        #[inline(never)]
        fn $outer(epoll: &OwnedFd, events: &mut Vec<epoll::Event>) -> usize {
            black_box($inner(epoll, events)) + 1
        }
    )*};
}

nest! {
    wait_1 calls wait,
    wait_2 calls wait_1,
    wait_3 calls wait_2,
    wait_4 calls wait_3,
}

#[inline(always)]
fn add(epoll: &OwnedFd, fd: &OwnedFd) {
    epoll::add(epoll, fd, EventData::new_u64(7), EventFlags::IN).expect("epoll_ctl");
}

#[inline(never)]
fn add_1(epoll: &OwnedFd, fd: &OwnedFd) {
    add(epoll, fd);
    black_box(());
}

#[inline(always)]
fn delete(epoll: &OwnedFd, fd: &OwnedFd) {
    epoll::delete(epoll, fd).expect("epoll_ctl");
}

#[inline(never)]
fn delete_1(epoll: &OwnedFd, fd: &OwnedFd) {
    delete(epoll, fd);
    black_box(());
}

/// Nanoseconds each, the median of the rounds, in which the ways take turns.
macro_rules! alternate {
    ($($name:literal => $way:expr,)*) => {
        let mut rounds = [$(($name, Vec::new())),*];
        for _ in 0..ROUNDS {
            let mut taken = rounds.iter_mut();
            $(
                let start = Instant::now();
                for _ in 0..TIMES {
                    black_box($way);
                }
                let each = start.elapsed() / TIMES;
                taken.next().expect("one for each").1.push(each);
            )*
        }
        for (name, mut taken) in rounds {
            taken.sort_unstable();
            println!("{name:44} {:5} ns", taken[ROUNDS / 2].as_nanos());
        }
    };
}

fn main() {
    let epoll = epoll::create(CreateFlags::CLOEXEC).expect("epoll_create1");
    let fd = eventfd(0, EventfdFlags::CLOEXEC).expect("eventfd");
    let mut events = Vec::with_capacity(16);
    alternate! {
        "epoll_wait, right here" => wait(&epoll, &mut events),
        "epoll_wait, in a function" => wait_1(&epoll, &mut events),
        "epoll_wait, two deep" => wait_2(&epoll, &mut events),
        "epoll_wait, three deep" => wait_3(&epoll, &mut events),
        "epoll_wait, four deep" => wait_4(&epoll, &mut events),
        "epoll_ctl, an fd added and deleted, right here" => {
            add(&epoll, &fd);
            delete(&epoll, &fd);
        },
        "epoll_ctl, in a function each" => {
            add_1(&epoll, &fd);
            delete_1(&epoll, &fd);
        },
    }
}
