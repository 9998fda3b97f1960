//! `HandedOver`: what the suite hands to the client, in place of a person or an operator.

use std::error::Error;

use rmcp::ClientLifecycleMode;
use rmcp::model::ProtocolVersion;
use serde::Deserialize;

/// What an operator would have entered, as far as a scenario has it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct HandedOver {
    /// Of a client that is registered already, with what it authenticates with.
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<String>,
    pub(crate) private_key_pem: Option<String>,
    /// What a workload has in place of a person: an assertion about itself.
    pub(crate) valid_jwt: Option<String>,
    /// What an employer's identity provider said of a person, and where it exchanges that.
    pub(crate) idp_client_id: Option<String>,
    pub(crate) idp_id_token: Option<String>,
    pub(crate) idp_token_endpoint: Option<String>,
}

impl HandedOver {
    pub(crate) fn read() -> Result<Self, Box<dyn Error>> {
        match std::env::var("MCP_CONFORMANCE_CONTEXT") {
            Ok(json) => Ok(serde_json::from_str(&json)?),
            Err(_) => Ok(Self::default()),
        }
    }
}

/// As of 2026-07-28 there is no handshake.
pub(crate) fn lifecycle() -> Result<ClientLifecycleMode, Box<dyn Error>> {
    let version = std::env::var("MCP_CONFORMANCE_PROTOCOL_VERSION").unwrap_or_default();
    let version: ProtocolVersion = serde_json::from_value(version.into())?;
    Ok(if version.has_initialize() {
        ClientLifecycleMode::Initialize
    } else {
        ClientLifecycleMode::Discover { preferred_versions: vec![version] }
    })
}
