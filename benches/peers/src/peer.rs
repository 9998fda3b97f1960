//! `Peer`: what the behaviours ask of each way to keep a token, and what it saves with.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use reqwest_oauth2::testing::Provider;

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T = ()> = std::result::Result<T, Error>;

pub const CLIENT_ID: &str = "foo";
pub const SECRET: &str = "potato";

/// One login, kept as the peer's documentation says.
#[async_trait]
pub trait Peer: Send + Sync {
    /// A token for a request.
    async fn token(&self) -> Result;

    /// A request to the API, with what is done after a 401, if anything is; its status.
    async fn call(&self, url: &str) -> Result<u16>;

    /// Renews now, be the token fresh or not.
    async fn renew(&self) -> Result;
}

/// The login that a peer begins with.
pub struct Begin<'a> {
    pub provider: &'a Provider,
    pub access_token: String,
    pub refresh_token: String,
    /// The access token has expired, as far as the peer knows.
    pub expired: bool,
    /// What new tokens are handed to, where the peer does that.
    pub saver: &'static Saver,
}

impl<'a> Begin<'a> {
    pub fn new(provider: &'a Provider, expired: bool) -> Self {
        let login = provider.log_in();
        let text = |name: &str| login[name].as_str().unwrap().to_owned();
        Self {
            provider,
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
            expired,
            saver: Box::leak(Box::default()),
        }
    }
}

/// Saves into nothing; fails when told to, once.
#[derive(Default)]
pub struct Saver {
    fails: AtomicBool,
}

impl Saver {
    pub fn fail_once(&self) {
        self.fails.store(true, Ordering::SeqCst);
    }

    pub fn save(&self) -> std::io::Result<()> {
        if self.fails.swap(false, Ordering::SeqCst) {
            return Err(std::io::Error::other("the disk is full"));
        }
        Ok(())
    }
}

/// A client for loopback.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The same, of the version that some peers are built on.
pub fn http_12() -> reqwest_12::Client {
    reqwest_12::Client::builder().no_proxy().build().unwrap()
}
