//! `Servers`: what is known of each server, for proofs.
//!
//! Invariants: what one origin said goes to no other; what is kept is bounded, and fit to stand in a proof.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::header::DATE;
use http::{HeaderMap, HeaderName, HeaderValue};
use url::{Position, Url};

use crate::clock;
use crate::http_date::http_date;

/// The header that has a nonce.
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// How many servers are remembered.
const MOST_SERVERS: usize = 64;

/// The longest nonce that is taken, in bytes.
const LONGEST_NONCE: usize = 1024;

/// A clock that differs by less is right: a response takes its time.
const SMALLEST_SKEW: Duration = Duration::from_secs(10);

/// A clock that differs by more is not believed.
const LARGEST_SKEW: Duration = Duration::from_secs(24 * 3600);

/// A nonce that is older may have expired. Servers keep one for some minutes.
const NONCE_LIFE: Duration = Duration::from_secs(300);

/// What a proof for a server needs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known<'a> {
    /// The newest nonce that it gave
    /// ([RFC 9449 §8.2](https://www.rfc-editor.org/rfc/rfc9449#section-8.2)).
    pub(crate) nonce: Option<&'a [u8]>,
    /// How many seconds its clock is ahead of ours.
    pub(crate) skew: i64,
}

/// Which of what is known a proof was made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Basis {
    /// The number of the nonce; zero: none.
    nonce: u64,
    skew: i64,
}

struct Server {
    /// Scheme, host and port, as in the server's URLs.
    origin: Box<str>,
    /// The newest nonce. Each has the length of the one before, nearly always: it costs no allocation.
    nonce: Vec<u8>,
    basis: Basis,
    /// Its clock was found to be another one, so proofs may be on their way that were made before.
    was_corrected: bool,
    /// When it gave the nonce, or was asked for one.
    asked_at: Option<SystemTime>,
}

/// What is known of each server that proofs were sent to. Locked for a look at a time, never across an await.
#[derive(Default)]
pub(crate) struct Servers(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    servers: Vec<Server>,
    /// How many nonces were taken, of all servers.
    nonces: u64,
}

