use std::time::Duration;

/// The interval if none is named (RFC 8628 §3.2).
pub(crate) const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// How the device flow goes (RFC 8628).
#[derive(Clone, Debug)]
pub(crate) struct DeviceFlow {
    pub(crate) lifetime: Duration,
    /// `None` if it is not sent.
    pub(crate) interval: Option<Duration>,
    pub(crate) enforce_interval: bool,
}

impl Default for DeviceFlow {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(10 * 60),
            interval: Some(DEFAULT_INTERVAL),
            enforce_interval: false,
        }
    }
}
