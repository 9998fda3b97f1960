//! `Model`: what must hold for logins that several sessions share, whatever goes wrong.
//!
//! `record` is what the store holds; `presentations` holds the rules for refresh tokens, `calls` those
//! for what the application is told.
//!
//! # Losses
//!
//! Some logins no client can keep: the answer was lost after the provider had replaced the refresh
//! token, its holder died or stood still before the new one was stored, the store lost its content, a
//! request reached the provider after its caller had given it up. The model notes each when it
//! happens, by login. What it forbids, it forbids for logins without a loss.

mod calls;
mod presentations;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

pub use calls::{Kind, Outcome};
pub use presentations::Answer;

use super::clock::Clock;
use crate::coverage::Coverage;
use crate::token_serial::TokenSerial;
use calls::Call;
use presentations::{InFlight, Window};
use record::StoredRecord;

/// What decides what may be.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// By how much time on two runtimes may differ.
    pub skew: Duration,
    pub lease: Duration,
    pub renew_without_store: bool,
    /// Many users; their sessions come and go.
    pub many: bool,
    /// The sessions have a grant as well.
    pub grant: bool,
    /// Marks may look ten minutes old, or the clocks say that a backoff is over.
    pub wild_clocks: bool,
}

pub struct Model {
    clock: Clock,
    terms: Terms,
    pub trace: String,
    pub violation: Option<String>,
    pub coverage: Coverage,
    /// Counts all that happens.
    pub happened: u64,
    /// When anything last went wrong, the provider aside.
    last_trouble: Option<Duration>,
    /// Anything at all has gone wrong.
    has_failed: bool,
    has_lost_runtime: bool,
    has_skew: bool,
    has_lost_content: bool,
    logins: BTreeMap<u32, Login>,
    users: BTreeMap<u32, User>,
    records: BTreeMap<u32, StoredRecord>,
    /// Logins in whose place another one was stored.
    replaced: BTreeSet<String>,
    /// Which refresh token a login and generation of a record stand for.
    refresh_tokens: BTreeMap<(String, u64), TokenSerial>,
    /// Which session is behind the name of a mark.
    names: BTreeMap<String, usize>,
    /// Sessions with a sign-in or sign-out that is not stored yet, by session and user.
    pending: BTreeMap<(usize, u32), ()>,
    calls: BTreeMap<u32, Call>,
    /// The newest token of each login that a session has sent for a user.
    sent: BTreeMap<(usize, u32), BTreeMap<u32, u32>>,
    /// The token that a session has used last for a user.
    last_used: BTreeMap<(usize, u32), TokenSerial>,
    /// How the last call has ended.
    pub last: Option<Outcome>,
    pub token_requests: u64,
    pub store_calls: u64,
    /// Since when grants have been under way.
    grants: Vec<Duration>,
    /// When the application last signed somebody in or out.
    last_login: Option<Duration>,
    /// For a caller that is the same as the end of a login.
    is_grant_refused: bool,
}

/// A login at the provider.
#[derive(Default)]
struct Login {
    user: u32,
    /// Why it may end without anybody's fault.
    loss: Option<&'static str>,
    /// The provider has refused its refresh token, or it was ended otherwise.
    ended: bool,
    window: Option<Window>,
    in_flight: Vec<InFlight>,
    /// The last answer was lost then.
    lost_at: Option<Duration>,
    /// Nobody asks before this; and when the request was sent that was answered so.
    not_before: Option<(Duration, Duration)>,
}

#[derive(Default)]
struct User {
    /// Somebody has signed in or out.
    is_known: bool,
    signed_out: bool,
    /// When a sign-in first reached the store.
    first_stored: Option<Duration>,
    loads: u32,
    calls: u32,
}

impl Model {
    pub fn new(clock: Clock, terms: Terms) -> Self {
        Self {
            clock,
            terms,
            trace: String::new(),
            violation: None,
            coverage: Coverage::default(),
            happened: 0,
            last_trouble: None,
            has_failed: false,
            has_lost_runtime: false,
            has_skew: false,
            has_lost_content: false,
            logins: BTreeMap::new(),
            users: BTreeMap::new(),
            records: BTreeMap::new(),
            replaced: BTreeSet::new(),
            refresh_tokens: BTreeMap::new(),
            names: BTreeMap::new(),
            pending: BTreeMap::new(),
            calls: BTreeMap::new(),
            sent: BTreeMap::new(),
            last_used: BTreeMap::new(),
            last: None,
            token_requests: 0,
            store_calls: 0,
            grants: Vec::new(),
            last_login: None,
            is_grant_refused: false,
        }
    }

    pub fn note(&mut self, what: std::fmt::Arguments<'_>) {
        self.happened += 1;
        let _ = writeln!(self.trace, "{:>12.3} {what}", self.clock.now().as_secs_f64());
    }

    /// What must not be. The first is kept: what follows may follow from it.
    pub fn violation(&mut self, what: String) {
        self.note(format_args!("VIOLATION {what}"));
        self.violation.get_or_insert(what);
    }

    /// A call of the store by the session fails: its sign-in may yield to another.
    pub fn store_failed(&mut self, slot: usize) {
        self.troubled();
        self.pending.retain(|(other, _), ()| *other != slot);
    }

