//! What a token that is bound to a key (DPoP) costs each request: a signature, and what is around it.
//!
//! `Session::execute` over a closure that answers at once, with a new nonce in each answer. Instructions, by
//! callgrind, beside those of the same request with a bearer token, and of the library's signature over a text
//! as long as that of the proof. It can be less than both: that signature hashes all of its text, but what a
//! proof begins with is the same each time and was hashed when the key was read. Callgrind's processor hashes
//! without instructions of its own for that, so this counts for more there than elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use reqwest::{Request, Response, ResponseBuilderExt};
use reqwest_oauth2::{OAuthClient, Session, SigningKey, Token};
use support::{Shape, Targets, callgrind};
use tokio::runtime::Runtime;

/// Beyond the signature.
const MOST_INSTRUCTIONS: f64 = 2000.0;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    if let Some(what) = callgrind::run() {
        run(&runtime, &what, |work| callgrind::counted(work));
        return ExitCode::SUCCESS;
    }
    let mut targets = Targets::default();
    println!("\n## DPoP: a request whose token is bound to a key\n");
    println!("| | bearer | bound | a signature of the library |\n|---|--:|--:|--:|");
    let nanoseconds = WHAT.map(|what| nanoseconds(&runtime, what));
    println!("| ns | {:.0} | {:.0} | {:.0} |", nanoseconds[0], nanoseconds[1], nanoseconds[2]);
    if !callgrind::present(&mut targets) {
        return targets.exit();
    }
    let [bearer, bound, signature] = WHAT.map(callgrind::instructions);
    println!("| instructions | {bearer:.0} | {bound:.0} | {signature:.0} |\n");
    let around = bound - bearer - signature;
    let target = format!(
        "at most a signature and {MOST_INSTRUCTIONS:.0} instructions more than a bearer request ({around:.0})"
    );
    targets.check(around <= MOST_INSTRUCTIONS, &target);
    targets.exit()
}

const WHAT: [&str; 3] = ["bearer", "bound", "signature"];

fn run(runtime: &Runtime, what: &str, counted: impl FnOnce(&mut dyn FnMut(u64))) {
    let key = SigningKey::generate().unwrap();
    let bound = session(Some(key));
    if what == "signature" {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (random, text) = (SystemRandom::new(), vec![b'x'; runtime.block_on(signed(&bound))]);
        return counted(&mut |times| {
            for _ in 0..times {
                black_box(pair.sign(&random, &text).unwrap());
            }
        });
    }
    let session = if what == "bound" { bound } else { session(None) };
    let template = Shape::Get.request();
    // The first nonce.
    runtime.block_on(session.execute(answer, template.try_clone().unwrap())).unwrap();
    counted(&mut |times| {
        runtime.block_on(async {
            for _ in 0..times {
                let request = template.try_clone().unwrap();
                black_box(session.execute(answer, request).await.unwrap());
            }
        });
    });
}

fn session(key: Option<SigningKey>) -> Session {
    let app = OAuthClient::new("foo", "https://provider.example/token").unwrap();
    let token = Token::new(support::ACCESS_TOKEN).unwrap();
    let token = match key {
        Some(key) => token.with_dpop_key(key),
        None => token,
    };
    Session::builder(app).token(token).build()
}

/// How long the text is that the proof of a request signs.
async fn signed(session: &Session) -> usize {
    let length = Mutex::new(0);
    let send = async |request: Request| {
        if let Some(proof) = request.headers().get("dpop") {
            *length.lock().unwrap() = proof.to_str().unwrap().rfind('.').unwrap();
        }
        answer(request).await
    };
    for _ in 0..2 {
        session.execute(send, Shape::Get.request()).await.unwrap();
    }
    length.into_inner().unwrap()
}

/// 200, with a new nonce.
async fn answer(request: Request) -> Result<Response, std::io::Error> {
    static NONCES: Mutex<u64> = Mutex::new(0);
    let number = {
        let mut nonces = NONCES.lock().unwrap();
        *nonces += 1;
        *nonces
    };
    let response = http::Response::builder().url(request.url().clone());
    let response = response.header("dpop-nonce", format!("dKyxvBY0sVJz2NpsAnWkSw-{number:08}"));
    Ok(response.body("").unwrap().into())
}

fn nanoseconds(runtime: &Runtime, what: &str) -> f64 {
    const TIMES: u64 = 2000;
    let mut taken = 0.0;
    run(runtime, what, |work| {
        work(TIMES / 10);
        let start = Instant::now();
        work(TIMES);
        taken = start.elapsed().as_secs_f64() * 1e9 / TIMES as f64;
    });
    taken
}
