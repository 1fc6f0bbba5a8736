//! What was lost or misleading where a program meets the kernel, other processes and other crates.

use super::*;

#[cfg(all(feature = "executor", not(mio_unsupported_force_poll_poll)))]
mod f27_a_refused_fd_comes_back {
    use super::*;

    use std::io::ErrorKind;
    use std::sync::Arc;

    use rustix::fs::{OFlags, fcntl_getfl};

    /// The kernel refuses to watch a directory.
    #[test]
    fn in_the_mode_in_which_it_was() {
        let (_event_loop, mut state) = new_loop();
        for nonblocking in [false, true] {
            let directory = std::fs::File::open("/").unwrap();
            rustix::io::ioctl_fionbio(&directory, nonblocking).unwrap();
            let refused = state.handle.adapt_io(directory).unwrap_err();
            assert_eq!(refused.error.kind(), ErrorKind::PermissionDenied);
            let flags = fcntl_getfl(&refused.source).unwrap();
            assert_eq!(flags.contains(OFlags::NONBLOCK), nonblocking);
            assert!(refused.source.metadata().unwrap().is_dir());
        }
    }

    #[test]
    fn and_can_be_adapted_later() {
        let (mut event_loop, mut state) = new_loop();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let ours = Arc::new(ours);
        let first = state.handle.adapt_io(Arc::clone(&ours)).unwrap();
        let refused = state.handle.adapt_io(ours).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::AlreadyExists);
        drop(first);
        let second = state.handle.adapt_io(refused.source).unwrap();
        theirs.write_all(b"x").unwrap();
        event_loop.block_on(second.readable(), &mut state).unwrap().unwrap();
        assert_eq!(second.get_ref().as_ref().read(&mut [0; 2]).unwrap(), 1);
    }
}
