//! The world: sessions, one store, one provider, and everything in flight between them.
//!
//! A world is small and can be copied, so a state is its own snapshot. Each session has a clock of its
//! own, which shows [`BASE`] in every state: what lies in the past is moved instead.

use std::hash::{Hash, Hasher};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::machine::{
    Answer, Backoff, Flush, Home, Machine, Now, Presented, Purpose, Record, Settings, Swapped,
    Target, Ticket,
};
use crate::token::{Tok, Trouble};

pub type Rec = Record<Tok, Trouble>;
pub type Real = Machine<Tok, Trouble>;
pub type Versioned = Option<(Rec, i64)>;

/// Sessions at most.
pub const SESSIONS: usize = 3;
/// Logins at most: those of the application, of sign-outs, and those that a grant begins, which bear
/// the name of the session.
pub const LOGINS: usize = 20;
/// The first name of a session.
pub const NAMES: u64 = 8;
/// The first id of a sign-out.
pub const OUTS: u8 = 5;
/// Generations of a login, at most.
pub const GENERATIONS: usize = 7;
/// Nobody wants to renew a token of this generation, unless it is behind.
pub const LAST: u64 = 2;

pub const BASE: Duration = Duration::from_secs(10_000);
pub const LEASE: Duration = Duration::from_secs(60);
const WALL: Duration = Duration::from_secs(1_700_000_000);

