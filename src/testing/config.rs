use std::time::Duration;

use super::assertions::Assertions;
use super::client::Client;
use super::clock::Clock;
use super::devices::DeviceFlow;
use super::discovery::Discovery;
use super::login::Login;

/// Everything a builder decides; it does not change while the provider runs.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)]
pub(super) struct Config {
    pub(super) lifetime: Duration,
    pub(super) send_expires_in: bool,
    pub(super) rotation: bool,
    pub(super) reuse_detection: bool,
    pub(super) grace_period: Duration,
    pub(super) client: Client,
    pub(super) client_credentials_refresh: bool,
    pub(super) login: Login,
    pub(super) device: DeviceFlow,
    pub(super) discovery: Discovery,
    /// `None` if the builder has not said which.
    pub(super) assertions: Option<Assertions>,
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
            grace_period: Duration::ZERO,
            client: Client::default(),
            client_credentials_refresh: false,
            login: Login::default(),
            device: DeviceFlow::default(),
            discovery: Discovery::default(),
            assertions: None,
            token_delay: Duration::ZERO,
            api_delay: Duration::ZERO,
            clock: Clock::default(),
        }
    }
}
