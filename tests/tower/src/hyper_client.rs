//! The layer around hyper's client.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use http::Request;
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use reqwest_oauth2::store::MemoryStore;
use reqwest_oauth2::tower::OAuthLayer;
use reqwest_oauth2::{Error, RequestOptions, SentWithoutToken, TokenUpdated, UserId, UserSessions};
use tower::{Layer, ServiceExt};

use crate::support::{World, get, hyper, post, send};

#[tokio::test]
async fn listed_origins_get_the_token_and_no_others() {
    let (world, other) = (World::new().await, World::new().await);
    let session = world.session().token(world.token()).build();
    let service = world.hyper(&session);
    assert_eq!(send(&service, get(world.provider.api_url())).await.unwrap().status(), 200);
    assert_eq!(send(&service, get(other.provider.api_url())).await.unwrap().status(), 401);
    assert_eq!(world.shown(), [Some(session.token().await.unwrap().access_token().to_owned())]);
    assert_eq!(other.shown(), [None]);
    assert_eq!((world.token_requests(), other.token_requests()), (0, 0));
}

#[tokio::test]
async fn a_header_of_the_requests_own_stays() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let mut request = get(world.provider.api_url());
    request.headers_mut().insert("authorization", "Bearer own".parse().unwrap());
    assert_eq!(send(&world.hyper(&session), request).await.unwrap().status(), 401);
    assert_eq!(world.shown(), [Some("own".to_owned())]);
    assert_eq!(world.token_requests(), 0);
}

#[tokio::test]
async fn an_expired_token_is_renewed_before() {
    let world = World::new().await;
    let session = world.session().token(world.expired_token()).build();
    let service = world.hyper(&session);
    let response = send(&service, get(world.provider.api_url())).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(world.token_requests(), 1);
    let TokenUpdated(token) = response.extensions().get().unwrap();
    assert_eq!(world.saved(), [token.access_token()]);
    drop(response);
    let response = send(&service, get(world.provider.api_url())).await.unwrap();
    assert!(response.extensions().get::<TokenUpdated>().is_none());
}

#[tokio::test]
async fn a_401_renews_and_the_request_is_sent_again_as_it_was() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    world.provider.revoke_access_tokens();
    let request = post(world.provider.api_url() + "/x?y=1", "the body");
    assert_eq!(send(&world.hyper(&session), request).await.unwrap().status(), 200);
    assert_eq!(world.token_requests(), 1);
    let seen = world.provider.api_requests();
    assert_eq!(seen.len(), 2);
    for request in &seen {
        assert_eq!((&*request.body, &*request.path_and_query), (&b"the body"[..], "/api/x?y=1"));
        assert_eq!(request.method, "POST");
    }
    assert_eq!(world.shown()[1], world.saved().pop());
}

#[tokio::test]
async fn five_401s_renew_once() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let service = world.hyper(&session);
    world.provider.revoke_access_tokens();
    let hold = world.provider.pause_api();
    let calls = (0..5).map(|_| {
        let (service, url) = (service.clone(), world.provider.api_url());
        tokio::spawn(async move { send(&service, get(url)).await.unwrap().status() })
    });
    let calls: Vec<_> = calls.collect();
    // Judged on arrival, answered when the hold is gone.
    world.provider.wait_for_api_requests(5).await;
    drop(hold);
    for status in join_all(calls).await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(world.token_requests(), 1);
    assert_eq!(world.shown().len(), 10);
}

type StreamOfBytes = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

fn streamed(url: String) -> Request<StreamOfBytes> {
    let frames = ["the ", "body"].map(|text| Ok(Frame::data(Bytes::from(text))));
    Request::post(url).body(StreamBody::new(stream::iter(Vec::from(frames)))).unwrap()
}

#[tokio::test]
async fn a_stream_is_sent_once_and_the_next_request_renews() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let service = world.layer(&session).send_once().layer(hyper::<StreamOfBytes>());
    world.provider.revoke_access_tokens();
    let url = world.provider.api_url();
    assert_eq!(send(&service, streamed(url.clone())).await.unwrap().status(), 401);
    assert_eq!(world.token_requests(), 0);
    assert_eq!(send(&service, streamed(url)).await.unwrap().status(), 200);
    assert_eq!(world.token_requests(), 1);
    let seen = world.provider.api_requests();
    assert!(seen.iter().all(|request| &*request.body == b"the body"));
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn the_application_says_how_a_body_is_made_again() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    // Those of the test are all alike.
    let layer = world
        .layer(&session)
        .clone_body(|_: &StreamOfBytes| Some(streamed("http://127.0.0.1/".to_owned()).into_body()));
    let service = layer.layer(hyper::<StreamOfBytes>());
    world.provider.revoke_access_tokens();
    assert_eq!(send(&service, streamed(world.provider.api_url())).await.unwrap().status(), 200);
    assert_eq!(world.token_requests(), 1);
    let seen = world.provider.api_requests();
    assert!(seen.iter().all(|request| &*request.body == b"the body"));
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn one_request_may_be_different() {
    let world = World::new().await;
    let session = world.session().build();
    let service = world.hyper(&session);
    let with = |options: RequestOptions| {
        let mut request = get(world.provider.api_url());
        request.extensions_mut().insert(options);
        request
    };
    let response = send(&service, with(RequestOptions::new().no_token())).await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(response.extensions().get::<SentWithoutToken>().is_none());
    let response = send(&service, with(RequestOptions::new().token_if_any())).await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(response.extensions().get::<SentWithoutToken>().is_some());
    assert_eq!(world.shown(), [None, None]);

    session.set_token(world.token()).await.unwrap();
    world.provider.revoke_access_tokens();
    let response = send(&service, with(RequestOptions::new().send_once())).await.unwrap();
    assert_eq!((response.status().as_u16(), world.token_requests()), (401, 0));
    let hold = world.provider.pause_token_requests();
    let options = RequestOptions::new().wait_at_most(Duration::from_millis(1));
    let error = send(&service, with(options)).await.unwrap_err();
    assert!(Error::find_in(&*error).unwrap().is_timeout(), "{error}");
    drop(hold);
    assert_eq!(world.shown().len(), 3);
}