/// What the application chose, and what can go wrong.
#[derive(Clone, Copy, Debug)]
pub struct World {
    pub name: &'static str,
    pub size: Size,
    /// So many states are looked at, at most.
    pub most: usize,
    pub home: Home,
    pub sessions: usize,
    pub start: Start,
    /// Sign-ins, the first one included.
    pub logins: u8,
    pub outs: u8,
    /// The application signs in or out again before the last one is done.
    pub hasty: bool,
    pub faults: u8,
    pub kinds: u32,
    /// How often a holder may renew its mark while it waits for the provider.
    pub beats: u8,
    /// How often somebody waits for all to be saved.
    pub flushes: u8,
    /// Whether the tokens of sign-ins have a refresh token.
    pub refreshable: bool,
    /// How often tokens age: fresh, due, expired.
    pub ages: u8,
    pub wants: Wants,
    /// Whether an access token for another target is wanted, too.
    pub two_targets: bool,
    /// A stale load returns the very first record, otherwise the one before the last write.
    pub stale_first: bool,
    /// The provider answers a repeated refresh token of the last generation with the same new token.
    pub grace: bool,
    pub strict_saving: bool,
    pub foreground: bool,
    pub renew_without_store: bool,
    pub can_revoke: bool,
    pub grant: Grant,
    /// Whether resource servers have accepted each token before they reject it.
    pub accepted: bool,
    /// A waiter is asked in a step of its own.
    pub lazy: bool,
    /// Store calls take so long that the session does something else meanwhile.
    pub slow: bool,
    /// The store loses its content only while all sessions know the newest token.
    pub all_know: bool,
    /// Properties that are not looked at.
    pub without: &'static [Property],
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Size {
    Small,
    /// Too large for a debug build.
    Large,
    /// Explored only when asked for.
    Huge,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// Everybody has loaded the first login.
    Loaded,
    /// The first login is stored; nobody has looked.
    Stored,
    /// The store is empty; nobody has looked.
    Empty,
    /// The store is empty; the first session was given the first login.
    Given,
    /// A session that is long gone has left its mark.
    Marked,
    /// A file that another program wrote: a record without a number.
    Unnumbered,
}

/// How a renewal comes to be wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wants {
    /// The application asks for another token.
    ByHand,
    /// A server says 401.
    Rejected,
    /// Only by age.
    Aged,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grant {
    None,
    /// Its tokens have no refresh token.
    Bare,
    /// Its tokens have one.
    Refreshable,
}

pub const FAIL_BEFORE: u32 = 1;
pub const FAIL_AFTER: u32 = 1 << 1;
pub const FAIL_LATE: u32 = 1 << 2;
pub const STALE: u32 = 1 << 3;
pub const EMPTIED: u32 = 1 << 4;
pub const REQUEST_LOST: u32 = 1 << 5;
pub const ANSWER_LOST: u32 = 1 << 6;
pub const LATER: u32 = 1 << 7;
pub const LATE_REQUEST: u32 = 1 << 8;
pub const DEATH: u32 = 1 << 9;
pub const PAUSE: u32 = 1 << 10;
pub const SLEEP: u32 = 1 << 11;
pub const EVICTION: u32 = 1 << 12;
pub const RUNTIME: u32 = 1 << 13;
pub const REVOKE_FAILS: u32 = 1 << 14;
pub const SAVE_FAILS: u32 = 1 << 15;
pub const SAVE_HANGS: u32 = 1 << 16;
pub const GRANT_REFUSED: u32 = 1 << 17;
pub const UNUSABLE: u32 = 1 << 18;
pub const TARGET_REFUSED: u32 = 1 << 19;
pub const STORE: u32 = FAIL_BEFORE | FAIL_AFTER | FAIL_LATE | STALE;

/// All that may happen to a session with a store, but for a store that loses its content.
pub const ALL: u32 = STORE
    | REQUEST_LOST
    | ANSWER_LOST
    | LATER
    | LATE_REQUEST
    | DEATH
    | PAUSE
    | SLEEP
    | EVICTION
    | RUNTIME;

pub const PLAIN: World = World {
    name: "",
    size: Size::Small,
    most: usize::MAX,
    home: Home::Store,
    sessions: 2,
    start: Start::Loaded,
    logins: 1,
    outs: 0,
    hasty: false,
    faults: 0,
    kinds: 0,
    beats: 0,
    flushes: 0,
    refreshable: true,
    ages: 0,
    wants: Wants::ByHand,
    two_targets: false,
    stale_first: false,
    grace: false,
    strict_saving: false,
    foreground: false,
    renew_without_store: false,
    can_revoke: true,
    grant: Grant::None,
    accepted: true,
    lazy: false,
    slow: false,
    all_know: false,
    without: &[],
};

/// Whose tickets these are, by their places.
pub fn targets() -> [Target; 2] {
    thread_local! {
        static OTHER: Target = Target::other("other");
    }
    [Target::OWN, OTHER.with(Clone::clone)]
}

impl World {
    pub fn settings(&self) -> Settings {
        Settings {
            home: self.home,
            has_client: true,
            has_grant: self.grant != Grant::None,
            can_revoke: self.can_revoke,
            manual_refresh: false,
            strict_saving: self.strict_saving,
            foreground: self.foreground,
            renew_without_store: self.renew_without_store,
            lease: LEASE,
            save_wait: Duration::from_secs(1),
            refresh_limit: Duration::from_secs(20),
            grant_limit: Duration::from_secs(20),
            backoff: Backoff { shortest: Duration::from_secs(1), longest: Duration::from_secs(1) },
            looks: (LEASE, LEASE),
        }
    }

    pub fn may(&self, kind: u32) -> bool {
        self.kinds & kind != 0
    }
}

/// What must hold; `design` says it in full.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Property {
    /// P1, P7: a refresh token is presented again without a reason.
    PresentedTwice,
    /// P2: a login ends without any of the losses that nobody can avoid.
    LoginLost,
    /// P3: an older login replaces a newer one.
    OlderReplacesNewer,
    /// P3: within a login, an older record replaces a newer one.
    GoesBack,
    /// P3: the newest sign-in gives way to one that it was to replace.
    NewestThrownAway,
    /// P4: when nothing more happens, not all is well.
    NotConverged,
    /// P5: somebody waits for ever.
    LeftWaiting,
    /// P6: a login is marked as ended that the provider has not refused.
    EndedWithoutRefusal,
    /// P7: the provider said "later", and is asked before that.
    AskedTooEarly,
    /// G12: a renewal presents a token of a login that was replaced in that session.
    PresentedForAnother,
    /// G12: a login comes back that was signed out.
    SignedOutComesBack,
    /// G12: a token is revoked that nobody has signed out of.
    RevokedInUse,
    /// G6: a token is used that is not saved.
    UsedUnsaved,
    /// A session serves an older token than before.
    ServedGoesBack,
    /// The machine asks for another look at once, again and again.
    Spins,
    /// Steps without a fault that go round in a circle.
    Endless,
    /// More under way than may be.
    TooMuchUnderWay,
    /// A token of a login that was signed out is still good at the provider.
    NotRevoked,
    /// What the saver has is not the newest.
    SavedNotNewest,
    /// Whoever wants another access token for a target gets the one that will not do.
    SameAgain,
    /// A waiter for one target gets the refusal of another.
    FailedForAnother,
    /// A refresh token is presented that could still be saved first.
    PresentedUnsaved,
}