impl Servers {
    /// What `make` makes of what a proof for this URL needs, and which that was. Other requests wait for it.
    pub(crate) fn read<T>(&self, url: &Url, make: impl FnOnce(Known<'_>) -> T) -> (T, Basis) {
        let kept = self.lock();
        match kept.servers.iter().find(|server| server.is_of(url)) {
            Some(server) => (make(server.known()), server.basis),
            None => (make(Known::default()), Basis::default()),
        }
    }

    /// Which of what is known the next proof for this URL is made of.
    pub(crate) fn basis(&self, url: &Url) -> Basis {
        self.read(url, |_| ()).1
    }

    /// Takes what the response to a request with a proof says: the nonce, whatever the status; and the time,
    /// if the server refused something. Other responses may come from a cache.
    pub(crate) fn hear(&self, url: &Url, headers: &HeaderMap, is_refusal: bool, now: SystemTime) {
        let nonce = nonce(headers);
        let skew = is_refusal.then(|| skew(headers, now)).flatten();
        if nonce.is_none() && skew.is_none() {
            return;
        }
        let kept = &mut *self.lock();
        let server = server_of(&mut kept.servers, url);
        if let Some(nonce) = nonce {
            server.asked_at = Some(now);
            if server.nonce != nonce {
                server.nonce.clear();
                server.nonce.extend_from_slice(nonce);
                kept.nonces += 1;
                server.basis.nonce = kept.nonces;
            }
        }
        if let Some(skew) = skew.filter(|skew| *skew != server.basis.skew) {
            server.basis.skew = skew;
            server.was_corrected = true;
        }
    }

    /// Whether the server's clock was ever found to be another one.
    pub(crate) fn was_corrected(&self, url: &Url) -> bool {
        self.lock().servers.iter().any(|server| server.is_of(url) && server.was_corrected)
    }

    /// Whether the server should be asked for a nonce before something is presented that it might consume
    /// first: once, if it never gave one; else if the one that there is may have expired.
    pub(crate) fn should_ask(&self, url: &Url, now: SystemTime) -> bool {
        let kept = self.lock();
        let server = kept.servers.iter().find(|server| server.is_of(url));
        // A clock that was set back does not tell how old it is.
        let is_old = |at| now.duration_since(at).map_or(true, |age| age > NONCE_LIFE);
        server.is_none_or(|server| match (server.known().nonce, server.asked_at) {
            (_, None) => true,
            (Some(_), Some(at)) => is_old(at),
            (None, Some(_)) => false,
        })
    }

    /// The server was asked, and has answered.
    pub(crate) fn asked(&self, url: &Url, now: SystemTime) {
        server_of(&mut self.lock().servers, url).asked_at = Some(now);
    }

    /// The server has accepted a proof, so it does not wait to be asked.
    pub(crate) fn accepted(&self, url: &Url, now: SystemTime) {
        server_of(&mut self.lock().servers, url).asked_at.get_or_insert(now);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept of the server, from now on if nothing was.
fn server_of<'a>(servers: &'a mut Vec<Server>, url: &Url) -> &'a mut Server {
    let at = match servers.iter().position(|server| server.is_of(url)) {
        Some(at) => at,
        None => {
            if servers.len() >= MOST_SERVERS {
                servers.remove(0);
            }
            servers.push(Server {
                origin: origin(url).into(),
                nonce: Vec::new(),
                basis: Basis::default(),
                was_corrected: false,
                asked_at: None,
            });
            servers.len() - 1
        }
    };
    &mut servers[at]
}

impl Server {
    fn is_of(&self, url: &Url) -> bool {
        *self.origin == *origin(url)
    }

    fn known(&self) -> Known<'_> {
        let nonce = Some(&*self.nonce).filter(|nonce| !nonce.is_empty());
        Known { nonce, skew: self.basis.skew }
    }
}

impl Basis {
    /// Whether another nonce has come since.
    pub(crate) fn has_other_nonce(self, before: Self) -> bool {
        self.nonce != before.nonce
    }

    /// Whether the server's clock was found to be another one since.
    pub(crate) fn has_other_skew(self, before: Self) -> bool {
        self.skew != before.skew
    }
}

/// What is before the path. A URL has it in one form: in small letters, without the scheme's own port.
fn origin(url: &Url) -> &str {
    &url[..Position::BeforePath]
}

/// Whether the response has a nonce that can stand in a proof.
pub(crate) fn gives_nonce(headers: &HeaderMap) -> bool {
    nonce(headers).is_some()
}

fn nonce(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(NONCE).map(HeaderValue::as_bytes).filter(|nonce| is_nonce(nonce))
}

/// `nonce = 1*NQCHAR` ([RFC 9449 §8.1](https://www.rfc-editor.org/rfc/rfc9449#section-8.1)).
fn is_nonce(bytes: &[u8]) -> bool {
    // Without an early end, so that many bytes are looked at at once.
    let are_nqchars = || {
        bytes.iter().fold(true, |all, &byte| {
            all & (byte > b' ') & (byte < 0x7f) & (byte != b'"') & (byte != b'\\')
        })
    };
    (1..=LONGEST_NONCE).contains(&bytes.len()) && are_nqchars()
}

