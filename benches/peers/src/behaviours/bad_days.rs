//! What each peer does where processes share a login, and where the provider is not itself.
//!
//! A process is an instance of the peer, which begins with what is in the file. No peer lets a bench move
//! its clock, so an outage takes its time, and the wait before another attempt is what each peer makes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join, join_all};
use reqwest_oauth2::testing::{Fault, Provider};
use tokio::time::{interval, sleep, timeout};

use super::ended;
use crate::peer::{Begin, Peer, Result};
use crate::peers::aliri::Aliri;
use crate::peers::by_hand::ByHand;
use crate::peers::huskarl::Huskarl;
use crate::peers::middle::Middle;
use crate::peers::oauth2_layer::OAuth2Layer;
use crate::peers::ours::Ours;
use crate::peers::rmcp::Rmcp;
use crate::peers::yup::{self, Yup};
use crate::process::{Directory, Login, Process};
use crate::support::Targets;

const EXPIRED: i64 = -1;
const FRESH: i64 = 3600;

/// For what one peer does at once, and another one not at all.
const LOOK: Duration = Duration::from_millis(500);

const PROCESSES: usize = 8;
const EVERY: Duration = Duration::from_millis(100);

type Open = for<'a> fn(&'a Provider, &'a Path) -> BoxFuture<'a, Result<Arc<dyn Process>>>;

/// A peer that can keep a login in a file.
#[derive(Clone, Copy)]
struct Program {
    name: &'static str,
    write: fn(&Login, &Path) -> Result,
    open: Open,
}

const PROGRAMS: [Program; 5] = [
    Program {
        name: "**this crate**",
        write: Ours::write,
        open: |provider, file| Box::pin(async { Ok(Arc::new(Ours::open(provider, file)) as _) }),
    },
    Program {
        name: "oauth2 and a layer by hand",
        write: OAuth2Layer::write,
        open: |provider, file| {
            Box::pin(async { Ok(Arc::new(OAuth2Layer::open(provider, file)?) as _) })
        },
    },
    Program {
        name: "rmcp",
        write: Rmcp::write,
        open: |provider, file| {
            Box::pin(async { Ok(Arc::new(Rmcp::open(provider, file).await?) as _) })
        },
    },
    Program {
        name: "huskarl",
        write: Huskarl::write,
        open: |provider, file| {
            Box::pin(async { Ok(Arc::new(Huskarl::open(provider, file)?) as _) })
        },
    },
    Program {
        name: "yup-oauth2",
        write: Yup::write,
        open: |provider, file| {
            Box::pin(async { Ok(Arc::new(Yup::open(provider, file).await?) as _) })
        },
    },
];

/// Those without a place for a refresh token.
const WITHOUT_A_STORE: [(&str, WithoutStore, &str); 3] = [
    ("a mutex by hand", WithoutStore::ByHand, "has no store"),
    ("aliri_tokens", WithoutStore::Aliri, "has no store for a refresh token"),
    ("middle", WithoutStore::Middle, "client credentials only"),
];

/// What came of it, as the table says it.
struct Row {
    name: &'static str,
    shared: String,
    replaced: String,
    page: String,
    down: String,
    commands: String,
}

/// The provider is down for as long as each process takes for `requests`.
pub async fn table(targets: &mut Targets, requests: u32) -> String {
    let mut downs = join(
        join_all(PROGRAMS.map(|program| down(program, requests))),
        join_all(WITHOUT_A_STORE.map(|(_, kind, _)| kind.down(requests))),
    )
    .await;
    let mut rows = Vec::new();
    for (program, down) in PROGRAMS.into_iter().zip(downs.0) {
        let replaced = [replaced(program, false).await, replaced(program, true).await];
        rows.push(Row {
            name: program.name,
            shared: shared(program).await,
            replaced: both(replaced),
            page: both(join(page(program, firewall()), page(program, portal())).await.into()),
            down: down.to_string(),
            commands: commands(program).await,
        });
    }
    let ours = &rows[0];
    // The longest wait before another attempt doubles, for all processes together, up to 30 seconds. Jitter takes
    // half of it on average.
    let most = 2 + 2 * u64::from((EVERY * requests).as_secs().ilog2());
    for (met, target) in [
        (ours.shared == "1, alive", "one token request of two processes"),
        (ours.replaced == "yes", "a new login outlives the renewal of the old one"),
        (ours.page == "yes", "a page ends no login"),
        (downs_of(ours) <= most, "few token requests of eight processes in an outage"),
        (ours.commands == "1, alive", "one token request of ten commands"),
    ] {
        targets.check(met, target);
    }
    for (name, kind, without) in WITHOUT_A_STORE {
        let page = join(kind.page(firewall()), kind.page(portal())).await;
        rows.push(Row {
            name,
            shared: without.into(),
            replaced: without.into(),
            page: both(page.into()),
            down: downs.1.remove(0).to_string(),
            commands: without.into(),
        });
    }
    let mut table = format!(
        "| | two processes, one expired login: token requests, the login then | the user signs in again while \
         the old login renews, in this process and in another: new login kept | a firewall's page (403) and a \
         portal's (200) for an answer: renewed later | provider down (503) for {} s, {PROCESSES} processes, a \
         request each {} ms: token requests | ten commands over an expiry, a process each: token requests, the \
         login then |\n\
         |---|---|---|---|---|---|\n",
        (EVERY * requests).as_secs(),
        EVERY.as_millis(),
    );
    for Row { name, shared, replaced, page, down, commands } in rows {
        table += &format!("| {name} | {shared} | {replaced} | {page} | {down} | {commands} |\n");
    }
    table
}