impl Property {
    /// What is wrong.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::PresentedTwice => "a refresh token is presented again",
            Self::LoginLost => "a login ends",
            Self::OlderReplacesNewer => "an older login replaces a newer one",
            Self::GoesBack => "a record goes back",
            Self::NewestThrownAway => "the newest sign-in is thrown away",
            Self::NotConverged => "not all is well in the end",
            Self::LeftWaiting => "somebody waits for ever",
            Self::EndedWithoutRefusal => "a login is taken for ended, and is not",
            Self::AskedTooEarly => "the provider is asked before its backoff is over",
            Self::PresentedForAnother => "a login is presented that was replaced",
            Self::SignedOutComesBack => "a login that was signed out comes back",
            Self::RevokedInUse => "a token is revoked that is in use",
            Self::UsedUnsaved => "a token is used that is not saved",
            Self::ServedGoesBack => "a session serves an older token than before",
            Self::Spins => "a session wakes at once, for ever",
            Self::Endless => "it goes round in a circle",
            Self::TooMuchUnderWay => "more is under way than may be",
            Self::NotRevoked => "a login that was signed out is still good",
            Self::SavedNotNewest => "what is saved is not the newest",
            Self::SameAgain => "a token is served again that will not do",
            Self::FailedForAnother => "a target fails for the refusal of another",
            Self::PresentedUnsaved => "a refresh token is presented that is not saved",
        }
    }
}

/// All that is the case at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    pub store: Versioned,
    /// What a stale load returns.
    pub old: Option<Versioned>,
    pub sessions: [Session; SESSIONS],
    pub provider: Provider,
    /// A swap whose caller has given it up, on its way.
    pub late_swap: Option<(Purpose, Option<i64>, Rec)>,
    /// A token request whose caller has given it up, on its way.
    pub late_request: Option<Tok>,
    pub logins: u8,
    pub outs: u8,
    pub faults: u8,
    pub beats: u8,
    pub flushes: u8,
    pub age: u8,
    /// Moves with each sign-in and sign-out: their order in real time.
    pub clock: u8,
    pub seen: Seen,
}

/// What has happened, as far as the properties need it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    pub presented: [[Presentation; GENERATIONS]; LOGINS],
    /// Logins in the order in which they first reached the store; 0: none.
    pub entered: [u8; 7],
    /// For each login: those that had reached the store before it was set.
    pub after: [u32; LOGINS],
    /// For each login: the generations that have reached the store or the saver.
    pub stored: [u8; LOGINS],
    /// Logins that a sign-out has replaced.
    pub gone: u32,
    pub emptied: bool,
    pub violation: Option<Property>,
}

