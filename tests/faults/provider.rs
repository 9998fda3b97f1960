//! The provider's books: logins, their tokens, and which of them still count.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::token_serial::TokenSerial;

/// What a refresh does to the refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It stays, and the answer leaves it out.
    Kept,
    /// It is replaced; presenting it again ends the login.
    Strict,
    /// It is replaced, and for a while still answered.
    Grace(Duration),
}

/// Seconds that access tokens live; `None`: the answer does not say.
pub type Lifetime = Option<i64>;

pub struct Provider {
    pub rotation: Rotation,
    pub lifetime: Lifetime,
    /// A refresh ends the access token before it.
    pub ends_old: bool,
    logins: BTreeMap<u32, Login>,
}

#[derive(Default)]
struct Login {
    issued: u32,
    refresh: u32,
    replaced: Option<Duration>,
    ended: bool,
    /// Access tokens that are accepted until then.
    access: BTreeMap<u32, Duration>,
}

/// A token response.
#[derive(Debug, Clone, Copy)]
pub struct Issued {
    pub access: TokenSerial,
    pub refresh: Option<TokenSerial>,
    pub lifetime: Lifetime,
}

impl Provider {
    pub fn new(rotation: Rotation, lifetime: Lifetime, ends_old: bool) -> Self {
        Self { rotation, lifetime, ends_old, logins: BTreeMap::new() }
    }

    /// A new login, whose access token is accepted for that long.
    pub fn log_in(&mut self, now: Duration, life: Duration) -> TokenSerial {
        let login = u32::try_from(self.logins.len()).unwrap() + 1;
        let mut new = Login::default();
        new.access.insert(0, now + life);
        self.logins.insert(login, new);
        TokenSerial { login, n: 0 }
    }

    /// `None`: `invalid_grant`.
    pub fn refresh(&mut self, presented: TokenSerial, now: Duration) -> Option<Issued> {
        let is_taken = self.takes(presented, now);
        let login = self.logins.get_mut(&presented.login)?;
        login.ended |= !is_taken;
        if login.ended {
            login.access.clear();
            return None;
        }
        login.issued += 1;
        if self.ends_old {
            login.access.clear();
        }
        let life = match self.lifetime {
            Some(seconds) if seconds > 0 => Duration::from_secs(seconds.unsigned_abs()),
            _ => Duration::from_secs(100_000_000),
        };
        login.access.insert(login.issued, now + life);
        let access = TokenSerial { n: login.issued, ..presented };
        if self.rotation == Rotation::Kept {
            return Some(Issued { access, refresh: None, lifetime: self.lifetime });
        }
        (login.refresh, login.replaced) = (login.issued, Some(now));
        Some(Issued { access, refresh: Some(access), lifetime: self.lifetime })
    }

    /// Whether a refresh would be answered with a token.
    pub fn takes(&self, presented: TokenSerial, now: Duration) -> bool {
        let Some(login) = self.logins.get(&presented.login) else { return false };
        !login.ended && (presented.n == login.refresh || self.is_graced(login, presented, now))
    }

    fn is_graced(&self, login: &Login, presented: TokenSerial, now: Duration) -> bool {
        match (self.rotation, login.replaced) {
            (Rotation::Grace(grace), Some(at)) => presented.n < login.refresh && now <= at + grace,
            _ => false,
        }
    }

    pub fn accepts(&self, access: TokenSerial, now: Duration) -> bool {
        let until = self.logins.get(&access.login).and_then(|login| login.access.get(&access.n));
        until.is_some_and(|until| now < *until)
    }

    pub fn end_access(&mut self, access: TokenSerial) {
        if let Some(login) = self.logins.get_mut(&access.login) {
            login.access.remove(&access.n);
        }
    }

    /// Ends all access tokens but these.
    pub fn end_access_but(&mut self, kept: &[TokenSerial]) {
        for (login, facts) in &mut self.logins {
            facts.access.retain(|n, _| kept.contains(&TokenSerial { login: *login, n: *n }));
        }
    }

    pub fn end(&mut self, login: u32) {
        if let Some(login) = self.logins.get_mut(&login) {
            login.ended = true;
            login.access.clear();
        }
    }

    /// Ends the login of a refresh token that still counts; of another one there is nothing to end.
    pub fn revoke(&mut self, refresh: TokenSerial) {
        if self.logins.get(&refresh.login).is_some_and(|login| login.refresh == refresh.n) {
            self.end(refresh.login);
        }
    }

    pub fn has_ended(&self, login: u32) -> bool {
        self.logins.get(&login).is_none_or(|login| login.ended)
    }
}
