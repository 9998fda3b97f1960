//! What a valid token costs a request: what each peer adds to the same request without a token.
//!
//! Those that are middleware run in a chain that ends in an answer without a network, and what they add
//! is the difference to the same chain without the layer. The others give the header, which is put
//! among others, in place of the one before. Reading the clock counts as a system call's few
//! instructions, for valgrind hides the vDSO.

use std::hint::black_box;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, USER_AGENT};
use http::{Extensions, HeaderMap, Method, Uri};
use middle::Authorizer;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use reqwest_middleware_04 as older;
use reqwest_oauth2::testing::Provider;
use reqwest_oauth2::{OAuthClient, Session, Token};
use stats_alloc::{Region, StatsAlloc};

use crate::peer::{Begin, http, http_12};
use crate::peers::by_hand::ByHand;
use crate::peers::constant::Constant;
use crate::peers::huskarl::Huskarl;
use crate::peers::middle::Middle;
use crate::peers::oauth2_layer::OAuth2Layer;
use crate::peers::rmcp::Rmcp;
use crate::peers::yup::Yup;
use crate::peers::{aliri, reqwest_auth};
use crate::support::{Targets, callgrind, median};

const ACCESS_TOKEN: &str = "ya29.A0ARrdaM-k9Vq7GzY2pL4mN8sT1uW5xZ0bC3dF6hJ";
const API: &str = "https://api.example/v1/users/me/messages?page=2";
const ROUNDS: usize = 60;
const PER_ROUND: u64 = 1000;

/// What a header by itself is compared with.
const NOTHING: &str = "nothing";

/// Name, what it is compared with, how it says so in the table.
const WAYS: [(&str, &str, &str); 12] = [
    ("constant", "chain", "a constant header, as a layer"),
    (
        "ours_stream",
        "stream chain",
        "**this crate**, its layer, where the request can be sent once (a stream)",
    ),
    (
        "ours",
        "chain",
        "**this crate**, its layer, where it can be sent again: a copy is kept for a 401",
    ),
    ("by_hand", "chain", "a mutex by hand, as a layer"),
    ("oauth2_layer", "chain", "oauth2 and a layer by hand, which keeps a copy for a 401 too"),
    ("aliri", "older chain", "aliri_reqwest, its layer"),
    ("reqwest_auth", "older chain", "reqwest-auth, its layer over the mutex"),
    ("ours_header", NOTHING, "**this crate**, `session.header()`"),
    ("middle", NOTHING, "middle, `authorization_header()`"),
    ("huskarl", NOTHING, "huskarl, `get_headers()`"),
    ("yup", NOTHING, "yup-oauth2, `token()`"),
    ("rmcp", NOTHING, "rmcp, `get_access_token()`"),
];

/// What is measured.
struct Cost {
    nanoseconds: f64,
    instructions: Option<f64>,
    allocations: f64,
}