/// Who presented a refresh token last.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Presentation {
    /// The session's name; 0: nobody.
    pub by: u8,
    /// It may be presented again: the answer was lost, or the holder died or stopped.
    pub excused: bool,
    /// The provider said "later".
    pub paused: bool,
    /// A new token has arrived for it.
    pub answered: bool,
    /// How often, since nobody was to ask or since its holder died or stopped.
    pub times: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Provider {
    /// For each login: the generation that is good, and the generations that were refused.
    pub current: [u8; LOGINS],
    pub refused: [u8; LOGINS],
    /// The logins that have ended, and those that were revoked.
    pub ended: u32,
    pub revoked: u32,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Session {
    pub alive: bool,
    pub name: u8,
    pub real: Real,
    /// Who waits for a token: of the login's own, and for the other target.
    pub tickets: [Option<Ticket>; 2],
    /// The access tokens that will not do for them, by login and generation.
    pub than: [Option<(u8, u8)>; 2],
    /// The provider has refused the other target, and that is not over.
    pub refused: bool,
    /// Who waits for a sign-in, and for a sign-out.
    pub signs_in: Option<u64>,
    pub signs_out: Option<u64>,
    /// Who waits for all to be saved.
    pub flush: Option<Flush>,
    pub call: Option<Call>,
    pub requests: [Option<Request>; 4],
    pub saves: [Option<Saving>; 4],
    pub revocation: Option<(Tok, Option<bool>)>,
    /// The login that the application set here last.
    pub set: u8,
    /// What the saver has: `None`: nothing.
    pub saved: Option<Tok>,
}

/// A store call under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Call {
    pub id: u32,
    pub kind: CallKind,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum CallKind {
    Load,
    Loaded(Versioned),
    Swap(Purpose, Option<i64>, Rec),
    Swapped(Purpose, Swapped<Tok, Trouble>),
}

/// A token request under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Request {
    pub request: Presented<Tok>,
    pub answer: Option<Answer<Tok, Trouble>>,
    /// Nobody was told that it went on: what carried it is gone.
    pub orphan: bool,
}

/// A call of the saver under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Saving {
    pub id: u32,
    /// `None`: delete.
    pub token: Option<Tok>,
    /// The effect has come.
    pub done: Option<bool>,
    /// It takes longer than a call may take.
    pub hangs: bool,
}

/// Most sessions, logins and generations do not exist, and are left out.
impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.store.hash(hasher);
        self.old.hash(hasher);
        for session in self.sessions.iter().filter(|session| session.name > 0) {
            session.hash(hasher);
        }
        self.provider.hash(hasher);
        self.late_swap.hash(hasher);
        self.late_request.hash(hasher);
        let Self { logins, outs, faults, beats, flushes, age, clock, .. } = *self;
        [logins, outs, faults, beats, flushes, age, clock].hash(hasher);
        let Seen { presented, entered, after, stored, gone, emptied, violation } = &self.seen;
        for (i, presentation) in presented.iter().flatten().enumerate() {
            if presentation.by != 0 {
                let Presentation { by, excused, paused, answered, times } = *presentation;
                let flags = u8::from(excused) | u8::from(paused) << 1 | u8::from(answered) << 2;
                hasher.write_u64(u64::from_le_bytes([i as u8, by, flags, times, 1, 0, 0, 0]));
            }
        }
        (entered, after, stored, gone, emptied, violation).hash(hasher);
    }
}

impl Session {
    pub fn new(name: u8) -> Self {
        Self {
            alive: true,
            name,
            real: Real::new(u64::from(name)),
            tickets: [None, None],
            than: [None, None],
            refused: false,
            signs_in: None,
            signs_out: None,
            flush: None,
            call: None,
            requests: [const { None }; 4],
            saves: [const { None }; 4],
            revocation: None,
            set: 0,
            saved: None,
        }
    }

    pub fn waits(&self) -> bool {
        self.tickets.iter().any(Option::is_some)
            || self.signs_in.is_some()
            || self.signs_out.is_some()
            || self.flush.is_some()
    }

    /// Whether neither the store nor the saver is at work for it.
    pub fn is_still(&self) -> bool {
        self.call.is_none() && self.saves.iter().flatten().all(|saving| saving.hangs)
    }

    pub fn is_at_rest(&self) -> bool {
        self.call.is_none()
            && self.requests.iter().all(Option::is_none)
            && self.saves.iter().all(Option::is_none)
            && self.revocation.is_none()
    }
}

impl State {
    pub fn wall(&self) -> SystemTime {
        let clock = Duration::from_millis(self.clock.into());
        UNIX_EPOCH + WALL + clock + Duration::from_micros(self.age.into())
    }

    /// The moment of an event, this long after the last one.
    pub fn now(&self, later: Duration) -> Now {
        Now { at: BASE + later, wall: self.wall(), jitter: 0 }
    }

    pub fn violate(&mut self, property: Property) {
        self.seen.violation.get_or_insert(property);
    }

