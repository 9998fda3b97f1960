//! The store in files, among processes: each is this test program, asked for [`child`] alone.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest_oauth2::store::{FileStore, Record, StoreError, SwapOutcome, TokenStore};

use super::file::{Disk, eventually, key};

const TASK: &str = "REQWEST_OAUTH2_FILE_TASK";
const PROCESSES: usize = 4;
const ROUNDS: usize = 25;

/// The command for a process that does the task with the file.
fn command(program: impl AsRef<std::ffi::OsStr>, task: &str, file: &Path) -> Command {
    let mut command = Command::new(program);
    command.env(TASK, task).env("REQWEST_OAUTH2_FILE", file).stdout(Stdio::piped());
    command
}

fn begin(task: &str, disk: &Disk) -> Child {
    let mut command = command(std::env::current_exe().unwrap(), task, &disk.path("token.json"));
    command.args(["--exact", "stores::file_processes::child"]).spawn().unwrap()
}

#[track_caller]
fn end(child: Child) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

async fn number(store: &FileStore) -> Result<Option<(Record, usize)>, StoreError> {
    let Some(record) = store.load(&key()).await? else { return Ok(None) };
    let numbers: Vec<usize> = serde_json::from_str(record.json()).unwrap();
    assert!(numbers.iter().all(|number| *number == numbers[0]), "half of one, half of another");
    Ok(Some((record, numbers[0])))
}

async fn count_up(store: &FileStore, length: usize) {
    loop {
        let present = number(store).await.unwrap();
        let (expected, next) =
            present.map_or((None, 1), |(record, number)| (Some(record.version()), number + 1));
        let record = Record::new(serde_json::to_string(&vec![next; length]).unwrap());
        if let SwapOutcome::Stored(_) =
            store.compare_and_swap(&key(), expected, &record).await.unwrap()
        {
            return;
        }
    }
}

/// What the processes of the other tests do; by itself, nothing.
#[tokio::test]
async fn child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let store = FileStore::file(std::env::var_os("REQWEST_OAUTH2_FILE").unwrap());
    match &*task {
        "count" => {
            for _ in 0..ROUNDS {
                count_up(&store, 1).await;
            }
        }
        "go on" => loop {
            count_up(&store, 20_000).await;
        },
        "write too much" => {
            let present = store.load(&key()).await.unwrap().unwrap().version();
            let large = Record::new(format!("\"{}\"", "x".repeat(100_000)));
            let error = store.compare_and_swap(&key(), Some(present), &large).await.unwrap_err();
            assert!(error.is_unavailable(), "{error:?}");
        }
        task => panic!("no task: {task}"),
    }
}

#[tokio::test]
async fn no_swap_of_many_processes_is_lost() {
    let disk = Disk::new();
    let children: Vec<_> = (0..PROCESSES).map(|_| begin("count", &disk)).collect();
    children.into_iter().for_each(end);
    let (_, number) = number(&disk.store).await.unwrap().unwrap();
    assert_eq!(number, PROCESSES * ROUNDS, "each stored swap counts");
}

#[tokio::test]
async fn a_killed_process_leaves_a_whole_file_and_no_lock() {
    let disk = Disk::new();
    for _ in 0..5 {
        let last = async || number(&disk.store).await.unwrap().map_or(0, |(_, number)| number);
        let before = last().await;
        let mut child = begin("go on", &disk);
        eventually(async || last().await > before + 3).await;
        child.kill().unwrap();
        child.wait().unwrap();
        count_up(&disk.store, 20_000).await;
        assert_eq!(disk.names(), ["token.json", "token.json.lock"]);
    }
}

/// A limit of the operating system on the size of a file, for want of a full disk: the write fails
/// in the middle of the document.
#[cfg(unix)]
#[tokio::test]
async fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
    let disk = Disk::new();
    count_up(&disk.store, 1).await;
    let mut shell = command("sh", "write too much", &disk.path("token.json"));
    let limited = r#"trap "" XFSZ; ulimit -f 8; exec "$0" "$@""#;
    shell.args(["-c", limited]).arg(std::env::current_exe().unwrap());
    end(shell.args(["--exact", "stores::file_processes::child"]).spawn().unwrap());
    assert_eq!(number(&disk.store).await.unwrap().unwrap().1, 1);
    assert_eq!(disk.names(), ["token.json", "token.json.lock"]);
}
