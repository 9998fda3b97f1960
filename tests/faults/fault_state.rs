//! What goes wrong, for a number of times or until it is fixed.

/// At the token endpoint, and at the revocation endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    Status(u16),
    /// 429 with `Retry-After` in seconds.
    TooMany(u64),
    /// No connection: the request was not sent.
    Unreachable,
    LostBeforeIssue,
    LostAfterIssue,
    /// The answer breaks off amid its body.
    CutOff,
    Garbage,
    GarbageAfterIssue,
    Hang,
    HangAfterIssue,
    /// 401 `invalid_client`.
    InvalidClient,
}

impl Outage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Status(_) => "outage: 5xx",
            Self::TooMany(_) => "outage: 429",
            Self::Unreachable => "outage: unreachable",
            Self::LostBeforeIssue => "outage: lost before the token is issued",
            Self::LostAfterIssue => "outage: lost after the token is issued",
            Self::CutOff => "outage: cut off amid the answer",
            Self::Garbage => "outage: garbage",
            Self::GarbageAfterIssue => "outage: garbage after the token is issued",
            Self::Hang => "outage: hang",
            Self::HangAfterIssue => "outage: hang after the token is issued",
            Self::InvalidClient => "outage: invalid_client",
        }
    }

    /// Whether the provider has done its work all the same.
    pub fn is_after_issue(self) -> bool {
        matches!(
            self,
            Self::LostAfterIssue | Self::CutOff | Self::GarbageAfterIssue | Self::HangAfterIssue
        )
    }
}

/// At the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiTrouble {
    /// 401 whatever the token.
    Unauthorized,
    /// A 401 that a new token does not cure.
    Scope,
    Status(u16),
    Lost,
    /// Redirected to another origin, which says 401.
    Elsewhere,
}

impl ApiTrouble {
    pub fn name(self) -> &'static str {
        match self {
            Self::Unauthorized => "api: 401 whatever the token",
            Self::Scope => "api: insufficient_scope",
            Self::Status(_) => "api: 5xx",
            Self::Lost => "api: lost",
            Self::Elsewhere => "api: redirected, and 401 from there",
        }
    }
}

/// At the saver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaverTrouble {
    Error,
    /// Written, and then an error.
    ErrorAfterWrite,
    Panic,
    Hang,
    /// Longer than a renewal waits for it.
    Slow,
}

impl SaverTrouble {
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "saver: error",
            Self::ErrorAfterWrite => "saver: error after it has written",
            Self::Panic => "saver: panic",
            Self::Hang => "saver: hang",
            Self::Slow => "saver: slow",
        }
    }
}

/// Trouble that lasts a while.
#[derive(Debug)]
pub struct CountedFault<T>(Option<(T, u32)>);

impl<T: Copy> CountedFault<T> {
    pub fn none() -> Self {
        Self(None)
    }

    pub fn set(&mut self, what: T, times: u32) {
        self.0 = Some((what, times));
    }

    /// What happens this time.
    pub fn take(&mut self) -> Option<T> {
        let (what, times) = self.0.as_mut()?;
        let what = *what;
        *times -= 1;
        if *times == 0 {
            self.0 = None;
        }
        Some(what)
    }
}
