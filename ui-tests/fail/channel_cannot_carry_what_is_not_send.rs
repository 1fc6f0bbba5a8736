// calloop: refused as well.
// error[E0277]: `*mut u8` cannot be sent between threads safely
// Headline only: what follows names the insides of the loop and types of std.

use std::thread;

use soloop::Sender;

/// Belongs to the thread that made it, as much of OpenGL and of Wayland does.
struct Surface {
    pointer: *mut u8,
}

fn send_from_a_thread(sender: Sender<Surface>) {
    let worker = thread::spawn(move || {
        let pointer = std::ptr::null_mut();
        sender.send(Surface { pointer }).is_ok()
    });
    assert!(worker.join().unwrap());
}

fn main() {
    let (sender, channel) = soloop::channel();
    send_from_a_thread(sender);
    let surface: Surface = channel.recv().unwrap();
    assert!(surface.pointer.is_null());
}