    pub fn each_record(&mut self, f: &mut dyn FnMut(&mut Rec)) {
        let of_store = self.store.iter_mut().chain(self.old.iter_mut().flatten());
        of_store.for_each(|(record, _)| f(record));
        self.late_swap.iter_mut().for_each(|(_, _, record)| f(record));
        for session in &mut self.sessions {
            session.real.each_record(f);
            match session.call.as_mut().map(|call| &mut call.kind) {
                Some(CallKind::Loaded(Some((record, _)))) | Some(CallKind::Swap(_, _, record)) => {
                    f(record);
                }
                Some(CallKind::Swapped(_, Swapped::Conflict(Some((record, _))))) => f(record),
                _ => {}
            }
        }
    }

    pub fn each_version(&mut self, f: &mut dyn FnMut(&mut i64)) {
        let of_store = self.store.iter_mut().chain(self.old.iter_mut().flatten());
        of_store.for_each(|(_, version)| f(version));
        self.late_swap.iter_mut().filter_map(|swap| swap.1.as_mut()).for_each(&mut *f);
        for session in &mut self.sessions {
            session.real.each_version(f);
            match session.call.as_mut().map(|call| &mut call.kind) {
                Some(CallKind::Loaded(Some((_, version)))) => f(version),
                Some(CallKind::Swap(_, Some(version), _)) => f(version),
                Some(CallKind::Swapped(_, Swapped::Stored(version))) => f(version),
                Some(CallKind::Swapped(_, Swapped::Conflict(Some((_, version))))) => f(version),
                _ => {}
            }
        }
    }

    /// A version that no part of the world has seen.
    pub fn new_version(&mut self) -> i64 {
        let mut highest = 0;
        self.each_version(&mut |version| highest = highest.max(*version));
        highest + 1
    }

    /// Makes states look the same that behave the same.
    pub fn settle(&mut self, world: &World) {
        let (settings, now) = (world.settings(), self.now(Duration::ZERO));
        for session in &mut self.sessions[..world.sessions] {
            session.real.settle(&mut session.tickets, &settings, &now);
        }
        // Versions are compared for equality alone.
        let mut versions = 0u64;
        self.each_version(&mut |version| versions |= 1 << *version);
        self.each_version(&mut |version| {
            *version = i64::from((versions & ((1 << *version) - 1)).count_ones()) + 1;
        });
        self.each_record(&mut settle_record);
        for session in &mut self.sessions[..world.sessions] {
            session.real.own_pause().into_iter().for_each(settle_pause);
            let mut ids = 0u64;
            session.each_id(&mut |id| ids |= 1 << *id);
            session.each_id(&mut |id| *id = (ids & ((1 << *id) - 1)).count_ones() + 1);
            *session.real.last_id() = ids.count_ones();
        }
    }
}

impl Session {
    fn each_id(&mut self, f: &mut dyn FnMut(&mut u32)) {
        self.real.each_id(f);
        self.call.iter_mut().for_each(|call| f(&mut call.id));
        self.requests.iter_mut().flatten().for_each(|request| f(&mut request.request.id));
        self.saves.iter_mut().flatten().for_each(|saving| f(&mut saving.id));
    }
}

fn settle_record(record: &mut Rec) {
    if let Some(mark) = record.mark.as_mut().filter(|mark| mark.at > LONG_AGO) {
        mark.at = first_number();
    }
    record.pause.iter_mut().for_each(settle_pause);
}

/// A backoff is over, or not: the wall clock does not say.
fn settle_pause(pause: &mut crate::machine::Pause<Trouble>) {
    pause.attempts = pause.attempts.min(2);
    pause.wait = NEVER;
    pause.until = if pause.until > 0 { u64::from(u32::MAX) * 1000 } else { 0 };
}

/// Longer than any clock of the model runs.
const NEVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Marks from before are from long ago.
pub const LONG_AGO: u64 = 1000;

/// How old the world is, in steps of a token's life.
pub fn age_of(wall: SystemTime) -> u8 {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.subsec_micros() % 1000) as u8
}

/// The number of the first login.
pub fn first_number() -> u64 {
    WALL.as_millis() as u64
}
