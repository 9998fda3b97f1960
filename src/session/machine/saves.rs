//! What the calls of the saver do to the memory.

use super::{Credential, Machine, Note, Now, Reason, SaveCall, Settings, State, Unsaved};

impl<T: Credential, E: Clone> Machine<T, E> {
    /// A call of the saver has ended.
    pub(crate) fn saved(
        &mut self,
        call: u32,
        outcome: Result<(), E>,
        settings: &Settings,
        now: &Now,
    ) {
        let Some(saving) = self.saving.take_if(|saving| saving.id == call) else {
            self.set_aside = self.set_aside.saturating_sub(1);
            self.save_again(now);
            self.publish(settings, now);
            return;
        };
        let is_newest = self.is_newest(&saving);
        match outcome {
            Ok(()) => {
                let deleted = self
                    .known
                    .as_ref()
                    .is_some_and(|known| matches!(known.state, State::SignedOut));
                self.note(if deleted && is_newest { Note::Deleted } else { Note::Saved });
                if is_newest {
                    self.unsaved = saving.again.then(|| Unsaved::since(now));
                }
            }
            Err(error) => self.save_failed(Reason::Error(error), is_newest, settings, now),
        }
        self.publish(settings, now);
    }

    /// Whether the call is about the newest token.
    pub(super) fn is_newest(&self, saving: &SaveCall) -> bool {
        self.known.as_ref().is_some_and(|known| {
            (known.login, known.generation) == (saving.login, saving.generation)
        })
    }

    /// A call that was set aside has ended. What it wrote may be older than what was saved since.
    pub(super) fn save_again(&mut self, now: &Now) {
        match &mut self.saving {
            Some(saving) => saving.again = true,
            None if self.unsaved.is_none() => self.unsaved = Some(Unsaved::since(now)),
            None => {}
        }
    }

    pub(super) fn save_failed(
        &mut self,
        reason: Reason<E>,
        is_newest: bool,
        settings: &Settings,
        now: &Now,
    ) {
        let Some(unsaved) = self.unsaved.as_mut() else { return };
        let failures = unsaved.failures.saturating_add(1);
        if is_newest {
            unsaved.failures = failures;
            unsaved.error = Some(reason.clone());
            unsaved.retry_at = now.at + settings.backoff.transient(failures, now.jitter);
        }
        self.note(Note::SaveFailed { reason, attempt: failures });
    }
}

impl<T, E> Unsaved<T, E> {
    pub(super) fn since(now: &Now) -> Self {
        let (since, retry_at) = (now.at, now.at);
        Self { replaced: None, since, failures: 0, error: None, retry_at, late: false }
    }
}
