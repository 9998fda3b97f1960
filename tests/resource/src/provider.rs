//! What the provider knows of itself.

use std::time::Duration;

use serde_json::Value;

pub(crate) struct Provider {
    issuer: String,
    http: reqwest::Client,
}

impl Provider {
    pub(crate) fn of_environment() -> Self {
        let issuer = std::env::var("OIDC_ISSUER").expect("tests/interop/run sets it");
        Self { issuer, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.http.get(format!("{}{path}", self.issuer)).send().await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    /// A number of a client's statistics, absent as zero.
    pub(crate) async fn count(&self, client_id: &str, pointer: &str) -> u64 {
        let stats = self.get("/stats").await;
        stats["by_client"][client_id].pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
    }

    pub(crate) async fn is_valid(&self, token: &str) -> bool {
        self.get(&format!("/valid?token={token}")).await["active"].as_bool().unwrap()
    }

    pub(crate) async fn until_expired(&self, access_token: &str) {
        // A minute is far more than a token lives here.
        for _ in 0..1200 {
            if !self.is_valid(access_token).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the access token does not expire");
    }
}
