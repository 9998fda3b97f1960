//! What each peer does when a token is renewed, in one process. Barriers and counters, no timing.

use std::future::poll_fn;

use futures_util::future::{BoxFuture, join_all, poll_immediate};
use reqwest_oauth2::testing::{Fault, Provider};

use super::ended;
use crate::peer::{Begin, Peer, Result};
use crate::peers::aliri::Aliri;
use crate::peers::by_hand::ByHand;
use crate::peers::huskarl::Huskarl;
use crate::peers::middle::Middle;
use crate::peers::oauth2_layer::OAuth2Layer;
use crate::peers::ours::Ours;
use crate::peers::rmcp::Rmcp;
use crate::peers::yup::Yup;
use crate::support::Targets;

const CALLERS: usize = 1000;
const LATE: u64 = 5;

type LogIn = for<'a> fn(Begin<'a>) -> BoxFuture<'a, Result<Box<dyn Peer>>>;

/// Those who begin with a refresh token, and renew when asked.
const PEERS: [(&str, LogIn); 6] = [
    ("**this crate**", |begin| Box::pin(async { Ok(Box::new(Ours::log_in(begin)) as _) })),
    ("a mutex by hand", |begin| Box::pin(async { Ok(Box::new(ByHand::log_in(begin)) as _) })),
    ("oauth2 and a layer by hand", |begin| {
        Box::pin(async { Ok(Box::new(OAuth2Layer::log_in(begin)) as _) })
    }),
    ("rmcp", |begin| Box::pin(async { Ok(Box::new(Rmcp::log_in(begin).await?) as _) })),
    ("huskarl", |begin| Box::pin(async { Ok(Box::new(Huskarl::log_in(begin).await?) as _) })),
    ("yup-oauth2", |begin| Box::pin(async { Ok(Box::new(Yup::log_in(begin).await) as _) })),
];

/// What came of it, as the table says it.
struct Row {
    name: String,
    herd: String,
    cancelled: String,
    unsaved: String,
    late: String,
    string: String,
}

pub async fn table(targets: &mut Targets) -> String {
    let mut rows = Vec::new();
    for (name, log_in) in PEERS {
        let row = Row {
            name: name.into(),
            herd: herd(log_in).await,
            cancelled: cancelled(log_in).await,
            unsaved: unsaved(log_in).await,
            late: late(log_in).await,
            string: string(log_in).await,
        };
        rows.push(row);
    }
    let ours = &rows[0];
    for (met, target) in [
        (ours.herd == "1", "one token request for 1,000 callers"),
        (ours.cancelled == "yes", "a rotated token is kept when the caller goes away"),
        (ours.unsaved == "no", "no refresh token is presented again after a failed save"),
        (ours.late == "0", "no renewal for five late 401s"),
        (ours.string == "yes", "a lifetime in quotes is a lifetime"),
    ] {
        targets.check(met, target);
    }
    rows.push(in_the_background("aliri_tokens", Background::Aliri).await);
    rows.push(in_the_background("middle", Background::Middle).await);
    let mut table = String::from(
        "| | token requests for 1,000 callers at expiry | caller cancelled mid-renewal: rotated token kept | \
         saver fails once: old refresh token presented again | renewals for five late 401s | `\"expires_in\": \"3600\"` |\n\
         |---|---|---|---|---|---|\n",
    );
    for Row { name, herd, cancelled, unsaved, late, string } in rows {
        table += &format!("| {name} | {herd} | {cancelled} | {unsaved} | {late} | {string} |\n");
    }
    table
}

/// All ask before anybody is answered.
async fn herd(log_in: LogIn) -> String {
    let provider = Provider::start().await.unwrap();
    let peer = log_in(Begin::new(&provider, true)).await.unwrap();
    let hold = provider.pause_token_requests();
    let mut callers: Vec<_> = (0..CALLERS).map(|_| peer.token()).collect();
    for caller in &mut callers {
        assert!(poll_immediate(caller).await.is_none(), "nobody has answered yet");
    }
    drop(hold);
    let served = join_all(callers).await.into_iter().filter(Result::is_ok).count();
    let requests = provider.counts().token_requests;
    if served == CALLERS {
        requests.to_string()
    } else {
        format!("{requests}, and {} of them failed: the login has ended", CALLERS - served)
    }
}

