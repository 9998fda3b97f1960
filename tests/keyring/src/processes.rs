//! Several processes: each is this test program with a task.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use reqwest_oauth2::store::{KeyringStore, Record, SwapOutcome, TokenStore};
use reqwest_oauth2::testing::Provider;
use reqwest_oauth2::{OAuthClient, Session, Token};

use crate::keychain;
use crate::records::key;

const TASK: &str = "REQWEST_OAUTH2_KEYRING_TASK";
const PROCESSES: usize = 4;
const ROUNDS: usize = 5;

pub(crate) fn is_worker() -> bool {
    std::env::var_os(TASK).is_some()
}

/// Does the task, as the `main` of a command-line tool.
#[tokio::main]
pub(crate) async fn work() {
    match &*std::env::var(TASK).unwrap() {
        "count" => {
            for _ in 0..ROUNDS {
                count_up(&KeyringStore::new("count")).await;
            }
        }
        "go on" => loop {
            count_up(&KeyringStore::new("go on")).await;
            println!("counted");
        },
        "token" => {
            let session = session(std::env::var("TOKEN_URL").unwrap());
            println!("ready");
            std::io::stdin().lock().read_line(&mut String::new()).unwrap();
            println!("{}", session.token().await.unwrap().access_token());
        }
        "load" => {
            let store = KeyringStore::new("load");
            match tokio::time::timeout(Duration::from_millis(200), store.load(&key())).await {
                Ok(outcome) => println!("{:?}", outcome.map_err(|error| error.is_unavailable())),
                Err(_) => println!("no answer"),
            }
        }
        task => panic!("no task: {task}"),
    }
}

fn session(token_url: String) -> Session {
    let app = OAuthClient::new("foo", token_url).unwrap().secret("potato");
    Session::builder(app).store(KeyringStore::new("one refresh"), "me").foreground().build()
}

fn command(task: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(TASK, task).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn begin(task: &str) -> Child {
    command(task).spawn().unwrap()
}

/// What it printed.
#[track_caller]
fn end(child: Child) -> String {
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    assert!(status.success(), "{status}");
    String::from_utf8(stdout).unwrap()
}

async fn number(store: &KeyringStore) -> Option<(Record, usize)> {
    let record = store.load(&key()).await.unwrap()?;
    let numbers: Vec<usize> = serde_json::from_str(record.json()).unwrap();
    assert!(numbers.iter().all(|number| *number == numbers[0]), "half of one, half of another");
    Some((record, numbers[0]))
}

async fn count_up(store: &KeyringStore) {
    loop {
        let present = number(store).await;
        let (expected, next) =
            present.map_or((None, 1), |(record, number)| (Some(record.version()), number + 1));
        let record = Record::new(serde_json::to_string(&vec![next; 2000]).unwrap());
        if let SwapOutcome::Stored(_) =
            store.compare_and_swap(&key(), expected, &record).await.unwrap()
        {
            return;
        }
    }
}

pub(crate) async fn no_swap_is_lost() {
    let children: Vec<_> = (0..PROCESSES).map(|_| begin("count")).collect();
    for child in children {
        end(child);
    }
    let (_, number) = number(&KeyringStore::new("count")).await.unwrap();
    assert_eq!(number, PROCESSES * ROUNDS, "each stored swap counts");
}

pub(crate) async fn killed_amid_swaps() {
    let store = KeyringStore::new("go on");
    for _ in 0..5 {
        let mut child = begin("go on");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..3 {
            assert_eq!(lines.next().unwrap().unwrap(), "counted");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        count_up(&store).await;
    }
}

pub(crate) async fn one_refresh() {
    let provider = Provider::builder().rotation(true).reuse_detection(true).start().await.unwrap();
    let url = provider.token_url();
    let mut token: Token = serde_json::from_value(provider.log_in()).unwrap();
    token = token.with_expires_at(std::time::UNIX_EPOCH.into());
    session(url.clone()).set_token(token).await.unwrap();
    let mut children: Vec<_> =
        (0..PROCESSES).map(|_| command("token").env("TOKEN_URL", &url).spawn().unwrap()).collect();
    let mut outputs: Vec<_> = children
        .iter_mut()
        .map(|child| BufReader::new(child.stdout.take().unwrap()).lines())
        .collect();
    for lines in &mut outputs {
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
    }
    for child in &mut children {
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
    let tokens: Vec<_> = outputs.iter_mut().map(|lines| lines.next().unwrap().unwrap()).collect();
    children.into_iter().for_each(|child| drop(end(child)));
    assert_eq!(provider.counts().token_requests, 1, "of {PROCESSES} processes one asks");
    let stored = session(url).token().await.unwrap();
    assert_eq!(tokens, vec![stored.access_token().to_owned(); PROCESSES]);
}

/// A call that nothing can stop keeps neither a runtime nor a process.
pub(crate) async fn end_while_the_keychain_hangs() {
    keychain::daemon("pause");
    let output = end(begin("load"));
    keychain::daemon("resume");
    assert_eq!(output, "no answer\n");
}

pub(crate) async fn no_session_bus() {
    let mut command = command("load");
    let address = "unix:path=/nonexistent/bus";
    let output = end(command.env("DBUS_SESSION_BUS_ADDRESS", address).spawn().unwrap());
    assert_eq!(output, "Err(true)\n");
}
