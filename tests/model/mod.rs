//! A program runs on the real loop and on a naive model of it, and both have to observe the same.

pub mod naive;
pub mod ops;
pub mod real;

use naive::Model;
use ops::{Entry, Op};
use real::World;

/// Runs `program` on both, op by op. Panics where they differ.
pub fn check(program: &[Op]) {
    let (mut event_loop, mut world) = World::new();
    let mut model = Model::new();
    for (place, op) in program.iter().enumerate() {
        let start = world.log.len();
        match op {
            Op::Dispatch(timeout) => world.dispatch(&mut event_loop, *timeout),
            op => world.execute(op.clone(), 1),
        }
        model.expect(&world.log[start..]);
        match op {
            Op::Dispatch(timeout) => model.dispatch(*timeout),
            op => model.execute(op, 1),
        }
        let seen: &[Entry] = &world.log[start..];
        assert!(
            seen == model.log,
            "op {place}: {op:?}\nthe loop:  {seen:?}\nthe model: {:?}",
            model.log
        );
    }
    world.end(event_loop);
}
