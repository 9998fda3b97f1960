//! `TokenSerial`: which token it is. Of two tokens, the newer one is the greater.

use std::fmt;

/// In each token; in no error.
pub const SECRET: &str = "abracadabra";

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenSerial {
    pub login: u32,
    pub n: u32,
}

impl TokenSerial {
    pub fn access(self) -> String {
        format!("a-{SECRET}-{self}")
    }

    pub fn refresh(self) -> String {
        format!("r-{SECRET}-{self}")
    }

    /// Reads an access token or a refresh token.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix(['a', 'r'])?.strip_prefix('-')?.strip_prefix(SECRET)?;
        let (login, n) = text.strip_prefix('-')?.split_once('.')?;
        Some(Self { login: login.parse().ok()?, n: n.parse().ok()? })
    }

    /// Any token that is newer is at least this.
    pub fn next(self) -> Self {
        Self { n: self.n + 1, ..self }
    }
}

impl fmt::Display for TokenSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.login, self.n)
    }
}

impl fmt::Debug for TokenSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