    /// Something has gone wrong that sessions may not agree upon.
    pub fn troubled(&mut self) {
        self.has_failed = true;
        self.last_trouble = Some(self.clock.now());
    }

    /// The clocks of two processes differ from now on.
    pub fn clocks_differ(&mut self) {
        self.troubled();
        self.has_skew = true;
    }

    pub fn provider_failed(&mut self) {
        self.has_failed = true;
    }

    /// Whether nothing but the provider has failed for some time before this.
    fn is_calm_since(&self, since: Duration) -> bool {
        let settled = Duration::from_secs(10) + self.terms.lease;
        self.last_trouble.is_none_or(|at| at + settled < since)
    }

    /// A new login of the user's.
    pub fn logged_in(&mut self, login: u32, user: u32) {
        self.logins.insert(login, Login { user, ..Login::default() });
    }

    /// The application hands the session a token of this login, or signs the user out (`None`).
    pub fn login_set(&mut self, slot: usize, user: u32, serial: Option<TokenSerial>) {
        let facts = self.users.entry(user).or_default();
        facts.is_known = true;
        facts.signed_out |= serial.is_none();
        let is_renewing = self.logins.values().any(|l| l.user == user && !l.in_flight.is_empty());
        if is_renewing {
            self.coverage.count("shared: a sign-in or sign-out amid a renewal");
        }
        self.pending.insert((slot, user), ());
        self.last_login = Some(self.clock.now());
    }

    pub fn user_of(&self, login: u32) -> Option<u32> {
        self.logins.get(&login).map(|login| login.user)
    }

    /// The login may end now, and nobody is to blame.
    pub fn lose(&mut self, login: u32, why: &'static str) {
        if let Some(facts) = self.logins.get_mut(&login).filter(|facts| facts.loss.is_none()) {
            facts.loss = Some(why);
            self.note(format_args!("login {login} may be lost: {why}"));
            self.coverage.count(why);
        }
    }

    /// The login was ended, at the provider or by a revocation.
    pub fn ended(&mut self, login: u32) {
        if let Some(facts) = self.logins.get_mut(&login) {
            facts.ended = true;
        }
    }

    /// The sessions die, stand still, or lose what carries them.
    pub fn slot_stops(&mut self, slot: usize, why: &'static str) {
        self.troubled();
        let open = self.logins.iter().filter(|(_, facts)| {
            facts.window.as_ref().is_some_and(|window| window.slot == slot)
                || facts.in_flight.iter().any(|request| request.slot == slot)
        });
        let open: Vec<u32> = open.map(|(login, _)| *login).collect();
        open.into_iter().for_each(|login| self.lose(login, why));
    }

    pub fn slot_died(&mut self, slot: usize) {
        self.pending.retain(|(other, _), ()| *other != slot);
        self.sent.retain(|(other, _), _| *other != slot);
        self.last_used.retain(|(other, _), _| *other != slot);
    }

    pub fn runtime_lost(&mut self) {
        self.has_lost_runtime = true;
    }

    pub fn content_lost(&mut self) {
        self.troubled();
        self.has_lost_content = true;
        self.records.clear();
        let logins: Vec<u32> = self.logins.keys().copied().collect();
        logins.into_iter().for_each(|login| self.lose(login, "loss: the store is emptied"));
    }

    /// The user's record: whether it is live, and its access token.
    pub fn record(&self, user: u32) -> Option<(bool, Option<TokenSerial>)> {
        let record = self.records.get(&user)?;
        Some((record.is_live(), record.access))
    }

    /// A token that a session still has of a login that is good, although the store has nothing.
    pub fn not_written_back(&self, user: u32) -> Option<TokenSerial> {
        let has = |(_, of): &(usize, u32)| *of == user;
        let mut used = self.last_used.iter().filter(|(session, _)| has(session)).map(|(_, t)| *t);
        let facts = self.users.get(&user)?;
        if self.records.contains_key(&user) || facts.signed_out || self.terms.many {
            return None;
        }
        used.find(|token| self.logins.get(&token.login).is_some_and(|login| !login.ended))
    }

    /// A grant is asked. Returns when.
    pub fn grant_asked(&mut self) -> Duration {
        self.note(format_args!("a grant is asked"));
        let now = self.clock.now();
        let calm = self.is_calm_since(now.saturating_sub(Duration::from_secs(120)));
        // One that was asked for the login before may still be under way.
        let same = self.grants.iter().any(|since| self.last_login.is_none_or(|at| at < *since));
        if same && calm && !self.terms.wild_clocks {
            self.violation("two sessions ask the grant at the same time".to_owned());
        }
        self.grants.push(now);
        now
    }

    pub fn grant_refused(&mut self) {
        self.is_grant_refused = true;
    }

    pub fn grant_answered(&mut self, since: Duration) {
        if let Some(at) = self.grants.iter().position(|grant| *grant == since) {
            self.grants.remove(at);
        }
        self.note(format_args!("a grant has ended"));
    }
}

/// The number of the user in a key of the store.
pub fn user_of_key(key: &str) -> u32 {
    let at = key.find("user-").expect("a key of this test") + "user-".len();
    key[at..at + 3].parse().expect("three digits")
}
