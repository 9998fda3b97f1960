//! The saver: it writes when its call ends, unless it is in trouble.

use std::time::Duration;

use async_trait::async_trait;
use reqwest_oauth2::{Token, TokenSaver};

use crate::fault_state::SaverTrouble;
use crate::token_serial::TokenSerial;
use crate::world::{World, pause};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub struct Saver(pub World);

/// A call, until it ends: well, or in any other way.
struct Running {
    world: World,
    id: u32,
    well: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.world.with(|state| state.model.save_ended(self.id, self.well));
    }
}

#[async_trait]
impl TokenSaver for Saver {
    async fn save(&self, token: Token) -> Result<(), BoxError> {
        self.call(TokenSerial::read(token.access_token())).await
    }

    async fn delete(&self) -> Result<(), BoxError> {
        self.call(None).await
    }
}

impl Saver {
    async fn call(&self, token: Option<TokenSerial>) -> Result<(), BoxError> {
        let (id, wait, trouble, recovered) = self.0.with(|state| {
            let id = state.model.save_began(token);
            let trouble = state.saver.take();
            if let Some(trouble) = trouble {
                state.model.coverage.count(trouble.name());
                state.model.save_in_trouble();
            }
            let hangs = trouble == Some(SaverTrouble::Hang);
            let recovered = hangs.then(|| state.hangs_in_saver()).flatten();
            (id, state.wait(&[0, 0, 1, 20, 1_000]), trouble, recovered)
        });
        let mut running = Running { world: self.0.clone(), id, well: false };
        pause(wait).await;
        match trouble {
            None => {}
            Some(SaverTrouble::Error) => return Err("the disk is full".into()),
            Some(SaverTrouble::ErrorAfterWrite) => {
                self.0.with(|state| state.model.wrote(id));
                return Err("the connection is closed".into());
            }
            // Past the panic hook, which would print it.
            Some(SaverTrouble::Panic) => std::panic::resume_unwind(Box::new("on purpose")),
            Some(SaverTrouble::Hang) => {
                let Some(recovered) = recovered else { return std::future::pending().await };
                recovered.await;
            }
            Some(SaverTrouble::Slow) => pause(Duration::from_secs(7)).await,
        }
        self.0.with(|state| state.model.wrote(id));
        running.well = true;
        Ok(())
    }
}
