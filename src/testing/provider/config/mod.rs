//! What the builder decides.

mod assertions;
mod authorization;
mod client;
mod device;
mod metadata;
mod redirect_uris;
mod registration;
mod resource;
mod targets;

pub(crate) use assertions::Assertions;
pub(crate) use authorization::AuthorizationConfig;
pub use client::AuthMethod;
pub(crate) use client::Client;
pub(crate) use device::{DEFAULT_INTERVAL, DeviceFlow};
pub(crate) use metadata::MetadataConfig;
pub use metadata::MetadataDocument;
pub(crate) use redirect_uris::RedirectUris;
pub(crate) use registration::{KnownClient, RegistrationConfig};
pub use resource::ResourceDocument;
pub(crate) use resource::{Need, NeedKind, ResourceConfig};
pub(crate) use targets::Targets;

use std::time::Duration;

use crate::testing::clock::Clock;
#[cfg(all(feature = "keys", feature = "testing"))]
use crate::testing::provider::dpop::DpopRules;

/// The scope of a grant that asked for none.
pub(crate) const DEFAULT_SCOPE: &str = "read write";

/// Everything a builder decides; it does not change while the provider runs.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Config {
    pub(crate) lifetime: Duration,
    pub(crate) send_expires_in: bool,
    pub(crate) rotation: bool,
    pub(crate) reuse_detection: bool,
    pub(crate) grace_period: Duration,
    pub(crate) client: Client,
    pub(crate) client_credentials_refresh: bool,
    pub(crate) authorization: AuthorizationConfig,
    pub(crate) device: DeviceFlow,
    pub(crate) metadata: MetadataConfig,
    pub(crate) resource: ResourceConfig,
    pub(crate) registration: RegistrationConfig,
    /// `None` if the builder has not said which.
    pub(crate) assertions: Option<Assertions>,
    #[cfg(all(feature = "keys", feature = "testing"))]
    pub(crate) dpop: DpopRules,
    pub(crate) targets: Targets,
    pub(crate) token_delay: Duration,
    pub(crate) api_delay: Duration,
    pub(crate) clock: Clock,
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
            authorization: AuthorizationConfig::default(),
            device: DeviceFlow::default(),
            metadata: MetadataConfig::default(),
            resource: ResourceConfig::default(),
            registration: RegistrationConfig::default(),
            assertions: None,
            #[cfg(all(feature = "keys", feature = "testing"))]
            dpop: DpopRules::default(),
            targets: Targets::default(),
            token_delay: Duration::ZERO,
            api_delay: Duration::ZERO,
            clock: Clock::default(),
        }
    }
}
