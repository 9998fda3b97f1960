//! Processes that are killed, and what that costs.
//!
//! A process that dies between the provider's answer and the commit takes the new refresh token with it:
//! nobody else has seen it, and the stored one has been used. That login is lost, with any client. It is
//! told apart from every other loss like this: right after the kill, before a sibling may renew (the dead
//! process's lease stands for a second), the stored refresh token is one that the provider no longer
//! takes, and stays so although nobody renews.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest_oauth2::store::TokenKey;
use reqwest_oauth2::{BoxError, Sessions, Token};
use tokio::time::sleep;

use crate::counterpart::Counterpart;
use crate::member::Fleet;
use crate::shared_store::Place;

/// Between looks at the store.
const LOOK: Duration = Duration::from_millis(50);
/// How many looks must agree.
const LOOKS: u32 = 6;

pub(crate) struct Kills {
    pub(crate) seed: u64,
    random: SmallRng,
    killed: u32,
    explained: u32,
    pub(crate) unexplained: u32,
}

/// The login that is at stake.
pub(crate) struct Login<'a> {
    pub(crate) counterpart: &'a Counterpart,
    pub(crate) sessions: &'a Sessions,
    pub(crate) place: &'a Place,
    pub(crate) user: &'a str,
}

impl Kills {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_else(rand::random);
        let random = SmallRng::seed_from_u64(seed);
        Self { seed, random, killed: 0, explained: 0, unexplained: 0 }
    }

    /// Kills one process, looks at what that has cost, and starts another in its place.
    pub(crate) async fn one(
        &mut self,
        fleet: &mut Fleet,
        login: &Login<'_>,
        delay: Duration,
    ) -> Result<(), BoxError> {
        // Lost since the last kill was looked into: by something else.
        if login.stored().await?.is_none() {
            self.unexplained += 1;
            login.again().await?;
        }
        fleet.kill(self.random.random_range(0..fleet.len())).await?;
        self.killed += 1;
        // A request that had been sent is answered to nobody.
        sleep(delay).await;
        if login.is_lost().await? {
            self.explained += 1;
            login.again().await?;
        }
        fleet.add()
    }

    pub(crate) fn print(&self) {
        println!("\nprocesses killed: {}", self.killed);
        println!(
            "logins lost, since the kill fell between the answer and the commit: {}",
            self.explained
        );
        println!("logins lost otherwise: {}", self.unexplained);
    }
}

impl Login<'_> {
    /// The stored token; `None` where the login has ended.
    async fn stored(&self) -> Result<Option<Token>, BoxError> {
        let Counterpart { token_url, client_id, .. } = self.counterpart;
        let key = TokenKey::new(token_url, client_id, self.user);
        match self.place.open().await?.load(&key).await? {
            Some(record) => Ok(serde_json::from_str(record.json())?),
            None => Ok(None),
        }
    }

    /// Whether the stored refresh token is void, and stays so.
    async fn is_lost(&self) -> Result<bool, BoxError> {
        let mut before = None;
        for _ in 0..LOOKS {
            let Some(stored) = self.stored().await? else { return Ok(true) };
            let refresh_token = stored.refresh_token().unwrap_or_default().to_owned();
            let renewed = before.as_ref().is_some_and(|before| *before != refresh_token);
            if renewed || self.counterpart.takes(&refresh_token).await? {
                return Ok(false);
            }
            before = Some(refresh_token);
            sleep(LOOK).await;
        }
        Ok(true)
    }

    async fn again(&self) -> Result<(), BoxError> {
        let token = self.counterpart.log_in().await?;
        Ok(self.sessions.sign_in(self.user, token).await?)
    }
}
