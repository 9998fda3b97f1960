//! What the store holds: one order of records; a mark is taken over only when it is dead; a login is
//! marked as ended only where the provider has said so.

use std::time::Duration;

use reqwest_oauth2::store::Record;
use serde::Deserialize;

use super::{Model, user_of_key};
use crate::token_serial::TokenSerial;

#[derive(Deserialize)]
struct Document {
    access_token: Option<String>,
    refresh_token: Option<String>,
    reqwest_oauth2: Bookkeeping,
}

#[derive(Deserialize)]
struct Bookkeeping {
    login: String,
    number: u64,
    generation: u64,
    state: State,
    mark: Option<Mark>,
    pause: Option<serde_json::Value>,
}

#[derive(Deserialize, Debug, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum State {
    Live,
    Ended,
    SignedOut,
}

#[derive(Deserialize, PartialEq)]
struct Mark {
    /// `None`: nobody.
    holder: Option<String>,
}

pub(super) struct StoredRecord {
    login: String,
    number: u64,
    generation: u64,
    state: State,
    mark: Option<Mark>,
    pub(super) access: Option<TokenSerial>,
    pub(super) refresh: Option<TokenSerial>,
    has_pause: bool,
    pub(super) changed: Duration,
}

impl StoredRecord {
    fn read(record: &Record, now: Duration) -> Self {
        let Document { access_token, refresh_token, reqwest_oauth2: kept } =
            serde_json::from_str(record.json()).expect("a record");
        let serial = |text: Option<String>| text.and_then(|text| TokenSerial::read(&text));
        Self {
            login: kept.login,
            number: kept.number,
            generation: kept.generation,
            state: kept.state,
            mark: kept.mark,
            access: serial(access_token),
            refresh: serial(refresh_token),
            has_pause: kept.pause.is_some(),
            changed: now,
        }
    }

    fn rank(&self) -> (u64, bool) {
        (self.generation, self.state != State::Live)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.login == other.login && self.rank() == other.rank()
    }

    /// Whether it may be written over the other one.
    fn may_replace(&self, other: &Self) -> bool {
        if self.login == other.login {
            self.rank() >= other.rank()
        } else {
            self.number > other.number
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.state == State::Live
    }

    pub(super) fn is_signed_out(&self) -> bool {
        self.state == State::SignedOut
    }

    pub(super) fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    pub(super) fn holder(&self) -> Option<&str> {
        self.mark.as_ref()?.holder.as_deref()
    }
}

impl Model {
    /// A load has been answered.
    pub fn loaded(&mut self, key: &str, in_trouble: bool) {
        self.happened += 1;
        self.store_calls += 1;
        let user = user_of_key(key);
        let facts = self.users.entry(user).or_default();
        facts.loads += u32::from(!in_trouble);
    }

    /// The store takes the record in the place of the one before.
    pub fn stored(&mut self, key: &str, slot: usize, before: Option<&Record>, record: &Record) {
        self.store_calls += 1;
        let (user, now) = (user_of_key(key), self.clock.now());
        let record = StoredRecord::read(record, now);
        if let Some(name) = record.holder() {
            // A name is taken when its first mark is stored, and by nobody else.
            self.names.entry(name.to_owned()).or_insert(slot);
        }
        let name = (record.login.clone(), record.generation);
        // (Generation 0 may be a sign-in that is stored again.)
        if before.is_none() && record.is_live() && record.mark.is_none() && record.generation > 0 {
            // Somebody may be renewing it.
            if self.refresh_tokens.contains_key(&name) {
                self.violation(format!("{slot} writes a record back without a mark"));
            }
        }
        if let Some(refresh) = record.refresh {
            self.refresh_tokens.insert(name, refresh);
        }
        let marked = match &record.mark {
            None => "none".to_owned(),
            Some(Mark { holder: None }) => "nobody".to_owned(),
            Some(Mark { holder: Some(name) }) => format!("of {}", self.names[name]),
        };
        let (state, access, generation) = (record.state, record.access, record.generation);
        let pause = if record.has_pause { ", pause" } else { "" };
        self.note(format_args!(
            "store: {slot} puts user {user} {state:?} {access:?} generation {generation}, mark {marked}{pause}"
        ));
        let old = self.records.remove(&user).filter(|_| before.is_some());
        if let Some(old) = &old {
            self.check_order(user, old, &record);
            if record.is_same(old) {
                self.check_mark(slot, old, &record);
            }
            if record.login != old.login {
                self.replaced.insert(old.login.clone());
            }
        }
        if self.replaced.contains(&record.login) && !self.has_lost_content {
            self.violation(format!("a login of user {user} comes back that was replaced"));
        }
        let is_other = old.as_ref().is_none_or(|old| old.login != record.login);
        if is_other {
            self.pending.retain(|(_, of), ()| *of != user);
        }
        self.check_end(user, old.as_ref(), &record);
        self.close_windows(&record);
        if record.has_pause {
            self.coverage.count("shared: a pause is recorded");
        }
        if record.mark == Some(Mark { holder: None }) {
            self.coverage.count("shared: a record is written back");
        }
        if record.access.is_some() {
            self.users.entry(user).or_default().first_stored.get_or_insert(now);
        }
        self.records.insert(user, record);
    }

