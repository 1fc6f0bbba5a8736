// calloop: an event cannot borrow from its source at all, only `Metadata` can; one that refers to it by `unsafe` dangles when it is kept.
// error[E0521]: borrowed data escapes outside of method

use std::convert::Infallible;
use std::io;

use soloop::{EventSource, InterestToken, PostAction, Readiness, Registrar};

struct Reader {
    buffer: [u8; 64],
}

impl EventSource for Reader {
    type Event<'a> = &'static mut [u8; 64];
    type Ret = ();
    type Error = Infallible;

    fn register(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn unregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        _: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(&'static mut [u8; 64]),
    {
        callback(&mut self.buffer);
        Ok(PostAction::Continue)
    }
}

fn main() {}