fn downs_of(row: &Row) -> u64 {
    row.down.parse().unwrap()
}

/// Two answers, as one where they agree.
fn both([first, second]: [String; 2]) -> String {
    if first == second { first } else { format!("{first}; {second}") }
}

fn counted(requests: u64, alive: bool) -> String {
    format!("{requests}, {}", if alive { "alive" } else { "ended" })
}

/// Whether another process can renew the login.
async fn alive(program: Program, provider: &Provider, directory: &Directory) -> bool {
    if ended(provider) {
        return false;
    }
    let next = (program.open)(provider, &directory.file()).await.unwrap();
    next.renew().await.is_ok() && !ended(provider)
}

/// Both find the token expired before the provider answers anybody.
async fn shared(program: Program) -> String {
    let (provider, directory) = (Provider::start().await.unwrap(), Directory::new());
    (program.write)(&Login::new(&provider, EXPIRED), &directory.file()).unwrap();
    let first = (program.open)(&provider, &directory.file()).await.unwrap();
    let second = (program.open)(&provider, &directory.file()).await.unwrap();
    let hold = provider.pause_token_requests();
    let both = tokio::spawn(async move { join(first.token(), second.token()).await });
    let _ = timeout(LOOK, provider.wait_for_token_requests(2)).await;
    drop(hold);
    let _ = both.await.unwrap();
    let requests = provider.counts().token_requests;
    counted(requests, alive(program, &provider, &directory).await)
}

async fn replaced(program: Program, elsewhere: bool) -> String {
    let (provider, directory) = (Provider::start().await.unwrap(), Directory::new());
    (program.write)(&Login::new(&provider, EXPIRED), &directory.file()).unwrap();
    let renews = (program.open)(&provider, &directory.file()).await.unwrap();
    let signs_in = if elsewhere {
        (program.open)(&provider, &directory.file()).await.unwrap()
    } else {
        Arc::clone(&renews)
    };
    let hold = provider.pause_token_requests();
    let renewal = tokio::spawn(async move { renews.token().await });
    provider.wait_for_token_requests(1).await;
    let new = Arc::new(Login::new(&provider, FRESH));
    let login = Arc::clone(&new);
    let mut signing_in = tokio::spawn(async move {
        signs_in.sign_in(&login).await.unwrap();
        signs_in
    });
    // Some sign in at once, others when the renewal is done.
    let at_once = timeout(LOOK, &mut signing_in).await;
    drop(hold);
    let _ = renewal.await.unwrap();
    let signed_in = match at_once {
        Ok(done) => done.unwrap(),
        Err(_) => signing_in.await.unwrap(),
    };
    let answered = signed_in.call(&provider.api_url()).await.is_ok_and(|status| status == 200);
    let last = provider.api_requests().pop().and_then(|request| request.authorization);
    let used = answered && last.is_some_and(|last| last == format!("Bearer {}", new.access_token));
    let saved =
        directory.holds(&new.refresh_token) && provider.accepts_refresh_token(&new.refresh_token);
    match (saved, used) {
        (true, true) => "yes".into(),
        (false, _) => "no".into(),
        (true, false) => "saved, not used".into(),
    }
}

fn html(status: u16, body: &str) -> Fault {
    Fault::Reply { status, content_type: "text/html".into(), body: body.into() }
}

fn firewall() -> Fault {
    html(403, "<html><body>Access denied</body></html>")
}

fn portal() -> Fault {
    html(200, "<html><body>Welcome to our network. Please accept the terms.</body></html>")
}

async fn page(program: Program, page: Fault) -> String {
    let (provider, directory) = (Provider::start().await.unwrap(), Directory::new());
    (program.write)(&Login::new(&provider, EXPIRED), &directory.file()).unwrap();
    let process = (program.open)(&provider, &directory.file()).await.unwrap();
    after(page, &provider, process.as_ref()).await
}