/// How many seconds the server's clock is ahead, where it says so and can be believed.
fn skew(headers: &HeaderMap, now: SystemTime) -> Option<i64> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let now = clock::to_date(now);
    let ahead = http_date(date, now)? - now;
    let size = ahead.abs().to_std().ok().filter(|size| *size <= LARGEST_SKEW)?;
    Some(if size < SMALLEST_SKEW { 0 } else { ahead.num_seconds() })
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers").field("count", &self.lock().servers.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn headers(name: HeaderName, value: &[u8]) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_bytes(value).unwrap())])
    }

    fn now() -> SystemTime {
        // Sun, 06 Nov 1994 08:48:37 GMT
        UNIX_EPOCH + Duration::from_secs(784_111_717)
    }

    fn nonce_after(servers: &Servers, at: &str) -> Option<String> {
        servers.read(&url(at), |known| Some(String::from_utf8(known.nonce?.to_vec()).unwrap())).0
    }

    fn skew_of(servers: &Servers, at: &Url) -> i64 {
        servers.read(at, |known| known.skew).0
    }

    #[test]
    fn a_nonce_is_its_origins_and_the_newest_stays() {
        let servers = Servers::default();
        let hear = |at: &str, nonce: &str| {
            servers.hear(&url(at), &headers(NONCE, nonce.as_bytes()), false, now());
        };
        hear("https://a.example/token", "1");
        hear("https://a.example:443/other?x=y", "2");
        hear("https://a.example:444/token", "3");
        hear("http://a.example:443/token", "4");
        assert_eq!(nonce_after(&servers, "https://A.example/"), Some("2".into()));
        assert_eq!(nonce_after(&servers, "https://a.example:444"), Some("3".into()));
        assert_eq!(nonce_after(&servers, "http://a.example:443"), Some("4".into()));
        assert_eq!(nonce_after(&servers, "https://b.example"), None);
        assert_eq!(nonce_after(&servers, "https://a.example.b.example"), None);
        servers.hear(&url("https://a.example/"), &HeaderMap::new(), true, now());
        assert_eq!(nonce_after(&servers, "https://a.example/"), Some("2".into()));
    }

    #[test]
    fn a_nonce_that_cannot_stand_in_a_proof_is_passed_over() {
        let servers = Servers::default();
        let (longest, longer) = ("n".repeat(LONGEST_NONCE), "n".repeat(LONGEST_NONCE + 1));
        let megabyte = "n".repeat(1024 * 1024);
        for bad in ["", "a b", "a\"b", "a\\b", "a\tb", &longer, &megabyte] {
            servers.hear(&url("https://a.example"), &headers(NONCE, bad.as_bytes()), true, now());
        }
        servers.hear(&url("https://a.example"), &headers(NONCE, b"a\xffb"), true, now());
        assert_eq!(nonce_after(&servers, "https://a.example"), None);
        servers.hear(&url("https://a.example"), &headers(NONCE, longest.as_bytes()), true, now());
        assert_eq!(nonce_after(&servers, "https://a.example"), Some(longest));
    }

    #[test]
    fn the_time_is_learned_from_a_refusal_unless_it_is_absurd() {
        let servers = Servers::default();
        let origin = url("https://a.example");
        for (date, is_refusal, skew) in [
            ("Sun, 06 Nov 1994 08:53:37 GMT", false, 0),
            ("Sun, 06 Nov 1994 08:53:37 GMT", true, 300),
            ("Sunday, 06-Nov-94 08:50:37 GMT", true, 120),
            ("Sun Nov  6 08:49:37 1994", true, 60),
            ("Sun, 06 Nov 1994 08:48:00 GMT", true, -37),
            ("soon", true, -37),
            ("", true, -37),
            ("Tue, 08 Nov 1994 08:48:37 GMT", true, -37),
            ("Thu, 01 Jan 1970 00:00:00 GMT", true, -37),
            ("Fri, 31 Dec 9999 23:59:59 GMT", true, -37),
            // Ours is right again.
            ("Sun, 06 Nov 1994 08:48:46 GMT", true, 0),
            ("Sun, 06 Nov 1994 08:48:47 GMT", true, 10),
        ] {
            servers.hear(&origin, &headers(DATE, date.as_bytes()), is_refusal, now());
            assert_eq!(skew_of(&servers, &origin), skew, "{date}");
        }
        assert_eq!(skew_of(&servers, &url("https://b.example")), 0);
    }

    #[test]
    fn that_a_clock_was_another_one_is_remembered_when_it_is_right_again() {
        let servers = Servers::default();
        let origin = url("https://a.example");
        for (date, was_corrected) in [
            ("Sun, 06 Nov 1994 08:48:37 GMT", false),
            ("Sun, 06 Nov 1994 08:53:37 GMT", true),
            ("Sun, 06 Nov 1994 08:48:37 GMT", true),
        ] {
            servers.hear(&origin, &headers(DATE, date.as_bytes()), true, now());
            assert_eq!(servers.was_corrected(&origin), was_corrected, "{date}");
        }
        assert!(!servers.was_corrected(&url("https://b.example")));
    }

    #[test]
    fn a_server_is_asked_once_and_again_when_its_nonce_is_old() {
        let servers = Servers::default();
        let origin = url("https://a.example");
        let later = |seconds| now() + Duration::from_secs(seconds);
        assert!(servers.should_ask(&origin, now()));
        servers.asked(&origin, now());
        // It gave none, so it wants none.
        assert!(!servers.should_ask(&origin, later(9_999)));
        servers.hear(&origin, &headers(NONCE, b"n"), false, later(10_000));
        assert!(!servers.should_ask(&origin, later(10_300)));
        assert!(servers.should_ask(&origin, later(10_301)));
        servers.asked(&origin, later(10_301));
        assert!(!servers.should_ask(&origin, later(10_302)));
        let other = url("https://b.example");
        servers.accepted(&other, now());
        assert!(!servers.should_ask(&other, later(9_999)));
        // The clock was set back, and nobody knows how old the nonce is. The server is asked once.
        assert!(servers.should_ask(&origin, now()));
        servers.asked(&origin, now());
        assert!(!servers.should_ask(&origin, now()));
        // Still none is wanted there.
        assert!(!servers.should_ask(&other, UNIX_EPOCH));
    }

    #[test]
    fn what_a_proof_was_made_of_is_told_from_what_is_known_now() {
        let servers = Servers::default();
        let (origin, other) = (url("https://a.example"), url("https://b.example"));
        let hear = |at: &Url, nonce: &'static [u8]| {
            servers.hear(at, &headers(NONCE, nonce), false, now());
            servers.basis(at)
        };
        let none = servers.basis(&origin);
        let first = hear(&origin, b"1");
        let of_other = hear(&other, b"1");
        assert!(first.has_other_nonce(none) && !first.has_other_skew(none));
        assert_eq!(hear(&origin, b"1"), first);
        let second = hear(&origin, b"2");
        assert!(second.has_other_nonce(first) && second.has_other_nonce(of_other));
        // Of another length too; and one that came before is another one.
        assert_eq!(nonce_after(&servers, "https://a.example"), Some("2".to_owned()));
        hear(&origin, b"12345");
        assert_eq!(nonce_after(&servers, "https://a.example"), Some("12345".to_owned()));
        assert!(hear(&origin, b"1").has_other_nonce(first));
        assert_eq!(servers.basis(&other), of_other);
        servers.hear(&other, &headers(DATE, b"Sun, 06 Nov 1994 08:53:37 GMT"), true, now());
        let skewed = servers.basis(&other);
        assert!(skewed.has_other_skew(of_other) && !skewed.has_other_nonce(of_other));
    }

    #[test]
    fn few_servers_are_remembered() {
        let servers = Servers::default();
        for number in 0..=MOST_SERVERS {
            let origin = url(&format!("https://a{number}.example"));
            servers.hear(&origin, &headers(NONCE, b"n"), false, now());
        }
        assert_eq!(nonce_after(&servers, "https://a0.example"), None);
        assert_eq!(nonce_after(&servers, "https://a1.example"), Some("n".into()));
        assert_eq!(format!("{servers:?}"), "Servers { count: 64 }");
    }
}
