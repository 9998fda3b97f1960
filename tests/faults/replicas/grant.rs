//! A grant that issues tokens without refresh tokens, and fails in every way.

use std::time::Duration;

use async_trait::async_trait;
use reqwest_oauth2::{Error, Grant, GrantContext, Token};

use super::world::{World, pause};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantFault {
    Transient,
    Refused,
    Hang,
    Panic,
}

impl GrantFault {
    pub fn name(self) -> &'static str {
        match self {
            Self::Transient => "grant: fails",
            Self::Refused => "grant: refused",
            Self::Hang => "grant: hangs",
            Self::Panic => "grant: panics",
        }
    }
}

pub struct FaultyGrant {
    pub world: World,
    pub process: usize,
    pub user: u32,
}

struct UnderWay(World, Duration);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.with(|state| state.model.grant_answered(self.1));
    }
}

#[async_trait]
impl Grant for FaultyGrant {
    async fn token(&self, _: &GrantContext<'_>) -> Result<Token, Error> {
        let (since, fault, wait) = self.world.with(|state| {
            let since = state.model.grant_asked();
            let fault = state.grant.take();
            if let Some(fault) = fault {
                state.model.coverage.count(fault.name());
                state.model.provider_failed();
            }
            (since, fault, state.wait(&[0, 1, 40, 300]))
        });
        let under_way = UnderWay(self.world.clone(), since);
        pause(wait).await;
        match fault {
            Some(GrantFault::Transient) => return Err(Error::transient("the vault is sealed")),
            Some(GrantFault::Refused) => {
                self.world.with(|state| state.model.grant_refused());
                return Err(Error::permanent("the key is revoked"));
            }
            Some(GrantFault::Hang) => std::future::pending().await,
            Some(GrantFault::Panic) => std::panic::resume_unwind(Box::new("on purpose")),
            None => {}
        }
        let life = self.world.with(|state| state.provider.lifetime).unwrap_or(3600);
        let (_, token) = self.world.log_in(self.user, self.process, life);
        drop(under_way);
        Ok(token)
    }
}
