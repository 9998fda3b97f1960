//! A small client of the Model Context Protocol, for the public conformance suite: connects to the server
//! that its argument names, lists the tools, and calls each of them.
//!
//! What a scenario brings arrives in the environment: the version of the protocol, and the ids, secrets,
//! keys and assertions that a person would have entered.

mod transport;

use std::error::Error;

use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt};

use transport::Http;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().next_back().ok_or("usage: mcp URL")?;
    let config = StreamableHttpClientTransportConfig::with_uri(url);
    let transport = StreamableHttpClientTransport::with_client(Http::new()?, config);
    let client = ().serve_with_lifecycle(transport, lifecycle()?).await?;
    for tool in client.list_all_tools().await? {
        client.call_tool(CallToolRequestParams::new(tool.name)).await?;
    }
    client.cancel().await?;
    Ok(())
}

/// As of 2026-07-28 there is no handshake.
fn lifecycle() -> Result<ClientLifecycleMode, Box<dyn Error>> {
    let version = std::env::var("MCP_CONFORMANCE_PROTOCOL_VERSION").unwrap_or_default();
    let version: ProtocolVersion = serde_json::from_value(version.into())?;
    Ok(if version.has_initialize() {
        ClientLifecycleMode::Initialize
    } else {
        ClientLifecycleMode::Discover { preferred_versions: vec![version] }
    })
}
