//! Sessions in each way, with what goes wrong at the provider, the saver, and the resource server.

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{Error, Session, SessionBuilder, Token, TokenUpdated};

use crate::logins::{self, SECRET, app, world};
use crate::show::Show;
use crate::support::{World, pass};

pub async fn all(show: &Show) {
    let world = world(show).await;
    faults(show, &world).await;
    ways(show, &world).await;
    savers(show, &world).await;
    grants(show).await;
    show.provider(&world.provider);
}

fn builder(world: &World) -> SessionBuilder {
    Session::builder(app(world)).clock(world.clock.reader())
}

/// A refresh, and what a lost answer and a time limit need of time.
async fn refreshed(world: &World, session: &Session) -> Result<Token, Error> {
    let refresh = session.refresh();
    tokio::pin!(refresh);
    loop {
        tokio::select! {
            biased;
            outcome = &mut refresh => break outcome,
            () = world.round_trips() => pass(2).await,
        }
    }
}

async fn faults(show: &Show, world: &World) {
    let token = world.expired_token();
    show.token(&token);
    let builder = builder(world).token(token.clone());
    show.note(&builder);
    let session = builder.build();
    let echo = |status| Fault::Reply {
        status,
        content_type: "text/html".to_owned(),
        body: format!("no such token: {} for {SECRET}", token.refresh_token().unwrap()),
    };
    let elsewhere = format!("http://127.0.0.1:1/?refresh_token={}", token.refresh_token().unwrap());
    for fault in [
        echo(200),
        echo(503),
        Fault::Garbage,
        Fault::EndlessBody,
        Fault::Hang,
        Fault::Drip,
        Fault::CutBefore,
        Fault::Status(500),
        Fault::TooManyRequests { retry_after: "1".to_owned() },
        Fault::OAuthError { status: 400, code: "temporarily_unavailable".to_owned() },
        Fault::Redirect { status: 307, location: elsewhere },
        Fault::CutAfter,
    ] {
        world.provider.fail_next(fault);
        show.outcome(&refreshed(world, &session).await);
        pass(60).await;
    }
    // By now the provider has ended the login.
    show.outcome(&refreshed(world, &session).await);
    for fault in [Fault::Garbage, Fault::Status(404)] {
        world.provider.fail_metadata(fault);
        let found = reqwest_oauth2::OAuthClient::discover(world.provider.issuer(), "foo").await;
        show.error(&found.unwrap_err());
    }
}

async fn ways(show: &Show, world: &World) {
    let (token, expired) = (world.token(), world.expired_token());
    let manual = builder(world).token(expired).manual().build();
    show.error(&manual.token().await.unwrap_err());
    show.outcome(&manual.refresh().await);
    let session = builder(world).token(token).build();
    let middleware = session.middleware([world.provider.origin()]).unwrap();
    show.note(&middleware);
    show.note(&reqwest_oauth2::Origins::new([world.provider.origin()]).unwrap());
    let mut updates = session.subscribe();
    show.note(&updates);
    show.note(&session.keep_fresh().unwrap());
    let http = world.http(&session);
    world.provider.revoke_access_tokens();
    let response = http.get(world.provider.api_url()).send().await.unwrap();
    show.note(&response);
    show.note(response.extensions().get::<TokenUpdated>().unwrap());
    show.token(&updates.next().await.unwrap());
    show.note(&session.header().unwrap());
    world.provider.reject_all(true);
    for _ in 0..3 {
        show.note(&http.get(world.provider.api_url()).send().await.unwrap());
    }
    world.provider.reject_all(false);
    show.token(&session.current().unwrap());
    session.sign_out().await.unwrap();
    let refused = http.get(world.provider.api_url()).send().await.unwrap_err();
    show.error(Error::find_in(&refused).unwrap());
    session.shutdown().await.unwrap();
    show.note(&session);
}

/// An error that says the token, as a database's may that prints what it was to store.
#[derive(Debug, thiserror::Error)]
#[error("cannot store {0}")]
struct Telling(String, #[source] std::io::Error);

async fn savers(show: &Show, world: &World) {
    let says = |token: &Token| {
        let json = serde_json::to_string(token).unwrap();
        Telling(json, std::io::Error::other(token.refresh_token().unwrap().to_owned()))
    };
    for strict in [false, true] {
        let saver = move |token: Token| {
            let error = says(&token);
            async move { Err::<(), _>(error) }
        };
        let builder = builder(world).token(world.expired_token()).on_refresh(saver);
        let builder = if strict { builder.strict_saving() } else { builder };
        let session = builder.build();
        show.outcome(&session.refresh().await);
        show.error(&session.save_error().unwrap());
        if let Err(error) = session.shutdown().await {
            show.error(&error);
        }
        show.note(&session);
    }
    let panics = |_: Token| async {
        assert!(std::hint::black_box(false), "a saver, on purpose");
        Ok::<(), std::io::Error>(())
    };
    let session = builder(world).token(world.expired_token()).on_refresh(panics).build();
    show.outcome(&session.refresh().await);
    show.error(&session.save_error().unwrap());
}

async fn grants(show: &Show) {
    for error in [Error::transient("the vault is closed"), Error::permanent("no such role")] {
        let session = Session::from_grant(move || {
            let error = error.clone();
            async move { Err::<Token, _>(error) }
        });
        show.error(&session.build().token().await.unwrap_err());
    }
    let text = logins::QUERY;
    let error = reqwest_oauth2::OAuthClient::new("foo", format!("ftp://a?{text}")).unwrap_err();
    show.error(&error);
}
