//! A program runs on the real loop and on a naive model of it, and both have to observe the same.

pub mod log;
pub mod naive;
pub mod ops;
pub mod real;
pub mod tally;

use std::sync::{Mutex, PoisonError};

use naive::Model;
use ops::Op;
use real::World;
use tally::Tally;

/// A signal is heard by every loop of the process: one program at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `program` on both, op by op, and tells what it did. Panics where they differ.
pub fn check(program: &[Op]) -> Tally {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut event_loop, mut world) = World::new();
    let mut model = Model::new();
    let mut tally = Tally::default();
    for (place, op) in program.iter().enumerate() {
        world.step(&mut event_loop, op);
        let seen = world.log.take();
        model.expect(&seen);
        match op {
            Op::Dispatch(timeout) => model.dispatch(*timeout),
            Op::Run(timeout) => model.run(*timeout),
            Op::RunUntil(after) => model.run_until(*after),
            Op::Settle => model.apply_pending(),
            op => model.execute(op, 1),
        }
        assert!(
            seen == model.log,
            "op {place}: {op:?}\nthe loop:  {seen:?}\nthe model: {:?}",
            model.log
        );
        tally.count(&seen, |source| model.kind(source));
    }
    world.end(event_loop);
    // Watched from the beginning, or from somewhere in the middle.
    #[cfg(not(mio_unsupported_force_poll_poll))]
    real::law::check(program, program.len() / 3 * (program.len() % 2));
    tally.count_inserted(model.kinds());
    tally
}
