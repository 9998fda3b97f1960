use std::time::Duration;

use super::client::Client;
use super::clock::Clock;

/// Everything a builder decides; it does not change while the provider runs.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)]
pub(super) struct Config {
    pub(super) lifetime: Duration,
    pub(super) send_expires_in: bool,
    pub(super) rotation: bool,
    pub(super) reuse_detection: bool,
    pub(super) grace: Duration,
    pub(super) client: Client,
    pub(super) client_credentials_refresh: bool,
    pub(super) token_delay: Duration,
    pub(super) api_delay: Duration,
    pub(super) clock: Clock,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(60 * 60),
            send_expires_in: true,
            rotation: true,
            reuse_detection: true,
            grace: Duration::ZERO,
            client: Client::default(),
            client_credentials_refresh: false,
            token_delay: Duration::ZERO,
            api_delay: Duration::ZERO,
            clock: Clock::default(),
        }
    }
}
