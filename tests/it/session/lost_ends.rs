//! A response whose end is lost, or that is too long: what has arrived of it counts.

use std::collections::VecDeque;
use std::io::Error as IoError;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, stream};
use reqwest::{Body, Request, Response, ResponseBuilderExt as _};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{Session, SessionBuilder};

use crate::support::{World, bounded, pass, plain_http};

/// A connection that breaks within the responses, or says no more: before the given text, or at their end.
#[derive(Clone)]
struct Breaks {
    before: Arc<Mutex<VecDeque<Option<&'static str>>>>,
    silently: bool,
}

#[async_trait::async_trait]
impl Middleware for Breaks {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let url = request.url().clone();
        let response = next.run(request, extensions).await?;
        let Some(before) = self.before.lock().unwrap().pop_front() else { return Ok(response) };
        let status = response.status();
        let text = response.text().await?;
        let end = before.map_or(text.len(), |before| text.find(before).unwrap());
        let part = stream::iter([Ok(text[..end].to_owned())]);
        let broken = stream::iter((!self.silently).then(|| Err(IoError::other("it broke"))));
        let rest =
            if self.silently { stream::pending().left_stream() } else { broken.right_stream() };
        let response = http::Response::builder().status(status).url(url);
        Ok(response.body(Body::wrap_stream(part.chain(rest))).unwrap().into())
    }
}

fn http(
    breaks: impl IntoIterator<Item = Option<&'static str>>,
    silently: bool,
) -> ClientWithMiddleware {
    let before = Arc::new(Mutex::new(breaks.into_iter().collect()));
    ClientBuilder::new(plain_http()).with(Breaks { before, silently }).build()
}

fn saving(world: &World, breaks: Option<&'static str>, silently: bool) -> SessionBuilder {
    let (app, saved) = (world.app().http_client(http([breaks], silently)), world.saved.clone());
    Session::builder(app).clock(world.clock.reader()).on_new_token(move |token| {
        saved.push(token);
        async { Ok::<(), IoError>(()) }
    })
}

#[tokio::test]
async fn a_whole_token_is_used_though_its_end_does_not_come() {
    for (silently, seconds) in [(false, 0), (true, 30)] {
        let world = World::new().await;
        let session = saving(&world, None, silently).token(world.expired_token()).build();
        let (after, token) = bounded(&world, async move { session.token().await }).await;
        let token = token.unwrap();
        assert_eq!(after, seconds);
        assert!(world.provider.accepts_access_token(token.access_token()));
        assert!(world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
        assert_eq!(world.provider.counts().token_requests, 1);
    }
}

#[tokio::test]
async fn a_refresh_token_that_has_arrived_whole_is_kept_and_presented_next() {
    for (silently, seconds) in [(false, 0), (true, 30)] {
        let world = World::new().await;
        let session = saving(&world, Some(r#","token_type""#), silently);
        let session = session.token(world.expired_token()).build();
        let caller = session.clone();
        let (after, outcome) = bounded(&world, async move { caller.token().await }).await;
        let error = outcome.unwrap_err();
        assert_eq!((after, error.is_timeout()), (seconds, silently));
        assert!(error.is_transient() && !error.is_reauthorization_required(), "{error}");
        assert!(error.to_string().ends_with("; the new refresh token in it is kept"), "{error}");
        session.shutdown().await.unwrap();
        let kept = world.saved.last();
        assert!(world.provider.accepts_refresh_token(kept.refresh_token().unwrap()));
        pass(2).await;
        session.token().await.unwrap();
        let counts = world.provider.counts();
        assert_eq!((counts.token_requests, counts.reuse_detected), (2, 0));
    }
}

#[tokio::test]
async fn a_refresh_token_that_may_be_cut_is_not_kept() {
    let world = World::new().await;
    for broken in
        [r#"{"access_token":"at","refresh_token":"new"#, "access_token=at&refresh_token=new"]
    {
        world.provider.fail_next(Fault::Reply {
            status: 200,
            content_type: "application/json".to_owned(),
            body: broken.to_owned(),
        });
        let app = world.app().http_client(http([None, None], false));
        let error = app.token_request("client_credentials").send().await.unwrap_err();
        assert!(error.is_response_lost(), "{error}");
    }
}

#[tokio::test]
async fn the_refresh_token_at_the_head_of_a_response_that_is_too_long_is_kept() {
    let world = World::new().await;
    let (old, new) = (world.expired_token(), world.token());
    let new = new.refresh_token().unwrap();
    world.provider.fail_next(Fault::Reply {
        status: 200,
        content_type: "application/json".to_owned(),
        body: format!(
            r#"{{"refresh_token":"{new}","x":"{}","access_token":"at"}}"#,
            "x".repeat(1024)
        ),
    });
    let session = Session::builder(world.app().max_response_bytes(1024)).token(old);
    let session = session.clock(world.clock.reader()).build();
    let error = session.token().await.unwrap_err();
    assert!(error.is_malformed_response() && error.is_transient(), "{error}");
    assert!(error.to_string().ends_with("; the new refresh token in it is kept"), "{error}");
    pass(2).await;
    session.token().await.unwrap();
    let requests = world.provider.token_requests();
    assert_eq!(requests[1].param("refresh_token"), Some(new));
    assert_eq!(world.provider.counts().reuse_detected, 0);
}
