//! What is different for one request, with a stack and without.

use std::time::Duration;

use reqwest::{Body, Method, Request, Response};
use reqwest_oauth2::store::MemoryStore;
use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{
    Error, ReplayBody, RequestError, RequestOptions, SentWithoutToken, Session, UserSessions,
};

use crate::support::{World, pass, plain_http};

/// The request with these options, through the layer and by `execute_with`: both come to the same.
async fn send(world: &World, session: &Session, options: RequestOptions) -> [Response; 2] {
    let http = world.http(session);
    let through_layer = http.get(world.provider.api_url()).with_extension(options.clone());
    [through_layer.send().await.unwrap(), execute(world, session, options).await.unwrap()]
}

async fn execute(
    world: &World,
    session: &Session,
    options: RequestOptions,
) -> Result<Response, RequestError> {
    let request = Request::new(Method::GET, world.provider.api_url().parse().unwrap());
    session.execute_with(&plain_http(), request, options).await
}

fn is_marked(response: &Response) -> bool {
    response.extensions().get::<SentWithoutToken>().is_some()
}

#[tokio::test]
async fn no_token() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    for response in send(&world, &session, RequestOptions::new().no_token()).await {
        assert_eq!((response.status().as_u16(), is_marked(&response)), (401, false));
    }
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.api_requests), (0, 2));
    assert!(world.shown().is_empty());
}

#[tokio::test]
async fn a_token_if_there_is_one() {
    let world = World::new().await;
    let options = RequestOptions::new().token_if_any();
    let token = world.token();
    let session = world.session().token(token.clone()).build();
    for response in send(&world, &session, options.clone()).await {
        assert_eq!((response.status().as_u16(), is_marked(&response)), (200, false));
    }
    let nobody = world.session().build();
    let signed_out = world.session().token(world.token()).build();
    signed_out.sign_out_locally().await.unwrap();
    for session in [nobody, signed_out] {
        for response in send(&world, &session, options.clone()).await {
            assert_eq!((response.status().as_u16(), is_marked(&response)), (401, true));
        }
    }
    assert_eq!(world.shown(), [token.access_token(); 2]);
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn a_login_that_ends_with_the_renewal_leaves_the_request_bare() {
    for is_expired in [true, false] {
        let world = World::new().await;
        let token = if is_expired { world.expired_token() } else { world.token() };
        let session = world.saving().token(token).build();
        world.provider.revoke_access_tokens();
        world.provider.revoke_families();
        for response in send(&world, &session, RequestOptions::new().token_if_any()).await {
            assert!(is_marked(&response));
        }
        assert_eq!(world.provider.counts().token_requests, 1);
        let with_token = u64::from(!is_expired);
        assert_eq!(world.shown().len() as u64, with_token);
        assert_eq!(world.provider.counts().api_requests, 2 + with_token);
    }
}

#[tokio::test]
async fn a_renewal_that_fails_for_now_is_an_error_whatever_the_options() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    world.provider.fail_always(Fault::Status(503));
    let error = execute(&world, &session, RequestOptions::new().token_if_any()).await.unwrap_err();
    assert!(Error::find_in(&error).unwrap().is_transient());
    assert_eq!(world.provider.counts().api_requests, 0);
}

#[tokio::test]
async fn users_by_argument() {
    let world = World::new().await;
    let sessions = UserSessions::builder(world.app()).store(MemoryStore::new()).build();
    let token = world.token();
    sessions.sign_in("alice", token.clone()).await.unwrap();
    let (http, api) = (plain_http(), sessions.api([world.provider.origin()]).unwrap());
    let execute = async |options| {
        let request = http.get(world.provider.api_url()).build().unwrap();
        api.execute_with(&http, request, options).await
    };
    let if_any = RequestOptions::new().token_if_any();
    assert_eq!(execute(RequestOptions::new().user("alice")).await.unwrap().status(), 200);
    assert_eq!(execute(if_any.clone().user("alice")).await.unwrap().status(), 200);
    assert!(is_marked(&execute(if_any.clone().user("bob")).await.unwrap()));
    assert!(is_marked(&execute(if_any).await.unwrap()));
    let RequestError::Token(error) = execute(RequestOptions::new().user("bob")).await.unwrap_err()
    else {
        panic!("sent")
    };
    assert!(error.is_reauthorization_required());
    let RequestError::Token(error) = execute(RequestOptions::new()).await.unwrap_err() else {
        panic!("sent")
    };
    assert!(error.is_config());
    assert_eq!(world.shown(), [token.access_token(); 2]);
}