/// The caller is dropped while the provider answers.
async fn cancelled(log_in: LogIn) -> String {
    let provider = Provider::start().await.unwrap();
    let peer = log_in(Begin::new(&provider, true)).await.unwrap();
    let hold = provider.pause_token_requests();
    tokio::select! {
        _ = peer.token() => unreachable!("nobody has answered yet"),
        () = provider.wait_for_token_requests(1) => {}
    }
    drop(hold);
    while provider.counts().tokens_issued == 0 {
        tokio::task::yield_now().await;
    }
    let next = peer.token().await;
    match (next, ended(&provider)) {
        (Ok(()), false) => "yes".into(),
        (_, true) => "no: the login has ended".into(),
        (Err(error), false) => panic!("{error}"),
    }
}

/// The first save fails; then the token is renewed again.
async fn unsaved(log_in: LogIn) -> String {
    let provider = Provider::start().await.unwrap();
    let begin = Begin::new(&provider, true);
    let saver = begin.saver;
    let peer = log_in(begin).await.unwrap();
    saver.fail_once();
    let _ = peer.token().await;
    let next = peer.renew().await;
    match (next, ended(&provider)) {
        (Ok(()), false) => "no".into(),
        (_, true) => "yes: the login has ended".into(),
        (Err(error), false) => panic!("{error}"),
    }
}

/// Five requests are under way with a token that was revoked, and is renewed; then their 401s arrive,
/// one after the other.
async fn late(log_in: LogIn) -> String {
    let provider = Provider::start().await.unwrap();
    let peer = log_in(Begin::new(&provider, false)).await.unwrap();
    provider.revoke_access_tokens();
    let hold = provider.pause_api();
    let url = provider.api_url();
    let mut calls: Vec<_> = (0..LATE).map(|_| peer.call(&url)).collect();
    let mut arrived = Box::pin(provider.wait_for_api_requests(LATE));
    poll_fn(|context| {
        for call in &mut calls {
            assert!(call.as_mut().poll(context).is_pending(), "the API has not answered yet");
        }
        arrived.as_mut().poll(context)
    })
    .await;
    peer.renew().await.unwrap();
    let before = provider.counts().token_requests;
    drop(hold);
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.await);
    }
    let renewals = provider.counts().token_requests - before;
    if statuses.iter().all(|status| status.as_ref().is_ok_and(|status| *status == 200)) {
        renewals.to_string()
    } else if renewals == 0 {
        "none, the 401s are yours".into()
    } else {
        format!("{renewals}, and a 401")
    }
}

fn in_quotes() -> Fault {
    let body =
        r#"{"access_token":"at","token_type":"Bearer","refresh_token":"rt","expires_in":"3600"}"#;
    Fault::Reply { status: 200, content_type: "application/json".into(), body: body.into() }
}

async fn string(log_in: LogIn) -> String {
    let provider = Provider::start().await.unwrap();
    let peer = log_in(Begin::new(&provider, true)).await.unwrap();
    provider.fail_next(in_quotes());
    let read = peer.token().await.is_ok() && provider.counts().token_requests == 1;
    if read { "yes".into() } else { "refused".into() }
}

#[derive(Clone, Copy)]
enum Background {
    Aliri,
    Middle,
}

/// Those who renew in a task of their own, asked or not.
async fn in_the_background(name: &str, kind: Background) -> Row {
    let log_in = async |provider: &Provider| -> Result<Box<dyn Peer>> {
        let peer: Box<dyn Peer> = match kind {
            Background::Aliri => Box::new(Aliri::log_in(Begin::new(provider, true)).await?),
            Background::Middle => Box::new(Middle::log_in(provider).await?),
        };
        Ok(peer)
    };
    // Tokens short enough that the task renews while we look.
    let short = Provider::builder().lifetime(std::time::Duration::from_secs(2));
    let provider = short.start().await.unwrap();
    let peer = log_in(&provider).await.unwrap();
    provider.wait_for_token_requests(2).await;
    let renewals = provider.counts().token_requests - 1;
    join_all((0..CALLERS).map(|_| peer.token())).await;

    let provider = Provider::start().await.unwrap();
    let peer = log_in(&provider).await.unwrap();
    provider.revoke_access_tokens();
    assert_eq!(peer.call(&provider.api_url()).await.unwrap(), 401);

    let provider = Provider::start().await.unwrap();
    provider.fail_next(in_quotes());
    let read = log_in(&provider).await.is_ok();
    let (cancelled, unsaved) = match kind {
        Background::Aliri => ("yes", "has no saver"),
        Background::Middle => ("client credentials only", "client credentials only"),
    };
    Row {
        name: name.into(),
        herd: format!("{renewals}, in a task of its own"),
        cancelled: cancelled.into(),
        unsaved: unsaved.into(),
        late: "none, the 401s are yours".into(),
        string: if read { "yes".into() } else { "refused".into() },
    }
}
