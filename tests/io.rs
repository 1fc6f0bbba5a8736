//! Adapted fds: futures that read and write.

mod common;

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::{LONG, State, ZERO, manual_loop, new_loop, wait_for_hang_up};
use rustix::fs::{OFlags, fcntl_getfl};
use soloop::{Async, Interest, Mode, PostAction, Ready, TaskContext};

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Default)]
struct CountWakes(AtomicUsize);

impl CountWakes {
    fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (Arc::clone(&count), count.into())
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

fn fill(mut stream: &UnixStream) {
    let error = loop {
        if let Err(error) = stream.write(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

fn drain(stream: &mut impl Read) -> usize {
    let mut buffer = [0; 4096];
    let mut total = 0;
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        total += n;
    }
    total
}

/// Dispatches until `done`.
fn dispatch_until(
    event_loop: &mut soloop::EventLoop<State>,
    state: &mut State,
    done: impl Fn(&State) -> bool,
) {
    for _ in 0..1_000_000 {
        if done(state) {
            return;
        }
        event_loop.dispatch(LONG, state).unwrap();
    }
    panic!("nothing came of it");
}

#[test]
fn waits_until_it_is_readable_and_writable() {
    let (mut event_loop, mut state) = new_loop();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let mut ours = state.handle.adapt_io(ours).unwrap();
    event_loop.block_on(ours.writable(), &mut state).unwrap().unwrap();
    let (count, waker) = CountWakes::new();
    {
        let mut readable = pin!(ours.readable());
        let cx = &mut Context::from_waker(&waker);
        assert!(readable.as_mut().poll(cx).is_pending());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(count.get(), 0);
        theirs.write_all(b"hello").unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(count.get(), 1);
        assert!(readable.as_mut().poll(cx).is_ready());
    }
    // Ready as long as there is something, and not any more when there is nothing.
    let mut byte = [0];
    for expected in b"hello" {
        event_loop.block_on(ours.readable(), &mut state).unwrap().unwrap();
        ours.get_mut().read_exact(&mut byte).unwrap();
        assert_eq!(byte[0], *expected);
    }
    let cx = &mut Context::from_waker(&waker);
    assert!(pin!(ours.readable()).poll(cx).is_pending());

    fill(ours.get_ref());
    assert!(pin!(ours.writable()).poll(cx).is_pending());
    let reader = thread::spawn(move || {
        theirs.set_nonblocking(true).unwrap();
        drain(&mut theirs);
        theirs
    });
    event_loop.block_on(ours.writable(), &mut state).unwrap().unwrap();
    let theirs = reader.join().unwrap();
    // The end is readable, too.
    let drop_it = thread::spawn(move || drop(theirs));
    event_loop.block_on(ours.readable(), &mut state).unwrap().unwrap();
    drop_it.join().unwrap();
}

#[test]
fn any_number_may_wait_to_read() {
    let (mut event_loop, mut state) = new_loop();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = Arc::new(state.handle.adapt_io(ours).unwrap());
    for name in ["a", "b", "c"] {
        let ours = Arc::clone(&ours);
        state.handle.spawn(move |cx: TaskContext<State>| async move {
            ours.readable().await;
            cx.with(move |state| state.note(name)).await;
        });
    }
    event_loop.dispatch(ZERO, &mut state).unwrap();
    // One that gives up takes its waker with it, and only that.
    let (count, waker) = CountWakes::new();
    let mut fourth = Box::pin(ours.readable());
    assert!(fourth.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(fourth);
    drop(waker);
    assert_eq!(Arc::strong_count(&count), 1);
    theirs.write_all(b"x").unwrap();
    dispatch_until(&mut event_loop, &mut state, |state| state.log.len() == 3);
    state.log.sort();
    assert_eq!(state.log, ["a", "b", "c"]);
}

#[test]
fn what_comes_in_the_place_of_a_dropped_one_stays() {
    if !common::MIO_SOURCES {
        return;
    }
    let (mut event_loop, mut state) = new_loop();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let adapted = state.handle.adapt_io(ours).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    let number = adapted.get_ref().as_raw_fd();
    let keep = adapted.get_ref().try_clone().unwrap();
    drop(adapted);
    // The loop has not heard of it yet, and the number is free: fds are given out from the lowest.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut streams: Vec<_> =
        (0..64).map(|_| TcpStream::connect(listener.local_addr().unwrap()).unwrap()).collect();
    let Some(place) = streams.iter().position(|stream| stream.as_raw_fd() == number) else {
        return; // another test took it
    };
    let stream = mio::net::TcpStream::from_std({
        let stream = streams.swap_remove(place);
        stream.set_nonblocking(true).unwrap();
        stream
    });
    let port = stream.local_addr().unwrap().port();
    let source = soloop::MioSource::new(stream, Interest::READ, Mode::Level);
    let callback = |_: Ready<'_, mio::net::TcpStream>, state: &mut State| {
        state.note("read");
        Ok(PostAction::Remove)
    };
    state.handle.insert_source(source, callback).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    for _ in 0..64 {
        let (mut peer, address) = listener.accept().unwrap();
        if address.port() == port {
            peer.write_all(b"x").unwrap();
            break;
        }
    }
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.log, ["read"]);
    drop((theirs, keep));
}

#[test]
fn its_end_reaches_the_peer_at_once() {
    let (mut event_loop, mut state) = new_loop();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = state.handle.adapt_io(ours).unwrap();
    let say = async {
        ours.writable().await;
        let mut stream = ours.get_ref();
        stream.write_all(b"bye").unwrap();
        drop(ours);
    };
    event_loop.block_on(say, &mut state).unwrap().unwrap();
    let mut heard = String::new();
    theirs.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "bye");
}

#[test]
fn is_nonblocking_meanwhile() {
    let (_event_loop, mut state) = new_loop();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let duplicate = ours.try_clone().unwrap();
    let adapted = state.handle.adapt_io(ours).unwrap();
    assert!(is_nonblocking(&adapted));
    let ours = adapted.into_inner();
    assert!(!is_nonblocking(&ours));
    drop(state.handle.adapt_io(ours).unwrap());
    assert!(!is_nonblocking(&duplicate));
    // One that was non-blocking stays so.
    theirs.set_nonblocking(true).unwrap();
    let theirs = state.handle.adapt_io(theirs).unwrap().into_inner();
    assert!(is_nonblocking(&theirs));
}

/// One fd with several owners.
#[cfg(not(mio_unsupported_force_poll_poll))]
#[derive(Clone, Debug)]
struct Common(Arc<UnixStream>);

#[cfg(not(mio_unsupported_force_poll_poll))]
impl AsFd for Common {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(not(mio_unsupported_force_poll_poll))]
#[test]
fn what_the_kernel_refuses_is_an_error_that_leaves_nothing() {
    let (mut event_loop, mut state) = new_loop();
    let directory = Arc::new(std::fs::File::open("/").unwrap());
    let refused = state.handle.adapt_io(Arc::clone(&directory)).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::PermissionDenied);
    assert!(!is_nonblocking(&directory));

    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = Common(Arc::new(ours));
    let first = state.handle.adapt_io(ours.clone()).unwrap();
    let refused = state.handle.adapt_io(ours.clone()).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::AlreadyExists);
    // The first one is as it was.
    assert!(is_nonblocking(&*ours.0));
    theirs.write_all(b"x").unwrap();
    event_loop.block_on(first.readable(), &mut state).unwrap().unwrap();
    drop(first);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert!(!is_nonblocking(&*ours.0));
    let shown = format!("{event_loop:?}");
    assert!(!shown.contains("IoSource"), "{shown}");
}

