//! `Serial`: which token it is. Of two tokens, the newer one is the greater.

use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Serial {
    pub login: u32,
    pub n: u32,
}

impl Serial {
    pub fn access(self) -> String {
        format!("a{self}")
    }

    pub fn refresh(self) -> String {
        format!("r{self}")
    }

    /// Reads an access token or a refresh token.
    pub fn read(text: &str) -> Option<Self> {
        let (login, n) = text.strip_prefix(['a', 'r'])?.split_once('.')?;
        Some(Self { login: login.parse().ok()?, n: n.parse().ok()? })
    }

    /// Any token that is newer is at least this.
    pub fn next(self) -> Self {
        Self { n: self.n + 1, ..self }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.login, self.n)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
