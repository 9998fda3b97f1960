//! The server, and who talks to it.

use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity};
use reqwest_oauth2::{OAuthClient, Session};
use serde_json::Value;

use crate::browse::{agree, browse};

pub(crate) struct Server {
    pub(crate) issuer: String,
    certificates: String,
    plain: reqwest::Client,
}

/// A client of the server, with what sends its requests.
pub(crate) struct Peer<'a> {
    pub(crate) server: &'a Server,
    pub(crate) app: OAuthClient,
    pub(crate) http: reqwest::Client,
    /// Whether its authorization requests are pushed.
    pub(crate) pushes: bool,
    /// The API: by the door that the client comes through.
    api: String,
}

impl Server {
    pub(crate) fn new(issuer: String) -> Self {
        let certificates = std::env::var("CERTIFICATES").unwrap();
        let plain = reqwest::Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Self { issuer, certificates, plain }
    }

    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/{name}", self.certificates)).unwrap()
    }

    /// With a certificate of that name, where there is one.
    pub(crate) fn client(&self, certificate: Option<&str>) -> reqwest::Client {
        let authority = Certificate::from_pem(&self.file("ca.crt")).unwrap();
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .tls_certs_only([authority]);
        if let Some(name) = certificate {
            builder =
                builder.identity(Identity::from_pem(&self.file(&format!("{name}.pem"))).unwrap());
        }
        builder.build().unwrap()
    }

    pub(crate) async fn discover(&self, client: &str, http: &reqwest::Client) -> OAuthClient {
        OAuthClient::discover_with(&self.issuer, client, http.clone()).await.unwrap()
    }

    pub(crate) fn peer(&self, app: OAuthClient, http: reqwest::Client) -> Peer<'_> {
        let pushes = app.client_id().starts_with("fapi");
        Peer { server: self, app, http, pushes, api: format!("{}/api", self.issuer) }
    }

    pub(crate) async fn browse(&self, url: &str) -> String {
        browse(&self.plain, url).await
    }

    pub(crate) async fn agree(&self, user_code: &str) {
        agree(&self.plain, &self.issuer, user_code).await;
    }

    pub(crate) async fn stats(&self) -> Value {
        let response = self.plain.get(format!("{}/stats", self.issuer)).send().await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }
}

impl Peer<'_> {
    /// The same client by the door for certificates.
    pub(crate) fn with_certificate(mut self) -> Self {
        let provider = self.app.provider().unwrap();
        let door = provider.mtls_endpoint("token_endpoint").unwrap();
        self.api = door.join("/api").unwrap().into();
        self
    }

    /// What the API answers to a request with the session's token.
    pub(crate) async fn call(&self, session: &Session) -> u16 {
        let request = self.http.get(&self.api).build().unwrap();
        session.execute(&self.http, request).await.unwrap().status().as_u16()
    }
}