#[test]
fn d12_a_waker_that_owns_the_task_makes_no_circle() {
    /// As in executors whose tasks are reference-counted: the waker owns the future.
    struct Owner(std::sync::Mutex<Option<Async<UnixStream>>>);
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }
    let (mut event_loop, mut state) = new_loop();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = state.handle.adapt_io(ours).unwrap();
    let owner = Arc::new(Owner(std::sync::Mutex::new(None)));
    let waker = Waker::from(Arc::clone(&owner));
    let mut readable = Box::pin(ours.readable());
    assert!(readable.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    std::mem::forget(readable); // as a task that is never polled again keeps it
    *owner.0.lock().unwrap() = Some(ours);
    drop((owner, waker));
    event_loop.dispatch(ZERO, &mut state).unwrap();
    drop((event_loop, state));
    assert_eq!(theirs.read(&mut [0]).unwrap(), 0, "the other end is closed");
}

#[test]
fn unread_data_lets_the_loop_sleep() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = state.handle.adapt_io(ours).unwrap();
    theirs.write_all(b"x").unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    let before = clock.now();
    for _ in 0..3 {
        event_loop.dispatch(HOUR, &mut state).unwrap();
    }
    assert_eq!(clock.now() - before, 3 * HOUR);
    // And a dropped one is gone for the loop, in silence.
    drop(ours);
    event_loop.dispatch(HOUR, &mut state).unwrap();
    assert_eq!(clock.now() - before, 4 * HOUR);
    let shown = format!("{event_loop:?}");
    assert!(!shown.contains("IoSource"), "{shown}");
}

