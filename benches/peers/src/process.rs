//! `Process`: a program that keeps a login in a file which others share, and a `Directory` for the file.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use reqwest_oauth2::testing::Provider;

use crate::peer::{Peer, Result};

/// A peer that has read its login from a file, and saves to it.
#[async_trait]
pub trait Process: Peer {
    /// The user signs in again, in this process; the provider has answered with this.
    async fn sign_in(&self, login: &Login) -> Result;
}

/// What the provider has answered to a login.
pub struct Login {
    pub access_token: String,
    pub refresh_token: String,
    /// As far as the peer knows.
    pub seconds_left: i64,
}

impl Login {
    pub fn new(provider: &Provider, seconds_left: i64) -> Self {
        let login = provider.log_in();
        let text = |name: &str| login[name].as_str().unwrap().to_owned();
        let (access_token, refresh_token) = (text("access_token"), text("refresh_token"));
        Self { access_token, refresh_token, seconds_left }
    }

    /// Unix time.
    pub fn expires_at(&self) -> i64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        now.as_secs().cast_signed() + self.seconds_left
    }
}

/// A directory of its own for the file of one login.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("peers-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("login.json")
    }

    /// Whether the file holds this refresh token.
    pub fn holds(&self, refresh_token: &str) -> bool {
        read(&self.file()).contains(refresh_token)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}
