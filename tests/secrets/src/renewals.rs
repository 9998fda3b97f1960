//! Renewals that go well, fail in every way, and echo what they were sent.

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::tower::{CloneBodies, OAuthLayer, SendOnce};
use reqwest_oauth2::{
    HttpClient, Origins, PublicResolver, ReplayBody, RequestOptions, SentWithoutToken, Session,
    Token,
};
use tower_layer::Layer;

use crate::log::Log;
use crate::secrets::Secrets;
use crate::support::{self, World};

pub async fn run(log: &Log, secrets: &mut Secrets) {
    let world = World::new().await;
    let token = world.expired_token();
    secrets.plant_token(&token);

    let key = secrets.plant("key in a URL", "qu3ry-of-the-token-url");
    // A secret in the query of the token endpoint, too.
    let app = reqwest_oauth2::OAuthClient::new("foo", world.provider.token_url() + "?key=" + &key)
        .unwrap()
        .secret("potato");
    // An application's error that repeats what it was to save.
    let saver = |token: Token| async move {
        Err::<(), _>(std::io::Error::other(format!("cannot write {}", token.access_token())))
    };
    let builder = Session::builder(app.clone())
        .clock(world.clock.reader())
        .token(token.clone())
        .on_new_token(saver);
    log.show(&builder);
    let session = builder.build();
    let http = world.http(&session);
    let echo = |status| Fault::Reply {
        status,
        content_type: "text/html".to_owned(),
        body: format!("no such token: {} for potato", token.refresh_token().unwrap()),
    };
    for fault in [
        echo(200),
        echo(503),
        Fault::Reply {
            status: 503,
            content_type: "application/json".to_owned(),
            body: serde_json::json!({
                "error": token.refresh_token(),
                "error_description": format!("{} is not potato", token.refresh_token().unwrap()),
            })
            .to_string(),
        },
        Fault::HtmlPage,
        Fault::CloseBeforeIssue,
    ] {
        world.provider.fail_next(fault);
        let refresh = session.refresh();
        tokio::pin!(refresh);
        // Time for the second attempt, after the one that was cut off.
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut refresh => break outcome,
                () = world.round_trips() => support::pass(1).await,
            }
        };
        match outcome {
            Ok(token) => {
                secrets.plant_token(&token);
                log.show(&token);
            }
            Err(error) => log.show_error(&error),
        }
        support::pass(60).await;
    }
    assert_eq!(http.get(world.provider.api_url()).send().await.unwrap().status(), 200);
    world.provider.revoke_access_tokens();
    let response = http.get(world.provider.api_url()).send().await.unwrap();
    log.show(response.extensions().get::<reqwest_oauth2::TokenUpdated>().unwrap());
    let current = session.token().await.unwrap();
    secrets.plant_token(&current);
    log.show_error(&session.save_error().unwrap());
    world.provider.revoke_families();
    log.show_error(&session.refresh().await.unwrap_err());
    log.show(&app);
    log.show(&HttpClient::from(support::plain_http()));
    log.show(&PublicResolver::default());
    let bare = world.http(&Session::builder(world.app()).build());
    let options = RequestOptions::new().token_if_any();
    let response = bare.get(world.provider.api_url()).with_extension(options).send().await.unwrap();
    log.show(response.extensions().get::<SentWithoutToken>().unwrap());
    let body = secrets.plant("request body", "b0dy-of-a-request");
    log.show(&ReplayBody::new(move || body.clone().into()));
    log.show(&session);
    log.show(&session.subscribe());
    log.show(&session.keep_fresh().unwrap());
    log.show(&session.middleware([world.provider.origin()]).unwrap());
    let api = session.api([world.provider.origin()]).unwrap();
    log.show(&api);
    let layer = OAuthLayer::from(api.clone()).connected_to(world.provider.origin()).unwrap();
    log.show(&layer);
    let runtime = reqwest_oauth2::blocking::Runtime::new().unwrap();
    log.show(&runtime);
    log.show(&runtime.session(session.clone()));
    log.show(&runtime.api(api.clone()));
    log.show(&layer.layer("a service"));
    log.show(&CloneBodies);
    log.show(&SendOnce);
    log.show(&RequestOptions::new().user("alice"));
    // Of a request whose URL has the token, when nobody answers.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{nobody}");
    let api = session.api([&nobody]).unwrap().query_parameter("access_token").unwrap();
    let request = support::plain_http().get(&nobody).build().unwrap();
    let options = RequestOptions::new();
    log.show_error(&api.execute_with(&support::plain_http(), request, options).await.unwrap_err());
    log.show(&Origins::new([world.provider.origin()]).unwrap());
    let (code, assertion) = ("c0de-of-a-request", "ass3rtion-of-a-request");
    log.show(&app.token_request("x").param("code", code).extra_param("assertion", assertion));
    secrets.plant("code", code);
    secrets.plant("assertion", assertion);
    for request in world.provider.api_requests() {
        log.show(&request);
    }
    log.show(&world.provider);
}