#[test]
fn another_fd_in_its_place_does_no_harm() {
    let (mut event_loop, mut state) = new_loop();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let (other, mut peer) = UnixStream::pair().unwrap();
    other.set_nonblocking(true).unwrap();
    let duplicate = other.try_clone().unwrap();
    let mut adapted = state.handle.adapt_io(ours).unwrap();
    let old = std::mem::replace(adapted.get_mut(), other);
    drop(adapted);
    assert!(is_nonblocking(&duplicate), "the mode of the old one was given to the new one");
    drop(duplicate);
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    drop(old);
    event_loop.dispatch(ZERO, &mut state).unwrap();
}

#[test]
fn may_move_to_another_thread() {
    let (mut event_loop, mut state) = new_loop();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = state.handle.adapt_io(ours).unwrap();
    let (sender, wakes) = std::sync::mpsc::channel();
    struct Tell(std::sync::Mutex<std::sync::mpsc::Sender<()>>);
    impl Wake for Tell {
        fn wake(self: Arc<Self>) {
            let _ = self.0.lock().unwrap().send(());
        }
    }
    let waker = Waker::from(Arc::new(Tell(std::sync::Mutex::new(sender))));
    let signal = state.handle.signal();
    let thread = thread::spawn(move || {
        for n in 0..1000 {
            let mut readable = pin!(ours.readable());
            while readable.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                wakes.recv_timeout(LONG).expect("a wake-up was lost");
            }
            let mut byte = [0];
            let mut stream = ours.get_ref();
            stream.read_exact(&mut byte).unwrap();
            assert_eq!(byte[0], n as u8);
            stream.write_all(&byte).unwrap();
        }
        drop(ours);
        signal.stop();
    });
    let peer = thread::spawn(move || {
        let mut byte = [0];
        for n in 0..1000 {
            theirs.write_all(&[n as u8]).unwrap();
            theirs.read_exact(&mut byte).unwrap();
        }
    });
    event_loop.run(None, &mut state, |_| ()).unwrap();
    thread.join().unwrap();
    peer.join().unwrap();
}

#[test]
fn reading_may_time_out() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let started = clock.now();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let ours = state.handle.adapt_io(ours).unwrap();
    state.handle.spawn(move |cx: TaskContext<State>| async move {
        assert!(cx.timeout(HOUR, ours.readable()).await.is_err());
        assert!(cx.timeout(HOUR, ours.writable()).await.is_ok());
        cx.with(|state| state.handle.stop()).await;
    });
    event_loop.run(None, &mut state, |_| ()).unwrap();
    assert_eq!(clock.now() - started, HOUR);
    drop(theirs);
}

#[test]
fn without_its_loop_those_who_wait_are_told() {
    let (mut event_loop, mut state) = new_loop();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let ours = state.handle.adapt_io(ours).unwrap();
    let (count, waker) = CountWakes::new();
    let mut readable = Box::pin(ours.readable());
    let cx = &mut Context::from_waker(&waker);
    assert!(readable.as_mut().poll(cx).is_pending());
    event_loop.dispatch(ZERO, &mut state).unwrap();
    drop((event_loop, state));
    assert_eq!(count.get(), 1);
    assert!(readable.as_mut().poll(cx).is_pending());
    drop(theirs);
    wait_for_hang_up(ours.get_ref());
    assert!(readable.as_mut().poll(cx).is_ready());
    drop(readable);
    assert!(!is_nonblocking(ours.into_inner()));
}

#[cfg(feature = "futures-io")]
mod traits {
    use super::*;
    use std::future::pending;
    use std::os::fd::BorrowedFd;
    use std::task::Poll;