pub async fn table(
    targets: &mut Targets,
    allocator: &'static StatsAlloc<std::alloc::System>,
) -> String {
    let counted = callgrind::present(targets);
    let mut names: Vec<&str> = vec!["chain", "stream chain", "older chain"];
    names.extend(WAYS.map(|(name, ..)| name));
    let mut ways = Vec::new();
    for name in &names {
        ways.push(Way::new(name).await);
    }
    // In turn, round by round, so that whatever the machine does meets all of them.
    let mut times = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        for (way, times) in ways.iter().zip(&mut times) {
            let began = Instant::now();
            way.run(PER_ROUND).await;
            times.push(began.elapsed().as_nanos() as f64 / PER_ROUND as f64);
        }
    }
    let mut costs = Vec::new();
    for ((name, way), times) in names.iter().zip(&ways).zip(times) {
        let region = Region::new(allocator);
        way.run(PER_ROUND).await;
        let change = region.change();
        costs.push(Cost {
            nanoseconds: median(times),
            instructions: counted.then(|| callgrind::instructions(name)),
            allocations: change.allocations as f64 / PER_ROUND as f64,
        });
    }
    let nothing = Cost { nanoseconds: 0.0, instructions: Some(0.0), allocations: 0.0 };
    let cost = |name: &str| match names.iter().position(|known| *known == name) {
        Some(place) => &costs[place],
        None => &nothing,
    };
    let mut table = String::from(
        "| added to a request | ns | instructions | allocations |\n|---|--:|--:|--:|\n",
    );
    let mut added = Vec::new();
    for (name, without, words) in WAYS {
        let (with, without) = (cost(name), cost(without));
        let instructions =
            with.instructions.zip(without.instructions).map(|(with, without)| with - without);
        let shown = instructions.map_or("not counted".into(), |more| format!("{more:.0}"));
        table += &format!(
            "| {words} | {:.0} | {shown} | {:.0} |\n",
            with.nanoseconds - without.nanoseconds,
            with.allocations - without.allocations
        );
        added.push((name, instructions));
    }
    if counted {
        let of = |name: &str| added.iter().find(|(known, _)| *known == name).unwrap().1.unwrap();
        for (ours, peers) in [
            ("ours_stream", &["by_hand", "oauth2_layer", "aliri", "reqwest_auth"][..]),
            // middle takes fewer: it reads under a lock.
            ("ours_header", &["huskarl", "yup", "rmcp"][..]),
        ] {
            for peer in peers {
                targets.check(
                    of(ours) < of(peer),
                    &format!(
                        "{ours}: fewer instructions than {peer} ({:.0}, {:.0})",
                        of(ours),
                        of(peer)
                    ),
                );
            }
        }
    }
    table
}

/// Under callgrind: one of them, by its name.
pub async fn under_callgrind(name: &str) {
    let way = Way::new(name).await;
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| callgrind::counted(|times| runtime.block_on(way.run(times))));
}

enum Way {
    Chain(ClientWithMiddleware, reqwest::Request),
    Stream(ClientWithMiddleware),
    Older(older::ClientWithMiddleware, reqwest_12::Request),
    Header(Header, HeaderMap),
}

/// Where a header comes from.
enum Header {
    Ours(Session),
    Middle(Middle),
    Huskarl(Huskarl, Uri),
    Yup(Yup),
    Rmcp(Rmcp),
}

impl Way {
    async fn new(name: &str) -> Self {
        let chain = || ClientBuilder::new(http());
        let older = || older::ClientBuilder::new(http_12());
        let provider = Provider::start().await.unwrap();
        let begin = || Begin::new(&provider, false);
        match name {
            "chain" => Self::Chain(chain().with(Answer).build(), request()),
            "constant" => {
                let layer = Constant::new(ACCESS_TOKEN);
                Self::Chain(chain().with(layer).with(Answer).build(), request())
            }
            "ours" => {
                let layer = session().middleware(["https://api.example"]).unwrap();
                Self::Chain(chain().with(layer).with(Answer).build(), request())
            }
            "stream chain" => Self::Stream(chain().with(Answer).build()),
            "ours_stream" => {
                let layer = session().middleware(["https://api.example"]).unwrap();
                Self::Stream(chain().with(layer).with(Answer).build())
            }
            "by_hand" => {
                let layer = ByHand::fresh(ACCESS_TOKEN);
                Self::Chain(chain().with(layer).with(Answer).build(), request())
            }
            "oauth2_layer" => {
                let layer = OAuth2Layer::fresh(ACCESS_TOKEN);
                Self::Chain(chain().with(layer).with(Answer).build(), request())
            }
            "older chain" => Self::Older(older().with(OlderAnswer).build(), request_12()),
            "aliri" => {
                let layer = aliri::layer(ACCESS_TOKEN).await;
                Self::Older(older().with(layer).with(OlderAnswer).build(), request_12())
            }
            "reqwest_auth" => {
                let layer = reqwest_auth::layer(ACCESS_TOKEN);
                Self::Older(older().with(layer).with(OlderAnswer).build(), request_12())
            }
            "ours_header" => Self::Header(Header::Ours(session()), some()),
            "middle" => {
                Self::Header(Header::Middle(Middle::log_in(&provider).await.unwrap()), some())
            }
            "huskarl" => {
                let huskarl = Huskarl::log_in(begin()).await.unwrap();
                Self::Header(Header::Huskarl(huskarl, API.parse().unwrap()), some())
            }
            "yup" => Self::Header(Header::Yup(Yup::log_in(begin()).await), some()),
            "rmcp" => Self::Header(Header::Rmcp(Rmcp::fresh(ACCESS_TOKEN).await), some()),
            other => panic!("there is no {other}"),
        }
    }

