//! The saver: it writes when its call ends, unless it is in trouble.

use std::time::Duration;

use async_trait::async_trait;
use reqwest_oauth2::{Token, TokenSaver};

use crate::serial::Serial;
use crate::trouble::SaverTrouble;
use crate::world::{World, pause};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub struct Saver(pub World);

/// A call, until it ends: well, or in any other way.
struct Running {
    world: World,
    token: Option<Serial>,
    well: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.world.with(|state| state.model.save_ended(self.token, self.well));
    }
}

#[async_trait]
impl TokenSaver for Saver {
    async fn save(&self, token: Token) -> Result<(), BoxError> {
        self.call(Serial::read(token.access_token())).await
    }

    async fn delete(&self) -> Result<(), BoxError> {
        self.call(None).await
    }
}

impl Saver {
    async fn call(&self, token: Option<Serial>) -> Result<(), BoxError> {
        let (wait, trouble) = self.0.with(|state| {
            state.model.save_began(token);
            let trouble = state.saver.take();
            if let Some(trouble) = trouble {
                state.model.tally.count(trouble.name());
                state.model.save_in_trouble();
            }
            (state.wait(&[0, 0, 1, 20, 1_000]), trouble)
        });
        let mut running = Running { world: self.0.clone(), token, well: false };
        pause(wait).await;
        match trouble {
            None => {}
            Some(SaverTrouble::Error) => return Err("the disk is full".into()),
            Some(SaverTrouble::ErrorAfterWrite) => {
                self.0.with(|state| state.model.wrote(token));
                return Err("the connection is closed".into());
            }
            // Past the panic hook, which would print it.
            Some(SaverTrouble::Panic) => std::panic::resume_unwind(Box::new("on purpose")),
            Some(SaverTrouble::Hang) => std::future::pending().await,
            Some(SaverTrouble::Slow) => pause(Duration::from_secs(7)).await,
        }
        self.0.with(|state| state.model.wrote(token));
        running.well = true;
        Ok(())
    }
}
