//! A saver that cannot save is noticed before a refresh token is presented.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use reqwest_oauth2::{BoxError, Session, Token, TokenSaver};

use crate::support::{Saved, World, ours, pass};

/// What the saver says when it is asked.
#[derive(Clone, Copy, PartialEq)]
enum Says {
    Yes,
    No,
    Nothing,
    Panic,
}

#[derive(Clone)]
struct Disk {
    says: Arc<Mutex<Says>>,
    checks: Arc<AtomicUsize>,
    saved: Saved,
}

impl Disk {
    fn new(says: Says) -> Self {
        Self { says: Arc::new(Mutex::new(says)), checks: Arc::default(), saved: Saved::default() }
    }

    fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn checks(&self) -> usize {
        self.checks.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl TokenSaver for Disk {
    async fn save(&self, token: Token) -> Result<(), BoxError> {
        self.saved.push(token);
        Ok(())
    }

    async fn check(&self) -> Result<(), BoxError> {
        self.checks.fetch_add(1, Ordering::SeqCst);
        let says = *self.says.lock().unwrap();
        match says {
            Says::Yes => Ok(()),
            Says::No => Err("the disk is full".into()),
            Says::Nothing => std::future::pending().await,
            Says::Panic => panic!("the saver panics"),
        }
    }
}

fn session(world: &World, token: Token, disk: &Disk) -> Session {
    let app = world.session().token(token).saver(disk.clone());
    app.on_sign_out(|| async { Ok::<(), std::io::Error>(()) }).build()
}

#[tokio::test]
async fn an_expired_token_is_not_renewed_before_the_saver_can_save() {
    for (says, cause) in [
        (Says::No, "the disk is full"),
        (Says::Panic, "the saver panicked; see the panic message on stderr"),
        (Says::Nothing, "its check took longer than 5s"),
    ] {
        let world = World::new().await;
        let disk = Disk::new(says);
        let session = session(&world, world.expired_token(), &disk);
        let waiting = tokio::spawn({
            let session = session.clone();
            async move { session.token().await }
        });
        world.round_trips().await;
        pass(5).await;
        let error = waiting.await.unwrap().unwrap_err();
        assert!(error.is_save() && error.is_transient(), "{error:?}");
        assert_eq!(
            error.to_string(),
            "the saver cannot save now, so no refresh token was presented; it is tried again"
        );
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), cause);
        assert_eq!(world.provider.counts().token_requests, 0);
        disk.says(Says::Yes);
        pass(3600).await;
        session.token().await.unwrap();
        assert_eq!((world.provider.counts().token_requests, disk.checks()), (1, 2));
        assert_eq!(disk.saved.count(), 1);
    }
}

#[tokio::test]
async fn requests_go_on_with_a_token_that_is_good() {
    let world = World::new().await;
    let disk = Disk::new(Says::No);
    let token = world.token();
    let session = session(&world, token.clone(), &disk);
    world.clock.forward(3550.0);
    let http = world.http(&session);
    for _ in 0..3 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
        world.round_trips().await;
    }
    assert_eq!(world.shown(), [token.access_token(); 3]);
    assert_eq!((world.provider.counts().token_requests, disk.checks()), (0, 1), "with backoff");
    world.clock.forward(50.0);
    assert!(ours(&world.get(&http).await.unwrap_err()).is_save());
    assert_eq!(world.provider.counts().token_requests, 0);
}

/// A grant asks for a new token each time: there is nothing to lose.
#[tokio::test]
async fn a_grant_is_asked_all_the_same() {
    let world = World::new().await;
    let disk = Disk::new(Says::No);
    let grant = reqwest_oauth2::ClientCredentials::new();
    let session = world.session().grant(grant).saver(disk.clone()).build();
    session.token().await.unwrap();
    assert_eq!((disk.checks(), disk.saved.count()), (0, 1));
}