    use futures_util::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn d10_split_halves_carry_data_both_ways_at_once() {
        const LENGTH: usize = 4 << 20;
        let (mut event_loop, mut state) = new_loop();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        let peer = thread::spawn(move || {
            let mut reader = theirs.try_clone().unwrap();
            let mut writer = theirs;
            let read = thread::spawn(move || {
                let mut received = vec![0; LENGTH];
                reader.read_exact(&mut received).unwrap();
                received
            });
            writer.write_all(&vec![1; LENGTH]).unwrap();
            assert!(read.join().unwrap().iter().all(|byte| *byte == 2));
        });
        let (mut reader, mut writer) = state.handle.adapt_io(ours).unwrap().split();
        let done = |name| {
            move |state: &mut State| {
                state.note(name);
                if state.log.len() == 2 {
                    state.handle.stop();
                }
            }
        };
        state.handle.spawn(move |cx: TaskContext<State>| async move {
            let mut received = vec![0; LENGTH];
            reader.read_exact(&mut received).await.unwrap();
            assert!(received.iter().all(|byte| *byte == 1));
            cx.with(done("read")).await;
        });
        state.handle.spawn(move |cx: TaskContext<State>| async move {
            writer.write_all(&vec![2; LENGTH]).await.unwrap();
            writer.close().await.unwrap();
            cx.with(done("written")).await;
        });
        event_loop.run(None, &mut state, |_| ()).unwrap();
        peer.join().unwrap();
    }

    #[test]
    fn d10_a_pending_write_does_not_lose_the_reader() {
        let (mut event_loop, mut state) = new_loop();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let ours = state.handle.adapt_io(ours).unwrap();
        fill(ours.get_ref());
        let (mut reader, mut writer) = ours.split();
        state.handle.spawn(|cx: TaskContext<State>| async move {
            let mut byte = [0];
            reader.read_exact(&mut byte).await.unwrap();
            cx.with(|state| state.note("read")).await;
        });
        event_loop.dispatch(ZERO, &mut state).unwrap();
        state.handle.spawn(|cx: TaskContext<State>| async move {
            writer.write_all(b"x").await.unwrap();
            cx.with(|state| state.note("written")).await;
        });
        event_loop.dispatch(ZERO, &mut state).unwrap();
        theirs.write_all(b"x").unwrap();
        dispatch_until(&mut event_loop, &mut state, |state| state.log == ["read"]);
        drain(&mut theirs);
        dispatch_until(&mut event_loop, &mut state, |state| state.log == ["read", "written"]);
    }

    #[test]
    fn errors_and_the_end_come_through() {
        let (mut event_loop, mut state) = new_loop();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut ours = state.handle.adapt_io(ours).unwrap();
        drop(theirs);
        let conversation = async {
            let mut nothing = Vec::new();
            assert_eq!(ours.read_to_end(&mut nothing).await.unwrap(), 0);
            ours.flush().await.unwrap();
            ours.write_all(b"x").await.unwrap_err().kind()
        };
        let kind = event_loop.block_on(conversation, &mut state).unwrap();
        assert_eq!(kind, Some(ErrorKind::BrokenPipe));
    }

    #[test]
    fn without_its_loop_it_fails_instead_of_waiting() {
        let (event_loop, mut state) = new_loop();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut ours = state.handle.adapt_io(ours).unwrap();
        drop((event_loop, state));
        let mut byte = [0];
        let cx = &mut Context::from_waker(Waker::noop());
        let Poll::Ready(Err(_)) = pin!(ours.read(&mut byte)).poll(cx) else {
            panic!("it waits for a loop that is gone");
        };
        theirs.write_all(b"x").unwrap();
        let Poll::Ready(Ok(1)) = pin!(ours.read(&mut byte)).poll(cx) else {
            panic!("the data is there");
        };
    }

    #[test]
    fn an_interrupted_or_impatient_operation_is_retried() {
        struct Odd(UnixStream, u32);
        impl AsFd for Odd {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }
        impl Read for Odd {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                self.1 += 1;
                match self.1 {
                    1 => Err(ErrorKind::Interrupted.into()),
                    2 => Err(ErrorKind::WouldBlock.into()),
                    _ => Ok(1),
                }
            }
        }
        let (_event_loop, mut state) = new_loop();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut ours = state.handle.adapt_io(Odd(ours, 0)).unwrap();
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(matches!(pin!(ours.read(&mut [0])).poll(cx), Poll::Ready(Ok(1))));
    }

    #[test]
    fn a_future_that_never_ends_may_own_both_halves() {
        let (mut event_loop, mut state) = new_loop();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (mut reader, writer) = state.handle.adapt_io(ours).unwrap().split();
        let task = state.handle.spawn(move |_| async move {
            let _writer = writer;
            reader.read_exact(&mut [0]).await.unwrap();
            pending::<()>().await;
        });
        event_loop.dispatch(ZERO, &mut state).unwrap();
        state.handle.remove(task);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0, "the other end is closed");
    }
}