/// The page meets the first renewal; then the application goes on asking.
async fn after(page: Fault, provider: &Provider, peer: &(impl Peer + ?Sized)) -> String {
    provider.fail_next(page);
    let first = peer.token().await.expect_err("a page is no token").to_string();
    let asked = first.contains(yup::ASKS);
    let later = async {
        while peer.token().await.is_err() {
            sleep(EVERY).await;
        }
    };
    let renewed = timeout(Duration::from_secs(10), later).await.is_ok() && !ended(provider);
    match (renewed, asked) {
        (true, false) => "yes".into(),
        (true, true) => "yes, but first the user is asked to sign in".into(),
        (false, _) => "no".into(),
    }
}

async fn down(program: Program, requests: u32) -> u64 {
    let (provider, directory) = (Provider::start().await.unwrap(), Directory::new());
    (program.write)(&Login::new(&provider, EXPIRED), &directory.file()).unwrap();
    let file = directory.file();
    let processes = join_all((0..PROCESSES).map(|_| (program.open)(&provider, &file))).await;
    provider.fail_always(Fault::Status(503));
    join_all(processes.iter().map(|process| ask(process.as_ref().unwrap().as_ref(), requests)))
        .await;
    provider.counts().token_requests
}

async fn ask(peer: &(impl Peer + ?Sized), requests: u32) {
    let mut ticks = interval(EVERY);
    for _ in 0..requests {
        ticks.tick().await;
        peer.token().await.expect_err("the provider is down");
    }
}

/// Ten calls of a tool: a token with an hour left, one that is about to expire, and one that has expired
/// unless it was renewed.
async fn commands(program: Program) -> String {
    let (provider, directory) = (Provider::start().await.unwrap(), Directory::new());
    let mut login = Login::new(&provider, FRESH);
    for (seconds_left, calls) in [(FRESH, 4), (20, 3), (EXPIRED, 3)] {
        login.seconds_left = seconds_left;
        if provider.counts().token_requests == 0 {
            (program.write)(&login, &directory.file()).unwrap();
        }
        for _ in 0..calls {
            let command = command(program, provider.clone(), directory.file());
            let status = tokio::task::spawn_blocking(command).await.unwrap();
            if !status.is_ok_and(|status| status == 200) {
                return counted(provider.counts().token_requests, false);
            }
        }
    }
    let requests = provider.counts().token_requests;
    counted(requests, alive(program, &provider, &directory).await)
}

/// A runtime that ends with the call.
fn command(program: Program, provider: Provider, file: PathBuf) -> impl FnOnce() -> Result<u16> {
    move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let process = (program.open)(&provider, &file).await?;
            process.call(&provider.api_url()).await
        })
    }
}

#[derive(Clone, Copy)]
enum WithoutStore {
    ByHand,
    Aliri,
    Middle,
}

impl WithoutStore {
    /// Those that renew in a task of their own begin with an access token.
    async fn begin(self, provider: &Provider) -> Box<dyn Peer> {
        match self {
            Self::ByHand => Box::new(ByHand::log_in(Begin::new(provider, true))),
            Self::Aliri => Box::new(Aliri::log_in(Begin::new(provider, true)).await.unwrap()),
            Self::Middle => Box::new(Middle::log_in(provider).await.unwrap()),
        }
    }

    async fn page(self, page: Fault) -> String {
        let short = Provider::builder().lifetime(Duration::from_secs(2));
        let provider = short.start().await.unwrap();
        let peer = self.begin(&provider).await;
        if let Self::ByHand = self {
            return after(page, &provider, peer.as_ref()).await;
        }
        provider.fail_next(page);
        let issued = async {
            while provider.counts().tokens_issued < 2 {
                sleep(EVERY).await;
            }
        };
        let renewed = timeout(Duration::from_secs(10), issued).await.is_ok() && !ended(&provider);
        if renewed { "yes".into() } else { "no".into() }
    }

    /// Each process has a login of its own.
    async fn down(self, requests: u32) -> u64 {
        let short = Provider::builder().lifetime(Duration::from_secs(1));
        let provider = short.start().await.unwrap();
        let peers = join_all((0..PROCESSES).map(|_| self.begin(&provider))).await;
        provider.fail_always(Fault::Status(503));
        let before = provider.counts().token_requests;
        if let Self::ByHand = self {
            join_all(peers.iter().map(|peer| ask(peer.as_ref(), requests))).await;
        } else {
            sleep(EVERY * requests).await;
        }
        provider.counts().token_requests - before
    }
}
