//! Revocation, introspection, the end of a login.

use reqwest_oauth2::testing::{AuthMethod, Fault, MetadataDocument};
use reqwest_oauth2::{OAuthClient, TokenTypeHint};

use crate::log::Log;
use crate::secrets::Secrets;
use crate::support::World;

pub async fn run(log: &Log, secrets: &mut Secrets) {
    let world = World::new().await;
    let app: OAuthClient = world.app();
    let app = app
        .revocation_endpoint(world.provider.revocation_url())
        .unwrap()
        .introspection_endpoint(world.provider.introspection_url())
        .unwrap();
    let token = world.token();
    secrets.plant_token(&token);
    for kind in [TokenTypeHint::AccessToken, TokenTypeHint::RefreshToken] {
        log.show(&kind);
        log.show(&app.introspect(token.access_token(), kind).await.unwrap());
    }
    world.provider.answer_next_introspection(format!(r#"["{}"]"#, token.access_token()));
    let refused = app.introspect(token.access_token(), TokenTypeHint::AccessToken).await;
    log.show_error(&refused.unwrap_err());
    world.provider.fail_next_revocation(503, None);
    let refused = app.revoke(token.refresh_token().unwrap(), TokenTypeHint::RefreshToken).await;
    log.show_error(&refused.unwrap_err());

    let session = reqwest_oauth2::Session::builder(app)
        .clock(world.clock.reader())
        .token(token.clone())
        .on_sign_out(|| async { Err::<(), _>(std::io::Error::other("the disk is full")) })
        .build();
    if let Err(error) = session.sign_out().await {
        log.show_error(&error);
    }
    log.show_error(&session.token().await.unwrap_err());
    log.show(&session);
    for fault in [Fault::CloseAfterIssue, Fault::Hang] {
        log.show(&fault);
    }
    log.show(&world.provider.counts());
    log.show(&AuthMethod::ClientSecretBasic);
    log.show(&MetadataDocument::OAuth);
    log.show(&world.provider.pause_token_requests());
    log.show(&reqwest_oauth2::testing::Provider::builder().client("foo", "potato"));
}
