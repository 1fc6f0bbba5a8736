//! The frame clock of a screen: when to start to draw, so that the frame is ready just before the screen takes it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is left between the end of the drawing and the time when the screen takes the frame.
const SLACK: Duration = Duration::from_millis(1);
/// How many of the last frames say how long the next one takes.
const REMEMBERED: usize = 8;

#[derive(Debug)]
pub struct FrameClock {
    period: Duration,
    /// When the screen last took a frame. One that takes each at once is given the next a period later.
    taken: Instant,
    /// When it is to take the one that is under way.
    aim: Option<Instant>,
    took: VecDeque<Duration>,
    pub shown: u64,
    pub missed: u64,
}

impl FrameClock {
    pub fn new(period: Duration, now: Instant) -> Self {
        Self { period, taken: now, aim: None, took: VecDeque::new(), shown: 0, missed: 0 }
    }

    /// The screen has another mode.
    pub fn set_period(&mut self, period: Duration) {
        self.period = period;
    }

    pub fn period(&self) -> Duration {
        self.period
    }

    /// How long before the screen takes a frame its drawing starts.
    fn lead(&self) -> Duration {
        let longest = self.took.iter().max().copied().unwrap_or(self.period / 2);
        (longest + SLACK).min(self.period)
    }

    /// When to start to draw the next frame.
    pub fn start(&mut self, now: Instant) -> Instant {
        let lead = self.lead();
        let since = (now + lead).saturating_duration_since(self.taken);
        let periods = since.as_nanos().div_ceil(self.period.as_nanos()).max(1);
        let aim = self.taken + self.period * u32::try_from(periods).unwrap_or(u32::MAX);
        self.aim = Some(aim);
        aim - lead
    }

    /// It has been drawn, in this time.
    pub fn drawn(&mut self, took: Duration) {
        self.took.truncate(REMEMBERED - 1);
        self.took.push_front(took);
    }

    /// The screen has taken it.
    pub fn shown(&mut self, at: Instant) {
        self.shown += 1;
        if let Some(late) = self.aim.take().and_then(|aim| at.checked_duration_since(aim)) {
            // Rounded: a screen's own clock is never quite ours.
            let missed = (late + self.period / 2).as_nanos() / self.period.as_nanos();
            self.missed += missed as u64;
        }
        self.taken = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(16);
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_frame_starts_as_late_as_the_longest_of_the_last_allows() {
        let t = Instant::now();
        let mut clock = FrameClock::new(PERIOD, t);
        for took in [2, 5, 3] {
            clock.drawn(took * MS);
        }
        assert_eq!(clock.start(t), t + PERIOD - 6 * MS);
        // What comes too late for this one goes for the next.
        assert_eq!(clock.start(t + 11 * MS), t + 2 * PERIOD - 6 * MS);
        for _ in 0..REMEMBERED {
            clock.drawn(MS);
        }
        assert_eq!(clock.start(t), t + PERIOD - 2 * MS);
    }

    #[test]
    fn a_screen_that_takes_frames_at_once_gets_one_a_period() {
        let t = Instant::now();
        let mut clock = FrameClock::new(PERIOD, t);
        clock.drawn(2 * MS);
        let first = clock.start(t);
        clock.shown(first + 2 * MS);
        assert!(clock.start(first + 2 * MS) >= first + PERIOD - 2 * MS);
        assert_eq!(clock.missed, 0);
    }

    #[test]
    fn a_frame_that_comes_late_counts_those_it_missed() {
        let t = Instant::now();
        let mut clock = FrameClock::new(PERIOD, t);
        let _ = clock.start(t);
        clock.shown(t + PERIOD);
        let _ = clock.start(t + PERIOD);
        clock.shown(t + 4 * PERIOD + MS);
        assert_eq!((clock.shown, clock.missed), (2, 2));
    }

    #[test]
    fn a_drawing_that_takes_longer_than_a_period_starts_at_once() {
        let t = Instant::now();
        let mut clock = FrameClock::new(PERIOD, t);
        clock.drawn(50 * MS);
        assert_eq!(clock.start(t), t);
    }
}
