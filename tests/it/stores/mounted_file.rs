//! A token file that cannot be replaced, as in a container that mounts it by itself; and stores that cannot
//! save at all, which is noticed before a refresh token is presented.
//!
//! Each test mounts in a namespace of its own (`unshare -rm`), and skips where the machine does not permit
//! that.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest_oauth2::Session;
use reqwest_oauth2::store::{FileStore, Record, SwapOutcome, TokenStore};

use super::file::key;
use super::stored;
use crate::support::World;

const TASK: &str = "REQWEST_OAUTH2_MOUNT_TASK";
const PROCESSES: usize = 4;
const ROUNDS: usize = 25;

/// The file on the host, and a directory for the container with an empty file to mount it on.
struct Host {
    directory: tempfile::TempDir,
}

impl Host {
    /// `None` where nothing can be mounted.
    fn new(content: &str) -> Option<Self> {
        let probe = ["-rm", "sh", "-c", "mount -t tmpfs none /mnt && mount --bind /mnt /mnt"];
        let probe = Command::new("unshare").args(probe).output();
        if !probe.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: this machine does not permit mounts in a namespace");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("real.json"), content).unwrap();
        Some(Self { directory })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn container(&self, name: &str) -> PathBuf {
        let container = self.path(name);
        fs::create_dir(&container).unwrap();
        fs::write(container.join("token.json"), "").unwrap();
        container
    }

    /// Begins a process in a container, with the real file mounted, and what else the script mounts.
    fn begin(&self, task: &str, container: &Path, script: &str) -> Child {
        let script = format!(
            r#"set -e; cd "$C"; mount --bind "$REAL" token.json; {script}; exec "$0" "$@""#
        );
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", &script]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "stores::mounted_file::child", "--nocapture"]);
        command.env("C", container).env("REAL", self.path("real.json"));
        command.env(TASK, task).env("REQWEST_OAUTH2_FILE", container.join("token.json"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    #[track_caller]
    fn run(&self, task: &str, container: &Path, script: &str) {
        end(self.begin(task, container, script));
    }

    fn read(&self) -> String {
        fs::read_to_string(self.path("real.json")).unwrap()
    }
}

#[track_caller]
fn end(child: Child) {
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn session(world: &World, file: &Path) -> Session {
    world.session().store(FileStore::file(file), "alice").strict_saving().build()
}

fn counted(record: &Record) -> usize {
    let numbers: Vec<usize> = serde_json::from_str(record.json()).unwrap();
    assert!(numbers.iter().all(|number| *number == numbers[0]), "half of one, half of another");
    numbers[0]
}

/// Lengths differ from one document to the next.
async fn count_up(store: &FileStore, length: usize) {
    loop {
        let present = store.load(&key()).await.unwrap();
        let next = present.as_ref().map_or(0, counted) + 1;
        let numbers = vec![next; 1 + next * 7919 % length];
        let record = Record::new(serde_json::to_string(&numbers).unwrap());
        let expected = present.map(|record| record.version());
        let swapped = store.compare_and_swap(&key(), expected, &record).await.unwrap();
        if let SwapOutcome::Stored(_) = swapped {
            return;
        }
    }
}

/// What the processes of the tests do; by itself, nothing.
#[tokio::test]
async fn child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let file = PathBuf::from(std::env::var_os("REQWEST_OAUTH2_FILE").unwrap());
    let store = FileStore::file(&file);
    match &*task {
        "log in and renew" => {
            let world = World::new().await;
            let error = session(&world, &file).token().await.unwrap_err();
            assert!(error.is_reauthorization_required(), "{error:?}");
            session(&world, &file).set_token(world.expired_token()).await.unwrap();
            let renewed = session(&world, &file).token().await.unwrap();
            assert_eq!(world.provider.counts().refreshes, 1);
            let loaded = session(&world, &file).token().await.unwrap();
            assert_eq!(loaded.access_token(), renewed.access_token());
            assert!(fs::read_to_string(&file).unwrap().contains(renewed.access_token()));
        }
        "cannot renew" => {
            let world = World::new().await;
            let error = session(&world, &file).token().await.unwrap_err();
            assert!(error.is_store(), "{error:?}");
            let cause = std::error::Error::source(&error).unwrap().to_string();
            let expected = std::env::var("EXPECTED").unwrap();
            assert_eq!(cause, format!("token file {file:?}: {expected}"));
            assert_eq!(world.provider.counts().token_requests, 0, "nothing was presented");
        }
        "replace what is broken" => {
            let error = store.load(&key()).await.unwrap_err();
            stored(store.compare_and_swap(&key(), error.version(), &Record::new("[1]")).await);
        }
        "keep what is broken" => {
            let error = store.load(&key()).await.unwrap_err();
            let swap = store.compare_and_swap(&key(), error.version(), &Record::new("[1]")).await;
            assert!(swap.unwrap_err().is_config());
        }
        "count" => {
            for _ in 0..ROUNDS {
                count_up(&store, 500).await;
            }
        }
        "go on" => loop {
            count_up(&store, 20_000).await;
        },
        task => panic!("no task: {task}"),
    }
}

#[test]
fn a_file_that_is_mounted_by_itself_is_written_in_place() {
    let Some(host) = Host::new("") else { return };
    let container = host.container("c");
    host.run("log in and renew", &container, "true");
    assert!(host.read().contains("access_token"));
    let names = fs::read_dir(&container).unwrap().count();
    assert_eq!(names, 2, "the token file and the lock beside it");
}

#[test]
fn a_file_in_a_directory_that_cannot_be_written_is_written_in_place() {
    let Some(host) = Host::new("") else { return };
    let container = host.container("c");
    let read_only = r#"mount --bind "$C" "$C"; cd "$C"; mount -o remount,ro,bind "$C"; \
                       mount --bind "$REAL" token.json"#;
    host.run("log in and renew", &container, read_only);
    assert!(host.read().contains("access_token"));
    assert_eq!(fs::read_dir(&container).unwrap().count(), 1, "no lock could be made");
}

/// A token of no session, expired long ago: a renewal is due at once.
const EXPIRED: &str =
    r#"{"access_token":"a","refresh_token":"r","token_type":"Bearer","expires_at":1}"#;

#[test]
fn a_store_that_cannot_save_is_noticed_before_a_refresh_token_is_presented() {
    for (script, expected) in [
        ("mount -o remount,ro,bind token.json", "Read-only file system (os error 30)"),
        (
            r#"mount -t tmpfs -o size=8k,nr_inodes=20 none "$C"; cd "$C"; cp "$REAL" token.json;
               cat /dev/zero > filler 2>/dev/null || true"#,
            "No space left on device (os error 28)",
        ),
        ("mkdir token.json.lock", "Is a directory (os error 21)"),
        (
            "umount token.json; rm token.json; mkdir token.json",
            "it is a directory; a container that mounts a file makes one where the file is missing: create the file first",
        ),
        (
            "umount token.json; cp \"$REAL\" token.json; mkdir token.json.reqwest-oauth2.tmp",
            "Is a directory (os error 21)",
        ),
    ] {
        let Some(host) = Host::new(EXPIRED) else { return };
        let container = host.container("c");
        let script = format!("{script}; export EXPECTED='{expected}'");
        host.run("cannot renew", &container, &script);
        assert_eq!(host.read(), EXPIRED);
    }
}

#[test]
fn what_is_broken_is_copied_aside_where_the_file_has_to_stay() {
    let Some(host) = Host::new("{\"access_token\":") else { return };
    let container = host.container("c");
    host.run("replace what is broken", &container, "true");
    assert_eq!(host.read(), "[1]");
    let broken = fs::read_to_string(container.join("token.json.broken")).unwrap();
    assert_eq!(broken, "{\"access_token\":");
}

#[test]
fn what_is_broken_stays_where_nothing_can_be_kept_aside() {
    let Some(host) = Host::new("{\"access_token\":") else { return };
    let container = host.container("c");
    let read_only = r#"mount --bind "$C" "$C"; cd "$C"; mount -o remount,ro,bind "$C"; \
                       mount --bind "$REAL" token.json"#;
    host.run("keep what is broken", &container, read_only);
    assert_eq!(host.read(), "{\"access_token\":");
}

/// Each has a lock of its own beside the file: that of the file itself counts.
#[tokio::test]
async fn no_swap_of_many_containers_is_lost() {
    let Some(host) = Host::new("") else { return };
    let children: Vec<_> = (0..PROCESSES)
        .map(|i| host.begin("count", &host.container(&i.to_string()), "true"))
        .collect();
    children.into_iter().for_each(end);
    let store = FileStore::file(host.path("real.json"));
    let number = counted(&store.load(&key()).await.unwrap().unwrap());
    assert_eq!(number, PROCESSES * ROUNDS, "each stored swap counts");
}

#[tokio::test]
async fn a_container_that_is_killed_leaves_a_whole_document() {
    let Some(host) = Host::new("") else { return };
    let container = host.container("c");
    // Reads as the container does; a swap here would replace the file.
    let store = FileStore::file(host.path("real.json"));
    let last = async || store.load(&key()).await.unwrap().as_ref().map_or(0, counted);
    for _ in 0..5 {
        let before = last().await;
        let mut child = host.begin("go on", &container, "true");
        super::file::eventually(async || last().await > before + 3).await;
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(last().await > before + 3);
    }
    host.run("count", &container, "true");
    let text = host.read();
    serde_json::from_str::<Vec<usize>>(&text).unwrap();
}