    fn check_order(&mut self, user: u32, old: &StoredRecord, new: &StoredRecord) {
        if !new.may_replace(old) {
            let (had, has) = ((old.number, old.rank()), (new.number, new.rank()));
            self.violation(format!("the record of user {user} goes back from {had:?} to {has:?}"));
        }
    }

    fn check_mark(&mut self, slot: usize, old: &StoredRecord, new: &StoredRecord) {
        let Some(old_mark) = &old.mark else { return };
        let is_own = old.holder().is_some_and(|name| new.holder() == Some(name));
        if is_own {
            return;
        }
        if new.mark.is_none() {
            let holder = old.holder().and_then(|name| self.names.get(name));
            if holder != Some(&slot) {
                self.violation(format!("{slot} clears the mark of {holder:?}"));
            }
            return;
        }
        // Whoever wrote the record back knew of no holder; the holder says that it is there.
        let facts = new.refresh.and_then(|refresh| self.logins.get(&refresh.login));
        let renews = facts.is_some_and(|facts| facts.in_flight.iter().any(|it| it.slot == slot));
        if old_mark.holder.is_none() && renews {
            return;
        }
        // It was put there, and nobody has changed it since.
        let age = self.clock.now().saturating_sub(old.changed);
        if age + self.terms.skew < self.terms.lease && !self.terms.wild_clocks {
            let whose = old_mark.holder.as_ref().and_then(|name| self.names.get(name));
            self.violation(format!("{slot} takes a mark of {whose:?} over that is {age:?} old"));
        }
        self.coverage.count("shared: a dead mark is taken over");
        if let Some(login) = new.refresh.map(|refresh| refresh.login)
            && self.logins.get(&login).is_some_and(|facts| facts.window.is_some())
        {
            self.lose(login, "loss: a lease ends under its holder");
        }
    }

    /// Whether a login that is marked as ended has ended.
    fn check_end(&mut self, user: u32, old: Option<&StoredRecord>, new: &StoredRecord) {
        let was = old.is_some_and(|old| old.is_same(new));
        match new.state {
            State::Live => {}
            State::SignedOut => {
                if !self.users.get(&user).is_some_and(|facts| facts.signed_out) {
                    self.violation(format!("user {user} is signed out, and nobody asked for it"));
                }
                self.coverage.count("shared: a sign-out is stored");
            }
            State::Ended => {
                let name = (new.login.clone(), new.generation);
                let refresh = self.refresh_tokens.get(&name).copied();
                let login = refresh.and_then(|refresh| self.logins.get(&refresh.login));
                // Without the store, nobody else sees what was renewed.
                let unseen = self.terms.renew_without_store && refresh.is_none();
                if !was && !unseen && !login.is_some_and(|login| login.ended) {
                    self.violation(format!("{refresh:?} is marked as ended, and it is not"));
                }
                self.coverage.count("shared: the end of a login is stored");
            }
        }
    }
}
