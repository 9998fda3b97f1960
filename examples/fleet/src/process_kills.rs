//! Processes that are killed, and what that costs.
//!
//! A process that dies between the provider's answer and the commit takes the new refresh token with it:
//! nobody else has seen it, and the stored one has been used. That login is lost, with any client. It is
//! told apart from every other loss like this: right after the kill, before another session may renew (the dead
//! process's lease stands for a second), the stored refresh token is one that the provider no longer
//! takes, and stays so although nobody renews.

use std::time::Duration;

use futures_util::future::try_join_all;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest_oauth2::{BoxError, Token, UserId};
use tokio::time::sleep;

use crate::logins::Logins;
use crate::worker::Fleet;

/// Between looks at the store.
const LOOK: Duration = Duration::from_millis(50);
/// How many looks must agree.
const LOOKS: u32 = 6;

pub(crate) struct ProcessKills {
    pub(crate) seed: u64,
    random: SmallRng,
    killed: u32,
    explained: u32,
    pub(crate) unexplained: u32,
}

impl ProcessKills {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_else(rand::random);
        let random = SmallRng::seed_from_u64(seed);
        Self { seed, random, killed: 0, explained: 0, unexplained: 0 }
    }

    /// Kills one process, looks at what that has cost, and starts another in its place.
    pub(crate) async fn one(
        &mut self,
        fleet: &mut Fleet,
        logins: &Logins<'_>,
        delay: Duration,
    ) -> Result<(), BoxError> {
        for user in &logins.users {
            // Lost since the last kill was looked into: by something else.
            if logins.stored(user).await?.is_none() {
                self.unexplained += 1;
                logins.again(user).await?;
            }
        }
        fleet.kill(self.random.random_range(0..fleet.len())).await?;
        self.killed += 1;
        // A request that had been sent is answered to nobody.
        sleep(delay).await;
        for lost in try_join_all(logins.users.iter().map(|user| lost(logins, user))).await? {
            self.explained += u32::from(lost);
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

/// Whether the stored refresh token is void, and stays so. Then the user logs in again.
async fn lost(logins: &Logins<'_>, user: &UserId) -> Result<bool, BoxError> {
    let mut before = None;
    for _ in 0..LOOKS {
        let stored = logins.stored(user).await?;
        let refresh_token = stored.as_ref().and_then(Token::refresh_token).map(str::to_owned);
        let renewed = before.as_ref().is_some_and(|before| *before != refresh_token);
        let taken = match &refresh_token {
            Some(refresh_token) => logins.provider.takes(refresh_token).await?,
            None => false,
        };
        if renewed || taken {
            return Ok(false);
        }
        before = Some(refresh_token);
        sleep(LOOK).await;
    }
    logins.again(user).await?;
    Ok(true)
}