    async fn run(&self, times: u64) {
        match self {
            Self::Chain(chain, request) => {
                for _ in 0..times {
                    let request = request.try_clone().unwrap();
                    black_box(chain.execute(request).await.unwrap());
                }
            }
            Self::Stream(chain) => {
                for _ in 0..times {
                    let mut request = request();
                    let nothing = futures_util::stream::empty::<std::io::Result<Bytes>>();
                    *request.body_mut() = Some(reqwest::Body::wrap_stream(nothing));
                    black_box(chain.execute(request).await.unwrap());
                }
            }
            Self::Older(chain, request) => {
                for _ in 0..times {
                    let request = request.try_clone().unwrap();
                    black_box(chain.execute(request).await.unwrap());
                }
            }
            Self::Header(header, headers) => {
                let mut headers = headers.clone();
                for _ in 0..times {
                    header.put_on(&mut headers).await;
                    black_box(&headers);
                }
            }
        }
    }
}

impl Header {
    async fn put_on(&self, headers: &mut HeaderMap) {
        match self {
            Self::Ours(session) => {
                headers.insert(AUTHORIZATION, session.header().unwrap());
            }
            // As its own client does.
            Self::Middle(middle) => {
                let header = middle.authorizer.authorization_header().unwrap();
                headers.insert(AUTHORIZATION, std::sync::Arc::unwrap_or_clone(header));
            }
            Self::Huskarl(huskarl, uri) => {
                headers.extend(huskarl.authorizer.get_headers(&Method::GET, uri).await.unwrap());
            }
            Self::Yup(yup) => put(headers, &yup.access_token().await.unwrap()),
            Self::Rmcp(rmcp) => put(headers, &rmcp.access_token().await.unwrap()),
        }
    }
}

/// Where the header is the application's to make.
fn put(headers: &mut HeaderMap, token: &str) {
    let header = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    headers.insert(AUTHORIZATION, header);
}

/// With decades left.
fn session() -> Session {
    let app = OAuthClient::new("foo", "https://provider.example/token").unwrap().secret("potato");
    let token = serde_json::json!({
        "access_token": ACCESS_TOKEN,
        "refresh_token": "1//0gLu8rT5yQ2wE9aS6dF3gH7jK1lZ4xC",
        "expires_at": 4_000_000_000_u64,
    });
    Session::builder(app).token(serde_json::from_value::<Token>(token).unwrap()).build()
}

/// Headers with room for one more.
fn some() -> HeaderMap {
    let mut some = HeaderMap::with_capacity(8);
    headers(&mut some);
    some
}

fn headers(headers: &mut HeaderMap) {
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("bench/1.0"));
    headers.insert("x-request-id", HeaderValue::from_static("7f3c0a52-9d1e-4b8a-b7de-0c6a"));
}

fn request() -> reqwest::Request {
    let mut request = reqwest::Request::new(Method::GET, API.parse().unwrap());
    headers(request.headers_mut());
    request
}

fn request_12() -> reqwest_12::Request {
    let mut request = reqwest_12::Request::new(Method::GET, API.parse().unwrap());
    headers(request.headers_mut());
    request
}

/// The end of a chain.
struct Answer;

#[async_trait]
impl Middleware for Answer {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        use reqwest::ResponseBuilderExt;
        let url = request.url().clone();
        Ok(http::Response::builder().url(url).body(Bytes::new()).unwrap().into())
    }
}

struct OlderAnswer;

#[async_trait]
impl older::Middleware for OlderAnswer {
    async fn handle(
        &self,
        request: reqwest_12::Request,
        _: &mut Extensions,
        _: older::Next<'_>,
    ) -> older::Result<reqwest_12::Response> {
        use reqwest_12::ResponseBuilderExt;
        let url = request.url().clone();
        Ok(http::Response::builder().url(url).body(Bytes::new()).unwrap().into())
    }
}
