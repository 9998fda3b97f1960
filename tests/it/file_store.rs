//! The store in files: what is on the disk, who may read it, and what is never written over.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::FutureExt as _;
use reqwest_oauth2::Token;
use reqwest_oauth2::store::{
    Committed, FileStore, Lease, Record, StoreError, TokenKey, TokenStore, Version,
};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(600);

pub fn key() -> TokenKey {
    TokenKey::new("https://a.example", "foo", "alice")
}

/// A store of one file, in a directory of its own.
pub struct Disk {
    pub directory: TempDir,
    pub store: FileStore,
}

impl Disk {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::file(directory.path().join("token.json"));
        Self { directory, store }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn names(&self) -> Vec<String> {
        names(self.directory.path())
    }

    pub async fn load(&self) -> Result<Option<Record>, StoreError> {
        self.store.load(&key()).await
    }

    pub async fn commit(
        &self,
        replaces: Option<Version>,
        json: &str,
    ) -> Result<Committed, StoreError> {
        self.store.commit(&key(), replaces, &Record::new(json)).await
    }

    #[track_caller]
    fn holds(&self, content: &str) {
        assert_eq!(fs::read_to_string(self.path("token.json")).unwrap(), content);
    }
}

/// Asks until it is so; a minute is far more than it takes.
pub async fn eventually(condition: impl AsyncFn() -> bool) {
    let asked = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asked).await.expect("it never came to be");
}

fn names(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|e| name(e).into_string().unwrap()).collect();
    names.sort();
    names
}

fn version(committed: Committed) -> Version {
    match committed {
        Committed::Saved(version) => version,
        Committed::Conflict(present) => panic!("lost to {present:?}"),
    }
}

#[track_caller]
fn in_place(committed: Committed) -> Option<String> {
    match committed {
        Committed::Conflict(present) => present.map(|record| record.json().to_owned()),
        Committed::Saved(version) => panic!("saved as {version:?}"),
    }
}

