//! Memory: what the layer allocates per request, and what a session keeps.
//!
//! - Allocations and bytes of a request with a valid token, in the chains of `hot_path.rs`.
//! - The size of the layer's future, which `async_trait` boxes: one of those allocations.
//! - Live heap per session, of 10,000 that share one `OAuthClient`, less the text of its tokens
//!   (access and refresh token once each): fresh, and after one renewal and save.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::alloc::System;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientWithMiddleware, Middleware, Next};
use reqwest_oauth2::{Error, OAuthClient, Session, Token};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use support::{Constant, Shape, Targets};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MOST_PER_SESSION: usize = 2048;
const SESSIONS: usize = 10_000;
const REQUESTS: usize = 1000;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut targets = Targets::default();
    println!("\n## Memory\n");
    println!("| per request, valid token | constant | ours |\n|---|--:|--:|");
    let mut no_more = true;
    for shape in Shape::ALL {
        let constant = support::chain(Constant::new(support::ACCESS_TOKEN));
        let constant = runtime.block_on(per_request(&constant, shape));
        let ours = runtime.block_on(per_request(&support::chain(support::layer()), shape));
        println!("| {}: allocations | {} | {} |", shape.name(), constant.0, ours.0);
        println!("| {}: bytes | {} | {} |", shape.name(), constant.1, ours.1);
        no_more &= ours.0 <= constant.0;
    }
    let constant = runtime.block_on(future_size(Constant::new(support::ACCESS_TOKEN)));
    let ours = runtime.block_on(future_size(support::layer()));
    println!("| the layer's future: bytes | {constant} | {ours} |\n");

    println!("| live heap bytes per session, its tokens' text excepted | fresh | renewed |");
    println!("|---|--:|--:|");
    let mut most = 0;
    for (tokens, access, refresh) in
        [("opaque tokens of 48 characters", 48, 48), ("a JWT of 1200 characters", 1200, 48)]
    {
        let [fresh, renewed] = runtime.block_on(per_session(access, refresh));
        println!("| {tokens} | {fresh} | {renewed} |");
        most = most.max(fresh).max(renewed);
    }
    println!();
    targets.check(no_more, "no allocation beyond the baseline's");
    let target = format!("at most {MOST_PER_SESSION} bytes per session beyond its tokens ({most})");
    targets.check(most <= MOST_PER_SESSION, &target);
    targets.exit()
}

/// Allocations and bytes, exact: every request has the same.
async fn per_request(chain: &ClientWithMiddleware, shape: Shape) -> (usize, usize) {
    let template = shape.request();
    let mut counted = None;
    for request in 0..REQUESTS {
        let region = Region::new(ALLOCATOR);
        let copy = template.try_clone().unwrap();
        black_box(chain.execute(copy).await.unwrap());
        let Stats { allocations, reallocations, bytes_allocated, .. } = region.change();
        let now = (allocations + reallocations, bytes_allocated);
        // The first requests find things to set up.
        if request >= 10 {
            assert_eq!(*counted.get_or_insert(now), now, "request {request} differs");
        }
    }
    counted.unwrap()
}

/// Hands on to the layer within and notes the size of its future.
struct Measured<M>(M);

static FUTURE_SIZE: AtomicUsize = AtomicUsize::new(0);

#[async_trait]
impl<M: Middleware> Middleware for Measured<M> {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let future = self.0.handle(request, extensions, next);
        FUTURE_SIZE.store(size_of_val(&*future), Ordering::Relaxed);
        future.await
    }
}

async fn future_size(layer: impl Middleware) -> usize {
    support::chain(Measured(layer)).execute(Shape::Get.request()).await.unwrap();
    FUTURE_SIZE.load(Ordering::Relaxed)
}

/// Live bytes per session beyond the text of its tokens: fresh, and renewed once.
async fn per_session(access: usize, refresh: usize) -> [usize; 2] {
    let app = OAuthClient::new("foo", "https://provider.example/token").unwrap().secret("potato");
    let mut sessions = Vec::with_capacity(SESSIONS);
    let region = Region::new(ALLOCATOR);
    for user in 0..SESSIONS {
        let session = Session::builder(app.clone())
            .token(token(access).with_refresh_token("r".repeat(refresh)))
            .on_new_token(move |token: Token| async move {
                black_box((user, token));
                Ok::<(), Error>(())
            })
            .build();
        sessions.push(session);
    }
    let fresh = live(&region) / SESSIONS - access - refresh;
    drop(sessions);

    // Renewed by a grant that needs no network, so these have no refresh token.
    let mut sessions = Vec::with_capacity(SESSIONS);
    let region = Region::new(ALLOCATOR);
    for user in 0..SESSIONS {
        let session = Session::builder(app.clone())
            .token(token(access))
            .grant(move || async move { Ok(token(access)) })
            .on_new_token(move |token: Token| async move {
                black_box((user, token));
                Ok::<(), Error>(())
            })
            .build();
        session.refresh().await.unwrap();
        session.shutdown().await.unwrap();
        sessions.push(session);
    }
    // The tasks that renewed and saved end behind those that waited for them.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let renewed = live(&region) / SESSIONS - access;
    [fresh, renewed]
}

fn token(access: usize) -> Token {
    let expires_at = SystemTime::now() + Duration::from_secs(3600);
    Token::new("a".repeat(access)).unwrap().with_expires_at(expires_at.into())
}

fn live(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change.bytes_allocated - change.bytes_deallocated
}
