//! `Model`: what must hold, whatever goes wrong. It is told of each thing that is seen from outside
//! of the session, and keeps the first that must not be.
//!
//! `token` is what is known of a token; `renewals`, `requests` and `saves` hold the rules; `outcomes` says
//! which outcomes of a call can be accounted for.

mod call;
mod outcomes;
mod renewals;
mod requests;
mod saves;
mod token;

pub use call::{CallError, CallOk, Kind, LastOutcome};
pub use renewals::Answer;
pub use requests::ApiAnswer;
pub use saves::Written;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use crate::clock::Clock;
use crate::coverage::Coverage;
use crate::schedule::Setup;
use crate::token_serial::TokenSerial;

use call::Call;
use renewals::{Flight, LastUse};
use saves::Saves;
use token::Facts;

/// How long a renewal waits for the saver.
const SAVE_WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// All that the token requests of one renewal may take.
const TOKEN_REQUESTS: Duration = Duration::from_secs(30);
/// All that one renewal may take: its token requests, and the saver.
const RENEWAL: Duration = Duration::from_secs(30 + 5);
/// The shortest wait after a failure.
const BACKOFF: Duration = Duration::from_secs(1);
/// A minute without renewals after one that did not help.
const QUIET: Duration = Duration::from_secs(60);
/// After that long without a 401 that renews, nothing is known of a path.
const FORGOTTEN: Duration = Duration::from_secs(3600);

pub struct Model {
    clock: Clock,
    pub setup: Setup,
    pub trace: String,
    pub violation: Option<String>,
    pub coverage: Coverage,
    tokens: BTreeMap<TokenSerial, Facts>,
    /// Of each login, the newest token that the session has been given.
    newest: BTreeMap<u32, TokenSerial>,
    /// The token in use, when last looked at.
    pub live: Option<TokenSerial>,
    /// No token older than this is to be in use.
    floor: TokenSerial,
    /// The login that the application has given last.
    pub login: u32,
    /// That login has ended, and the session knows.
    pub ended: bool,
    last_ended: Option<Duration>,
    sign_out_asked: bool,
    /// The last token request has failed.
    failing: bool,
    failed_at: Option<Duration>,
    revocation_failed_at: Option<Duration>,
    /// An answer to the present refresh token may be lost.
    doubt: BTreeMap<u32, bool>,
    pub refused_in_doubt: bool,
    /// The session may be taking no notice of 401s.
    quiet: bool,
    flights: Vec<Flight>,
    uses: BTreeMap<TokenSerial, LastUse>,
    pub token_requests: u64,
    calls: BTreeMap<u32, Call>,
    pub saves: Saves,
    last_jump: Option<Duration>,
    /// A token that was due, and when a request carried it.
    expected: Option<(TokenSerial, Duration)>,
    /// How the last request to the API, or refresh by hand, has ended.
    pub last: Option<LastOutcome>,
}

impl Model {
    pub fn new(clock: Clock, setup: Setup) -> Self {
        Self {
            clock,
            setup,
            trace: String::new(),
            violation: None,
            coverage: Coverage::default(),
            tokens: BTreeMap::new(),
            newest: BTreeMap::new(),
            live: None,
            floor: TokenSerial { login: 1, n: 0 },
            login: 1,
            ended: false,
            last_ended: None,
            sign_out_asked: false,
            failing: false,
            failed_at: None,
            revocation_failed_at: None,
            doubt: BTreeMap::new(),
            refused_in_doubt: false,
            quiet: false,
            flights: Vec::new(),
            uses: BTreeMap::new(),
            token_requests: 0,
            calls: BTreeMap::new(),
            saves: Saves::default(),
            last_jump: None,
            expected: None,
            last: None,
        }
    }

    pub fn note(&mut self, what: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.trace, "{:>12.3} {what}", self.clock.now().as_secs_f64());
    }

    /// What must not be. The first is kept: what follows may follow from it.
    pub fn violation(&mut self, what: String) {
        self.note(format_args!("VIOLATION {what}"));
        self.violation.get_or_insert(what);
    }

    /// The token in use, as the session says.
    pub fn see(&mut self, live: Option<TokenSerial>) {
        let now = self.clock.now();
        match live {
            Some(serial) => {
                if serial < self.floor {
                    let floor = self.floor;
                    self.violation(format!("{serial} is in use after {floor}"));
                }
                self.floor = serial;
                match self.tokens.get_mut(&serial) {
                    Some(facts) => {
                        facts.live_since.get_or_insert(now);
                        facts.was_due |= facts.due_from.is_some_and(|due| due <= self.clock.wall());
                    }
                    None => self.violation(format!("{serial} is in use, and nobody gave it")),
                }
            }
            // With strict saving an old login is not used once the new one's save has failed.
            None if self.live.is_some() && self.is_replaced_unsaved() => {
                self.coverage.count("state: an old login is out of use, the new one is not saved");
                self.floor = TokenSerial { login: self.login, n: 0 };
            }
            None if self.live.is_some() => {
                if !self.sign_out_asked {
                    self.violation("no token is in use, and nobody signed out".to_owned());
                }
                self.floor = TokenSerial { login: self.floor.login + 1, n: 0 };
                self.end();
            }
            None => {}
        }
        self.live = live;
    }

    fn is_replaced_unsaved(&self) -> bool {
        let is_old = self.live.is_some_and(|live| live.login < self.login);
        self.setup.strict_saving && is_old && !self.sign_out_asked && self.saves.had_trouble()
    }

    /// The session knows that the login has ended.
    fn end(&mut self) {
        self.ended = true;
        self.last_ended = Some(self.clock.now());
    }

    fn has_ended_since(&self, began: Duration) -> bool {
        self.ended || self.last_ended.is_some_and(|at| began <= at)
    }

    /// The application's first token, or that of a new login, as it was when it was issued.
    pub fn given(&mut self, serial: TokenSerial, life: i64, deadline: SystemTime, first: bool) {
        let mut facts = Facts::given(&self.clock, life, deadline, serial, first);
        // Its lifetime may be counted from when it comes into use.
        facts.was_due |= self.last_jump.is_some_and(|at| at == self.clock.now());
        self.tokens.insert(serial, facts);
        self.newest.insert(serial.login, serial);
        if self.ended {
            self.end();
        }
        (self.ended, self.failing, self.sign_out_asked, self.quiet) = (false, false, false, false);
        self.expected = None;
        self.login = serial.login;
    }

    /// The wall clock has been put forward or back.
    pub fn jumped(&mut self) {
        let now = self.clock.now();
        self.last_jump = Some(now);
        // A lifetime may be counted from when a token comes into use.
        for facts in self.tokens.values_mut().filter(|facts| facts.live_since.is_none()) {
            facts.was_due = true;
        }
    }

    /// Whether the token in use is saved, or needs not to be.
    pub fn is_saved(&self) -> bool {
        self.live.is_some_and(|live| {
            self.tokens.get(&live).is_some_and(|facts| facts.is_first) || self.saves.has(live)
        })
    }

    pub fn signed_out(&self) -> bool {
        self.sign_out_asked && self.live.is_none()
    }

    /// Whether the session may know that the login has ended.
    pub fn may_have_ended(&self) -> bool {
        self.ended || self.sign_out_asked
    }

    pub fn newest(&self) -> Option<TokenSerial> {
        self.newest.get(&self.login).copied()
    }

    pub fn due_from(&self) -> Option<SystemTime> {
        self.tokens.get(&self.live?)?.due_from
    }

    pub fn expired_from(&self) -> Option<SystemTime> {
        self.tokens.get(&self.live?)?.expired_from
    }
}
