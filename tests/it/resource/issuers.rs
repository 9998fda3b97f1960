//! The issuer in the callback (RFC 9207).

use reqwest_oauth2::{Error, OAuthClient};

use crate::login::browse;
use crate::support::World;

const CALLBACK: &str = "https://me.example/cb";

/// A login at a provider that says whether its callbacks have `iss`, and whose callback has this one.
async fn login(
    advertised: bool,
    iss: impl FnOnce(&World) -> Option<String>,
) -> (World, Result<(), Error>) {
    let world = World::with(|p| p.redirect_uri(CALLBACK).send_iss(advertised)).await;
    let app = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap();
    let app = app.secret("potato").clock(world.clock.reader());
    let iss = iss(&world);
    world.provider.tamper_next_callback(|params| {
        params.retain(|(name, _)| name != "iss");
        params.extend(iss.map(|iss| ("iss".to_owned(), iss)));
    });
    let login = app.authorization_code(CALLBACK).unwrap().begin().unwrap();
    let callback = browse(login.url()).await;
    let outcome = login.finish(&app, callback).await.map(drop);
    (world, outcome)
}

#[track_caller]
fn refused((world, outcome): (World, Result<(), Error>), why: &str) {
    let error = outcome.unwrap_err();
    assert!(error.is_callback() && error.to_string().contains(why), "{error}");
    assert_eq!(world.provider.counts().token_requests, 0, "the code was sent nowhere");
}

#[tokio::test]
async fn c9207_2_4_a_the_issuer_in_the_callback_is_the_one_asked() {
    for advertised in [true, false] {
        let (_, outcome) = login(advertised, |world| Some(world.provider.issuer())).await;
        assert!(outcome.is_ok());
        let slash = login(advertised, |world| Some(world.provider.issuer() + "/")).await;
        refused(slash, "it comes from another issuer");
        let other = login(advertised, |_| Some("https://evil.example".to_owned())).await;
        refused(other, "it comes from another issuer");
    }
}

#[tokio::test]
async fn c9207_2_4_b_advertised_and_absent_is_refused() {
    refused(login(true, |_| None).await, "it does not name its issuer");
}

#[tokio::test]
async fn c9207_2_4_c_unadvertised_it_may_be_absent_and_must_not_be_wrong() {
    assert!(login(false, |_| None).await.1.is_ok());
    let wrong = login(false, |_| Some("https://evil.example".to_owned())).await;
    refused(wrong, "it comes from another issuer");
}

#[tokio::test]
async fn c9207_2_4_d_an_error_of_another_issuer_is_not_believed() {
    let world = World::with(|p| p.redirect_uri(CALLBACK)).await;
    let app = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap();
    let app = app.secret("potato").clock(world.clock.reader());
    world.provider.tamper_next_callback(|params| {
        params.retain(|(name, _)| name == "state");
        params.push(("iss".to_owned(), "https://evil.example".to_owned()));
        params.push(("error".to_owned(), "access_denied".to_owned()));
    });
    let login = app.authorization_code(CALLBACK).unwrap().begin().unwrap();
    let callback = browse(login.url()).await;
    let error = login.finish(&app, callback).await.unwrap_err();
    assert!(error.is_callback() && error.error_code().is_none(), "{error}");
}

#[tokio::test]
async fn c9207_4_a_a_login_with_one_issuer_is_not_finished_with_another() {
    let (one, other) = (
        World::with(|p| p.redirect_uri(CALLBACK)).await,
        World::with(|p| p.redirect_uri(CALLBACK)).await,
    );
    let app = async |world: &World| {
        let app = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap();
        app.secret("potato").clock(world.clock.reader())
    };
    let (of_one, of_other) = (app(&one).await, app(&other).await);
    let login = of_one.authorization_code(CALLBACK).unwrap().begin().unwrap();
    let callback = browse(login.url()).await;
    assert!(login.finish(&of_other, callback).await.unwrap_err().is_config());
    assert_eq!(other.provider.counts().token_requests, 0);
}