#[tokio::test]
async fn what_is_sent_once_gets_its_401_and_the_next_request_renews() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    world.provider.revoke_access_tokens();
    let once = RequestOptions::new().send_once();
    assert_eq!(execute(&world, &session, once.clone()).await.unwrap().status(), 401);
    assert_eq!(world.provider.counts().token_requests, 0);
    assert_eq!(execute(&world, &session, once).await.unwrap().status(), 200);
    assert_eq!(world.provider.counts().token_requests, 1);
    assert_eq!(world.provider.counts().api_requests, 2);
}

#[tokio::test]
async fn a_body_that_can_be_made_again_by_argument() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    world.provider.revoke_access_tokens();
    let body = ReplayBody::new(|| {
        let chunks = ["a ", "stream"].map(Ok::<_, std::io::Error>);
        Body::wrap_stream(futures_util::stream::iter(chunks))
    });
    let http = plain_http();
    let request = http.post(world.provider.api_url()).body(body.make()).build().unwrap();
    let options = RequestOptions::new().replay_body(body);
    let response = session.execute_with(&http, request, options).await.unwrap();
    assert_eq!(response.status(), 200);
    let bodies: Vec<_> = world.provider.api_requests().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [b"a stream", b"a stream"]);
}

#[tokio::test]
async fn waits_for_a_token_have_a_bound_of_their_own() {
    for is_expired in [true, false] {
        let world = World::new().await;
        let token = if is_expired { world.expired_token() } else { world.token() };
        let session = world.saving().token(token).build();
        world.provider.revoke_access_tokens();
        let hold = world.provider.pause_token_requests();
        let request = Request::new(Method::GET, world.provider.api_url().parse().unwrap());
        let (sender, options) = (session.clone(), RequestOptions::new());
        let options = options.wait_at_most(Duration::from_secs(3));
        let sent =
            tokio::spawn(async move { sender.execute_with(&plain_http(), request, options).await });
        world.provider.wait_for_token_requests(1).await;
        world.round_trips().await;
        pass(2).await;
        world.round_trips().await;
        assert!(!sent.is_finished());
        pass(1).await;
        let RequestError::Token(error) = sent.await.unwrap().unwrap_err() else { panic!("sent") };
        assert!(error.is_timeout(), "{error}");
        // The renewal has gone on.
        drop(hold);
        assert_eq!(execute(&world, &session, RequestOptions::new()).await.unwrap().status(), 200);
        assert_eq!(world.provider.counts().token_requests, 1);
    }
}

/// Only waits count, and all of them together.
#[tokio::test]
async fn the_time_that_the_api_takes_is_no_wait_for_a_token() {
    for waited in [0, 2] {
        let world = World::new().await;
        let token = if waited == 0 { world.token() } else { world.expired_token() };
        let session = world.saving().token(token).build();
        world.provider.reject_all(true);
        let request = Request::new(Method::GET, world.provider.api_url().parse().unwrap());
        let (sender, options) = (session.clone(), RequestOptions::new());
        let options = options.wait_at_most(Duration::from_secs(3));
        let api = world.provider.pause_api();
        let before = world.provider.pause_token_requests();
        let sent =
            tokio::spawn(async move { sender.execute_with(&plain_http(), request, options).await });
        if waited > 0 {
            world.provider.wait_for_token_requests(1).await;
            pass(waited).await;
        }
        drop(before);
        world.provider.wait_for_api_requests(1).await;
        let requests = world.provider.counts().token_requests;
        let _hold = world.provider.pause_token_requests();
        pass(7).await;
        drop(api);
        world.provider.wait_for_token_requests(requests + 1).await;
        world.round_trips().await;
        pass(3 - waited - 1).await;
        world.round_trips().await;
        assert!(!sent.is_finished(), "after {waited} s");
        pass(1).await;
        let RequestError::Token(error) = sent.await.unwrap().unwrap_err() else { panic!("sent") };
        assert!(error.is_timeout(), "{error}");
    }
}

#[tokio::test]
async fn bounds_of_nothing_and_of_for_ever() {
    let world = World::new().await;
    let bound = |wait| RequestOptions::new().wait_at_most(wait);
    let fresh = world.saving().token(world.token()).build();
    for wait in [Duration::ZERO, Duration::MAX] {
        assert_eq!(execute(&world, &fresh, bound(wait)).await.unwrap().status(), 200);
    }
    let expired = world.saving().token(world.expired_token()).build();
    let error = execute(&world, &expired, bound(Duration::ZERO)).await.unwrap_err();
    assert!(Error::find_in(&error).unwrap().is_timeout());
    assert_eq!(execute(&world, &expired, bound(Duration::MAX)).await.unwrap().status(), 200);
    assert_eq!(world.provider.counts().token_requests, 1);
}