#[tokio::test]
async fn each_user_has_a_token() {
    let world = World::new().await;
    let sessions = UserSessions::builder(world.app()).store(MemoryStore::new()).build();
    let mut tokens = Vec::new();
    for user in ["alice", "bob"] {
        let token = world.token();
        tokens.push(Some(token.access_token().to_owned()));
        sessions.sign_in(user, token).await.unwrap();
    }
    let service = sessions.tower_layer([world.provider.origin()]).unwrap().layer(hyper());
    for user in ["alice", "bob"] {
        let mut request = get(world.provider.api_url());
        request.extensions_mut().insert(UserId::from(user));
        assert_eq!(send(&service, request).await.unwrap().status(), 200);
    }
    assert_eq!(world.shown(), tokens);
    let error = send(&service, get(world.provider.api_url())).await.unwrap_err();
    assert!(error.downcast_ref::<Error>().unwrap().is_config(), "{error}");
}

#[tokio::test]
async fn errors_pass_as_they_are() {
    let world = World::new().await;
    let session = world.session().build();
    let error = send(&world.hyper(&session), get(world.provider.api_url())).await.unwrap_err();
    assert!(error.downcast_ref::<Error>().unwrap().is_reauthorization_required(), "{error}");
    assert_eq!(world.shown().len(), 0);

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let service = world.hyper(&session);
    let error = send(&service, get(format!("http://{nobody}/"))).await.unwrap_err();
    let of_hyper = error.downcast_ref::<hyper_util::client::legacy::Error>().unwrap();
    assert!(of_hyper.is_connect(), "{error}");
}

#[tokio::test]
async fn the_token_may_go_elsewhere_in_the_request() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let api = || session.api([world.provider.origin()]).unwrap();
    let first = session.token().await.unwrap();
    let url = world.provider.api_url();
    for (api, asked, expected) in [
        (api().scheme("token").unwrap(), "/x", "/api/x"),
        (api().query_parameter("at").unwrap(), "/x", "/api/x?at={}"),
        (api().query_parameter("at").unwrap(), "/x?y=1&z", "/api/x?y=1&z&at={}"),
    ] {
        // The provider takes it nowhere else, so the request is sent again with another token.
        let before = world.shown().len();
        let service = OAuthLayer::from(api).layer(hyper());
        send(&service, get(url.clone() + asked)).await.unwrap();
        for request in &world.provider.api_requests()[before..] {
            let written = request.authorization.as_deref().and_then(|value| value.split_once(' '));
            let token = match written {
                Some(("token", token)) => token.to_owned(),
                Some(_) => panic!("{written:?}"),
                None => request.path_and_query.rsplit_once('=').unwrap().1.to_owned(),
            };
            assert_eq!(request.path_and_query, expected.replace("{}", &token));
            assert!(token == first.access_token() || world.saved().contains(&token));
        }
    }
}

#[tokio::test]
async fn the_application_says_which_responses_reject_the_token() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    // The provider answers 200 to the first token too.
    let rejected = session.token().await.unwrap().access_token().to_owned();
    let api = session.api([world.provider.origin()]).unwrap();
    let seen = world.provider.clone();
    let api = api.rejected_when(move |status, _| {
        let shown = seen.api_requests().pop().and_then(|request| request.authorization);
        status == 200 && shown == Some(format!("Bearer {rejected}"))
    });
    let service = OAuthLayer::from(api).layer(hyper::<Full<Bytes>>());
    assert_eq!(send(&service, get(world.provider.api_url())).await.unwrap().status(), 200);
    assert_eq!((world.token_requests(), world.shown().len()), (1, 2));
}

#[tokio::test]
async fn the_service_below_sees_the_extensions_of_a_request_each_time_that_it_is_sent() {
    #[derive(Clone, PartialEq, Debug)]
    struct TraceId(u32);
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let below = tower::service_fn({
        let seen = seen.clone();
        move |mut request: Request<Full<Bytes>>| {
            let trace_id = request.extensions_mut().remove::<TraceId>();
            let has_options = request.extensions().get::<RequestOptions>().is_some();
            seen.lock().unwrap().push((trace_id, has_options));
            hyper().oneshot(request)
        }
    });
    let service = world.layer(&session).layer(below);
    world.provider.revoke_access_tokens();
    let mut request = get(world.provider.api_url());
    request.extensions_mut().insert(TraceId(7));
    request.extensions_mut().insert(RequestOptions::new());
    assert_eq!(send(&service, request).await.unwrap().status(), 200);
    assert_eq!(*seen.lock().unwrap(), vec![(Some(TraceId(7)), true); 2]);
    // A request that passes unchanged keeps them too.
    let mut request = get(world.provider.api_url());
    request.extensions_mut().insert(TraceId(8));
    request.extensions_mut().insert(RequestOptions::new().no_token());
    assert_eq!(send(&service, request).await.unwrap().status(), 401);
    assert_eq!(seen.lock().unwrap().pop(), Some((Some(TraceId(8)), true)));
}
