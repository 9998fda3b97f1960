//! A small client of the Model Context Protocol, for the public conformance suite: connects to the server
//! that its argument names, lists the tools, and calls each of them.
//!
//! What a scenario brings arrives in the environment: the version of the protocol, and the ids, secrets,
//! keys and assertions that a person would have entered.

mod handed_over;
mod tokens;
mod transport;

use std::error::Error;

use rmcp::ClientServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

use handed_over::{HandedOver, lifecycle};
use transport::Http;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().next_back().ok_or("usage: mcp URL")?;
    let http = Http::new(tokens::session(&url, HandedOver::read()?)?)?;
    let config = StreamableHttpClientTransportConfig::with_uri(url);
    let transport = StreamableHttpClientTransport::with_client(http, config);
    let client = ().serve_with_lifecycle(transport, lifecycle()?).await?;
    for tool in client.list_all_tools().await? {
        client.call_tool(CallToolRequestParams::new(tool.name)).await?;
    }
    client.cancel().await?;
    Ok(())
}
