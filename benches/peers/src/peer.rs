//! `Peer`: what the behaviours ask of each way to keep a token, and what it saves with.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io};

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

/// Saves into a file, or into nothing; fails when told to, once.
#[derive(Default)]
pub struct Saver {
    fails: AtomicBool,
    file: Option<PathBuf>,
}

impl Saver {
    pub fn in_file(file: &Path) -> &'static Self {
        Box::leak(Box::new(Self { file: Some(file.to_owned()), ..Self::default() }))
    }

    pub fn fail_once(&self) {
        self.fails.store(true, Ordering::SeqCst);
    }

    pub fn save(&self, text: &str) -> io::Result<()> {
        if self.fails.swap(false, Ordering::SeqCst) {
            return Err(io::Error::other("the disk is full"));
        }
        let Some(file) = &self.file else { return Ok(()) };
        // Nobody reads half of it.
        let whole = file.with_extension(format!("{:?}", std::thread::current().id()));
        fs::write(&whole, text)?;
        fs::rename(whole, file)
    }

    /// What the file holds, where there is one.
    pub fn load(&self) -> io::Result<Option<String>> {
        self.file.as_ref().map(fs::read_to_string).transpose()
    }

    /// Locks out other processes, until the answer is dropped.
    pub async fn lock(&self) -> io::Result<Option<fs::File>> {
        let Some(file) = &self.file else { return Ok(None) };
        let beside = file.with_extension("lock");
        let locked = tokio::task::spawn_blocking(move || {
            let beside = fs::File::create(beside)?;
            beside.lock()?;
            Ok(beside)
        });
        locked.await.map_err(io::Error::other)?.map(Some)
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
