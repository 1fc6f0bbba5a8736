//! Typing: a text, key after key, as a task. It may be cancelled anywhere, and leaves no key held down.

use soloop::{LoopData, Remote, TaskContext};

use super::{InputHost, STROKE, key};

const SHIFT: u32 = 42;

/// The rows of the keyboard: the number of the first key, and what the keys say without and with Shift.
const ROWS: [(u32, &str, &str); 6] = [
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", "ASDFGHJKL:\"~"),
    (43, "\\", "|"),
    (44, "zxcvbnm,./", "ZXCVBNM<>?"),
    (57, " ", ""),
];

/// A key to strike.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Key {
    code: u32,
    shift: bool,
}

/// The keys for a text.
pub fn keys(text: &str) -> Result<Vec<Key>, String> {
    let key = |wanted: char| {
        let keys = ROWS.iter().flat_map(|&(first, plain, shifted)| {
            let key = move |shift| move |(code, c)| (c, Key { code, shift });
            let plain = (first..).zip(plain.chars()).map(key(false));
            plain.chain((first..).zip(shifted.chars()).map(key(true)))
        });
        let mut found = keys.filter(|(c, _)| *c == wanted).map(|(_, key)| key);
        found.next().ok_or_else(|| format!("there is no key for {wanted:?}"))
    };
    text.chars().map(key).collect()
}

/// Strikes one key after the other.
pub async fn type_keys<D: InputHost + 'static>(cx: &TaskContext<D>, keys: Vec<Key>) {
    for Key { code, shift } in keys {
        let shift = if shift { Some(press(cx, SHIFT).await) } else { None };
        let held = press(cx, code).await;
        cx.sleep(STROKE).await;
        drop(held);
        drop(shift);
        cx.sleep(STROKE).await;
    }
}

/// A key that is held down; it is released with this, also if the task ends in the middle of a stroke.
struct Held<D: InputHost + 'static> {
    code: u32,
    remote: Remote<D>,
}

impl<D: InputHost + 'static> Drop for Held<D> {
    fn drop(&mut self) {
        let code = self.code;
        self.remote.post(move |data| key(data, code, false));
    }
}

/// Presses a key, anew if it is held down.
async fn press<D: InputHost + 'static>(cx: &TaskContext<D>, code: u32) -> Held<D> {
    cx.with(move |data: &mut D| {
        key(data, code, false);
        key(data, code, true);
        Held { code, remote: LoopData::loop_handle(data).remote() }
    })
    .await
}
