// calloop: refused as well. A clone that is forgotten in a callback keeps the channel open, and `Closed` never comes.
// error[E0382]: borrow of moved value: `sender`

use soloop::channel;

fn main() {
    let (sender, channel) = channel::<u32>();
    drop(sender);
    assert!(sender.send(1).is_err());
    assert!(channel.recv().is_err());
}
