//! `Lease`.

use std::time::Duration;

/// Who wants to renew, and for how long. A lease that its holder does not end, since it died, ends
/// by itself.
#[derive(Debug, Clone)]
pub struct Lease {
    holder: String,
    ttl: Duration,
}

impl Lease {
    /// A lease for a holder of its own.
    pub fn new(ttl: Duration) -> Self {
        Self { holder: format!("{:032x}", rand::random::<u128>()), ttl }
    }

    /// Who holds it: 32 hexadecimal digits, of nobody else.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// How long it lasts, unless it is released before.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }
}