fn chain(error: &StoreError) -> String {
    let mut text = format!("{error:?}");
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        text += &format!("\n{error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn one_file_is_stored_leased_and_deleted() {
    let disk = Disk::new();
    let (one, other) = (Lease::new(LONG), Lease::new(LONG));
    assert!(disk.load().await.unwrap().is_none());
    let first = version(disk.commit(None, r#"{"n":1}"#).await.unwrap());
    assert_eq!(in_place(disk.commit(None, "{}").await.unwrap()).as_deref(), Some(r#"{"n":1}"#));
    let handle = FileStore::file(disk.path("token.json"));
    assert!(handle.lease(&key(), &one).await.unwrap());
    assert!(!disk.store.lease(&key(), &other).await.unwrap(), "both handles are one store");
    let second = version(disk.commit(Some(first), r#"{"n":2}"#).await.unwrap());
    disk.holds(r#"{"n":2}"#);
    let loaded = disk.load().await.unwrap().unwrap();
    assert_eq!((loaded.version(), loaded.json()), (second, r#"{"n":2}"#));
    let of_another = TokenKey::new("https://b.example", "bar", "bob");
    assert!(disk.store.load(&of_another).await.unwrap().is_some(), "every key is this file");
    assert_eq!(disk.names(), ["token.json", "token.json.lock"]);
    disk.store.delete(&key()).await.unwrap();
    assert!(disk.load().await.unwrap().is_none());
    #[cfg(unix)]
    assert!(disk.names().is_empty(), "{:?}", disk.names());
    assert!(disk.store.lease(&key(), &other).await.unwrap(), "the lease went with the file");
}

#[tokio::test]
async fn looking_makes_nothing() {
    let above = tempfile::tempdir().unwrap();
    let store = FileStore::directory(above.path().join("deep/tokens"));
    assert!(store.load(&key()).await.unwrap().is_none());
    store.release(&key(), &Lease::new(LONG)).await.unwrap();
    store.delete(&key()).await.unwrap();
    assert!(names(above.path()).is_empty());
}

#[tokio::test]
async fn a_file_of_requests_oauthlib_loads_as_it_is() {
    let disk = Disk::new();
    let json = "{\"access_token\": \"a\", \"token_type\": \"Bearer\", \"refresh_token\": \"r\",\n \
                \"expires_in\": 3600, \"expires_at\": 1700000000.25, \"scope\": [\"x\", \"y\"]}\n";
    fs::write(disk.path("token.json"), json).unwrap();
    let record = disk.load().await.unwrap().unwrap();
    assert_eq!(record.json(), json);
    serde_json::from_str::<Token>(record.json()).unwrap();
    version(disk.commit(Some(record.version()), r#"{"access_token":"b"}"#).await.unwrap());
    disk.holds(r#"{"access_token":"b"}"#);
}

#[tokio::test]
async fn what_another_program_wrote_meanwhile_is_not_lost() {
    let disk = Disk::new();
    let ours = version(disk.commit(None, r#"{"n":1}"#).await.unwrap());
    fs::write(disk.path("token.json"), r#"{"n":"theirs"}"#).unwrap();
    let lost = disk.commit(Some(ours), r#"{"n":2}"#).await.unwrap();
    assert_eq!(in_place(lost).as_deref(), Some(r#"{"n":"theirs"}"#));
    disk.holds(r#"{"n":"theirs"}"#);
}

#[tokio::test]
async fn a_corrupt_file_is_an_error_and_stays() {
    let large = format!("{}{{}}", " ".repeat(1024 * 1024));
    for content in [
        &b""[..],
        b"{\"access_token\":\"s3cret\"",
        b"{} s3cret",
        b"s3cret",
        b"\"s3cret\xff\"",
        large.as_bytes(),
    ] {
        let disk = Disk::new();
        fs::write(disk.path("token.json"), content).unwrap();
        let on_load = disk.load().await.unwrap_err();
        let on_commit = disk.commit(None, "{}").await.unwrap_err();
        let guessed = Record::new(String::from_utf8_lossy(content)).version();
        let on_guess = disk.commit(Some(guessed), "{}").await.unwrap_err();
        for error in [on_load, on_commit, on_guess] {
            assert!(error.is_corrupt(), "{error:?}");
            assert!(!chain(&error).contains("s3cret"), "{}", chain(&error));
        }
        assert_eq!(fs::read(disk.path("token.json")).unwrap(), content);
        assert_eq!(disk.names(), ["token.json", "token.json.lock"]);
        disk.store.delete(&key()).await.unwrap();
        version(disk.commit(None, "{}").await.unwrap());
    }
}

#[tokio::test]
async fn what_is_no_file_is_an_error_and_stays() {
    let disk = Disk::new();
    fs::create_dir(disk.path("token.json")).unwrap();
    assert!(disk.load().await.unwrap_err().is_corrupt());
    assert!(disk.commit(None, "{}").await.unwrap_err().is_corrupt());
    fs::write(disk.path("token.json").join("file"), "").unwrap();
    assert!(disk.store.delete(&key()).await.unwrap_err().is_corrupt(), "it may be somebody's");
    assert!(disk.path("token.json/file").exists());
    fs::remove_file(disk.path("token.json/file")).unwrap();
    disk.store.delete(&key()).await.unwrap();
    assert!(!disk.path("token.json").exists());

    let below_a_file = FileStore::file(disk.path("file/token.json"));
    fs::write(disk.path("file"), "").unwrap();
    assert!(below_a_file.load(&key()).await.unwrap_err().is_config());
    assert!(below_a_file.commit(&key(), None, &Record::new("{}")).await.unwrap_err().is_config());
}

#[tokio::test]
async fn what_could_not_be_read_again_is_not_written() {
    let disk = Disk::new();
    let first = version(disk.commit(None, "{}").await.unwrap());
    for json in ["{", &format!("{}1", " ".repeat(1024 * 1024))] {
        assert!(disk.commit(Some(first), json).await.unwrap_err().is_config());
    }
    disk.holds("{}");
    let largest = format!("{}1", " ".repeat(1024 * 1024 - 1));
    version(disk.commit(Some(first), &largest).await.unwrap());
    assert!(disk.load().await.unwrap().is_some());
}

#[tokio::test]
async fn a_rename_that_fails_leaves_nothing_behind() {
    let disk = Disk::new();
    let first = version(disk.commit(None, "{}").await.unwrap());
    // In the way of the temporary file.
    fs::create_dir_all(disk.path("token.json.reqwest-oauth2.tmp/x")).unwrap();
    disk.commit(Some(first), r#"{"n":1}"#).await.unwrap_err();
    disk.holds("{}");
    fs::remove_dir_all(disk.path("token.json.reqwest-oauth2.tmp")).unwrap();
    version(disk.commit(Some(first), r#"{"n":1}"#).await.unwrap());
    assert_eq!(disk.names(), ["token.json", "token.json.lock"]);
}

#[tokio::test]
async fn an_illegible_lease_is_free_and_one_of_the_future_is_over() {
    let disk = Disk::new();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let note =
        |begin: u128, end: u128| format!(r#"{{"holder":"somebody","begin":{begin},"end":{end}}}"#);
    for (note, granted) in [
        (String::new(), true),
        ("?".into(), true),
        (note(now - 1_000, now + 600_000), false),
        (note(now - 600_000, now - 1), true),
        // The clock has gone back: nobody waits until it has caught up.
        (note(now + 3_600_000, now + 4_000_000), true),
    ] {
        fs::write(disk.path("token.json.lock"), &note).unwrap();
        let lease = Lease::new(LONG);
        assert_eq!(disk.store.lease(&key(), &lease).await.unwrap(), granted, "{note}");
    }
}

#[tokio::test]
async fn a_dropped_commit_is_finished() {
    let disk = Disk::new();
    let lock = File::create(disk.path("token.json.lock")).unwrap();
    lock.lock().unwrap();
    assert!(disk.commit(None, r#"{"n":1}"#).now_or_never().is_none(), "it waits for the lock");
    lock.unlock().unwrap();
    eventually(async || disk.load().await.unwrap().is_some()).await;
    disk.holds(r#"{"n":1}"#);
    assert_eq!(disk.names(), ["token.json", "token.json.lock"]);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[track_caller]
    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[tokio::test]
    async fn only_the_owner_reads() {
        let above = tempfile::tempdir().unwrap();
        let directory = above.path().join("deep/tokens");
        let store = FileStore::directory(&directory);
        assert!(store.lease(&key(), &Lease::new(LONG)).await.unwrap());
        version(store.commit(&key(), None, &Record::new("{}")).await.unwrap());
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(directory.parent().unwrap()), 0o700);
        let names = names(&directory);
        assert!(names.len() == 2 && names[0].starts_with("alice-"), "{names:?}");
        for name in names {
            assert_eq!(mode(&directory.join(&name)), 0o600, "{name}");
        }
    }

    #[tokio::test]
    async fn what_others_could_read_is_tightened() {
        let disk = Disk::new();
        for name in ["token.json", "token.json.reqwest-oauth2.tmp"] {
            fs::write(disk.path(name), "{}").unwrap();
            fs::set_permissions(disk.path(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
        let loaded = disk.load().await.unwrap().unwrap().version();
        version(disk.commit(Some(loaded), r#"{"n":1}"#).await.unwrap());
        assert_eq!(mode(&disk.path("token.json")), 0o600);
        disk.holds(r#"{"n":1}"#);
        assert_eq!(disk.names(), ["token.json", "token.json.lock"], "a dead process's is removed");
        fs::write(disk.path("token.json.reqwest-oauth2.tmp"), "{}").unwrap();
        disk.store.delete(&key()).await.unwrap();
        assert!(disk.names().is_empty(), "{:?}", disk.names());
    }

    #[tokio::test]
    async fn a_linked_token_file_is_refused() {
        let disk = Disk::new();
        fs::write(disk.path("other"), "{}").unwrap();
        for target in ["other", "nowhere"] {
            symlink(disk.path(target), disk.path("token.json")).unwrap();
            let version = Record::new("{}").version();
            assert!(disk.load().await.unwrap_err().is_config());
            for replaces in [None, Some(version)] {
                assert!(disk.commit(replaces, r#"{"n":1}"#).await.unwrap_err().is_config());
            }
            assert!(fs::symlink_metadata(disk.path("token.json")).unwrap().is_symlink());
            disk.store.delete(&key()).await.unwrap();
            assert_eq!(disk.names(), ["other"], "the link is removed, and not what it names");
            assert_eq!(fs::read_to_string(disk.path("other")).unwrap(), "{}");
        }
    }

    #[tokio::test]
    async fn a_linked_lock_file_is_refused() {
        let disk = Disk::new();
        fs::write(disk.path("other"), "{}").unwrap();
        for target in ["other", "nowhere"] {
            symlink(disk.path(target), disk.path("token.json.lock")).unwrap();
            let lease = Lease::new(LONG);
            assert!(disk.commit(None, "{}").await.unwrap_err().is_config());
            assert!(disk.store.lease(&key(), &lease).await.unwrap_err().is_config());
            assert!(disk.store.release(&key(), &lease).await.unwrap_err().is_config());
            assert!(disk.store.delete(&key()).await.unwrap_err().is_config());
            assert_eq!(disk.names(), ["other", "token.json.lock"]);
            assert_eq!(fs::read_to_string(disk.path("other")).unwrap(), "{}");
            fs::remove_file(disk.path("token.json.lock")).unwrap();
        }
    }

    #[tokio::test]
    async fn a_link_in_place_of_the_temporary_file_is_not_followed() {
        let disk = Disk::new();
        fs::write(disk.path("other"), "theirs").unwrap();
        symlink(disk.path("other"), disk.path("token.json.reqwest-oauth2.tmp")).unwrap();
        version(disk.commit(None, "{}").await.unwrap());
        disk.holds("{}");
        assert!(!fs::symlink_metadata(disk.path("token.json")).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(disk.path("other")).unwrap(), "theirs");
    }

    #[tokio::test]
    async fn a_pipe_is_not_waited_for() {
        let disk = Disk::new();
        let made = std::process::Command::new("mkfifo").arg(disk.path("token.json")).status();
        assert!(made.unwrap().success());
        let load = tokio::time::timeout(LONG / 60, disk.load()).await;
        if load.is_err() {
            // Lets the thread that waits go on, for the test to fail and not hang.
            drop(fs::OpenOptions::new().write(true).open(disk.path("token.json")));
        }
        assert!(load.expect("no writer is waited for").unwrap_err().is_corrupt());
    }
}
