//! Handles the error of a source: the source's own policy decides, or else the loop's.

use std::time::Duration;

use crate::error::{BoxError, Error, ErrorAction};
use crate::handle::{LoopData, tables};
use crate::token::{InterestToken, SourceKey};
use crate::{AnyToken, EventLoop, SourceOptions, TimeoutAction, Timer};

/// The error of a source, with the source's name and its own policy.
pub(crate) struct SourceFailure {
    pub(super) error: Error,
    pub(super) policy: Option<ErrorAction>,
}

/// A source that is gone while its file may still be open: the kernel may keep reporting the file.
pub(super) struct Orphan {
    pub(super) interest: InterestToken,
    error: Error,
    /// The kernel reported it.
    pub(super) is_found: bool,
}

impl<Data: LoopData> EventLoop<Data> {
    /// Makes the failure of a source, while the tables still know the source's name and policy.
    #[cold]
    pub(super) fn source_failure(
        &mut self,
        key: SourceKey,
        error: BoxError,
        data: &mut Data,
    ) -> SourceFailure {
        let type_name = self.type_name_of(key);
        let registrations = &*tables(data);
        let name = registrations.name_of(key, type_name);
        let policy = registrations.options(key).and_then(|options| options.on_error);
        if let Some(insight) = &mut self.insight {
            insight.note_error(key, type_name, error.to_string(), registrations);
        }
        let error = Error::Source { token: AnyToken::new(key), name, error };
        SourceFailure { error, policy }
    }

    /// Lets the policy decide on an error.
    #[cold]
    pub(super) fn report(&mut self, failure: SourceFailure, data: &mut Data) {
        let SourceFailure { error, policy } = failure;
        let action = match (policy, &mut self.policy) {
            (Some(action), _) => action,
            (None, None) => ErrorAction::Report,
            (None, Some(policy)) => {
                self.round.runs_user_code();
                policy(&error, data)
            }
        };
        if let Some(insight) = &mut self.insight {
            insight.show_error(&error, action);
        }
        if action == ErrorAction::Report {
            return self.round.fail(error);
        }
        // The policy may have put another loop's handle into the state. The next application of ops reports that.
        let (Ok(handle), Some(token)) = (self.own_handle(data), error.token()) else { return };
        match action {
            ErrorAction::Report | ErrorAction::Ignore => {}
            ErrorAction::Disable => drop(handle.disable(token)),
            ErrorAction::Remove => drop(handle.remove(token)),
            ErrorAction::Retry(delay) => retry(token, delay, &error, data),
        }
    }

    /// How many orphans are remembered.
    const ORPHANS: usize = 16;

    /// Remembers an interest that the kernel may keep reporting.
    #[cold]
    pub(super) fn note_orphan(&mut self, key: SourceKey, interest: InterestToken, data: &mut Data) {
        if self.orphans.len() == Self::ORPHANS {
            self.orphans.pop_front();
        }
        let name = tables(data).name_of(key, self.type_name_of(key));
        let error = Error::Orphan { token: AnyToken::new(key), name };
        self.orphans.push_back(Orphan { interest, error, is_found: false });
    }

    /// Reports each orphan that the kernel keeps reporting, once.
    #[cold]
    pub(super) fn report_orphans(&mut self, data: &mut Data) {
        while let Some(at) = self.orphans.iter().position(|orphan| orphan.is_found)
            && let Some(Orphan { error, .. }) = self.orphans.remove(at)
        {
            self.report(SourceFailure { error, policy: None }, data);
        }
    }

    fn type_name_of(&self, key: SourceKey) -> &'static str {
        self.slots.get(key).map_or("", |slot| slot.source.type_name())
    }
}

/// Disables a source, and starts a timer that enables it again.
fn retry<Data: LoopData>(source: AnyToken, delay: Duration, error: &Error, data: &mut Data) {
    let handle = data.loop_handle();
    let key = source.key();
    if !handle.disable(source) {
        return;
    }
    let name = match error {
        Error::Source { name, .. } => format!("retry of {name}"),
        _ => String::from("retry"),
    };
    let enable = move |_, data: &mut Data| {
        let handle = data.loop_handle();
        // The retry timer is this one, which is running: `enable` would remove it.
        handle.registrations.take_retry(key);
        handle.enable(source);
        TimeoutAction::Drop
    };
    let options = SourceOptions::new().name(name);
    // Registering a timer cannot fail unless the loop is gone.
    if let Ok(timer) = handle.insert_source_with(options, Timer::from_duration(delay), enable) {
        handle.registrations.set_retry(key, timer.into());
    }
}
