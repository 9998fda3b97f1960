//! The store in files: what is on the disk, who may read it, and what is never written over.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::FutureExt as _;
use reqwest_oauth2::Token;
use reqwest_oauth2::store::{
    FileStore, Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version,
};
use tempfile::TempDir;

use super::{met, stored};
use crate::support::World;

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

    pub async fn swap(
        &self,
        expected: Option<Version>,
        json: &str,
    ) -> Result<SwapOutcome, StoreError> {
        self.store.compare_and_swap(&key(), expected, &Record::new(json)).await
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
async fn one_file_is_stored_and_replaced() {
    let disk = Disk::new();
    assert!(disk.load().await.unwrap().is_none());
    let first = stored(disk.swap(None, r#"{"n":1}"#).await);
    assert_eq!(met(disk.swap(None, "{}").await).as_deref(), Some(r#"{"n":1}"#));
    let handle = FileStore::file(disk.path("token.json"));
    let second = handle.compare_and_swap(&key(), Some(first), &Record::new(r#"{"n":2}"#)).await;
    let second = stored(second);
    disk.holds(r#"{"n":2}"#);
    let loaded = disk.load().await.unwrap().unwrap();
    assert_eq!((loaded.version(), loaded.json()), (second, r#"{"n":2}"#));
    assert_eq!(disk.names(), ["token.json", "token.json.lock"]);
    assert_eq!(fs::read(disk.path("token.json.lock")).unwrap(), b"", "a lock has no content");
}

#[tokio::test]
async fn one_file_holds_one_login() {
    let disk = Disk::new();
    let others = [
        TokenKey::new("https://a.example", "foo", "bob"),
        TokenKey::new("https://b.example", "foo", "alice"),
        key().scope("mail"),
    ];
    let clone = disk.store.clone();
    stored(disk.swap(None, "{}").await);
    for other in others {
        let on_load = clone.load(&other).await.unwrap_err();
        let on_swap = clone.compare_and_swap(&other, None, &Record::new("[]")).await.unwrap_err();
        for error in [on_load, on_swap] {
            assert!(
                error.is_config() && chain(&error).contains("FileStore::directory"),
                "{error:?}"
            );
            assert!(!chain(&error).contains("alice") && !chain(&error).contains("bob"));
        }
    }
    disk.holds("{}");
    assert!(clone.load(&key()).await.unwrap().is_some());
}

/// The login is that of the value: the file itself has no key.
#[tokio::test]
async fn another_value_may_read_the_file_under_another_key() {
    let disk = Disk::new();
    stored(disk.swap(None, "{}").await);
    let bob = TokenKey::new("https://a.example", "foo", "bob");
    let store = FileStore::file(disk.path("token.json"));
    assert_eq!(store.load(&bob).await.unwrap().unwrap().json(), "{}");
    assert!(store.load(&key()).await.unwrap_err().is_config());
}

#[tokio::test]
async fn looking_makes_nothing() {
    let above = tempfile::tempdir().unwrap();
    let store = FileStore::directory(above.path().join("deep/tokens"));
    assert!(store.load(&key()).await.unwrap().is_none());
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
    stored(disk.swap(Some(record.version()), r#"{"access_token":"b"}"#).await);
    disk.holds(r#"{"access_token":"b"}"#);
}

/// As Python's json writes numbers that are none, and as editors write a file.
#[tokio::test]
async fn a_file_that_is_not_quite_json_loads_and_the_next_one_is() {
    for begins in ["", "\u{feff}"] {
        let world = World::new().await;
        let token = world.provider.log_in();
        let refresh_token = token["refresh_token"].as_str().unwrap().to_owned();
        let access_token = token["access_token"].as_str().unwrap().to_owned();
        let disk = Disk::new();
        let json = format!(
            "{begins}{{\"access_token\": \"{access_token}\", \"refresh_token\": \"{refresh_token}\", \
             \"expires_at\": Infinity, \"x\": NaN}}\n"
        );
        fs::write(disk.path("token.json"), json).unwrap();
        let session =
            world.session().store(FileStore::file(disk.path("token.json")), "alice").build();
        let token = session.token().await.unwrap();
        assert_eq!((token.access_token(), token.expires_at()), (&*access_token, None));
        session.refresh().await.unwrap();
        session.shutdown().await.unwrap();
        let stored = fs::read_to_string(disk.path("token.json")).unwrap();
        let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
        assert_ne!(stored["refresh_token"], refresh_token);
        assert_eq!(stored["x"], "NaN");
        assert_eq!(world.provider.counts().token_requests, 1);
    }
}

#[tokio::test]
async fn what_another_program_wrote_meanwhile_is_not_lost() {
    let disk = Disk::new();
    let ours = stored(disk.swap(None, r#"{"n":1}"#).await);
    fs::write(disk.path("token.json"), r#"{"n":"theirs"}"#).unwrap();
    let lost = disk.swap(Some(ours), r#"{"n":2}"#).await;
    assert_eq!(met(lost).as_deref(), Some(r#"{"n":"theirs"}"#));
    disk.holds(r#"{"n":"theirs"}"#);
}

#[tokio::test]
async fn a_corrupt_file_is_an_error_and_stays() {
    // Cut off at the limit it would be JSON.
    let large = format!("{{}}{}", " ".repeat(2 * 1024 * 1024));
    for content in [
        &b"{\"access_token\":\"s3cret\""[..],
        b"{} s3cret",
        b"s3cret",
        b"\"s3cret\xff\"",
        large.as_bytes(),
    ] {
        let disk = Disk::new();
        fs::write(disk.path("token.json"), content).unwrap();
        let on_load = disk.load().await.unwrap_err();
        let on_commit = disk.swap(None, "{}").await.unwrap_err();
        let version = on_load.version().unwrap();
        let another = Version::from_number(version.number() ^ 1);
        let on_guess = disk.swap(Some(another), "{}").await.unwrap_err();
        for error in [on_load, on_commit, on_guess] {
            assert!(error.is_corrupt(), "{error:?}");
            assert_eq!(error.version(), Some(version));
            assert!(!chain(&error).contains("s3cret"), "{}", chain(&error));
            assert!(chain(&error).contains(&format!("{:?}", disk.path("token.json"))), "{error:?}");
        }
        assert_eq!(fs::read(disk.path("token.json")).unwrap(), content);
        assert_eq!(disk.names(), ["token.json", "token.json.lock"]);
        // A caller that names the version replaces it.
        stored(disk.swap(Some(version), r#"{"n":1}"#).await);
        disk.holds(r#"{"n":1}"#);
        assert_eq!(fs::read(disk.path("token.json.broken")).unwrap(), content);
        // The last one is kept.
        fs::write(disk.path("token.json"), "broken again").unwrap();
        let version = disk.load().await.unwrap_err().version();
        stored(disk.swap(version, r#"{"n":2}"#).await);
        assert_eq!(fs::read(disk.path("token.json.broken")).unwrap(), b"broken again");
        assert_eq!(disk.names(), ["token.json", "token.json.broken", "token.json.lock"]);
    }
}

#[tokio::test]
async fn a_file_with_nothing_in_it_holds_no_record() {
    for content in ["", "\n", " \r\n\t"] {
        let disk = Disk::new();
        fs::write(disk.path("token.json"), content).unwrap();
        assert!(disk.load().await.unwrap().is_none());
        let version = Record::new("{}").version();
        assert_eq!(met(disk.swap(Some(version), "{}").await), None);
        stored(disk.swap(None, r#"{"n":1}"#).await);
        disk.holds(r#"{"n":1}"#);
        assert_eq!(disk.names(), ["token.json", "token.json.lock"]);
    }
}

#[tokio::test]
async fn what_is_no_file_is_an_error_and_stays() {
    let disk = Disk::new();
    fs::create_dir(disk.path("token.json")).unwrap();
    assert!(disk.load().await.unwrap_err().is_corrupt());
    assert!(disk.swap(None, "{}").await.unwrap_err().is_corrupt());
    assert!(disk.path("token.json").is_dir());

    let below_a_file = FileStore::file(disk.path("file/token.json"));
    fs::write(disk.path("file"), "").unwrap();
    assert!(below_a_file.load(&key()).await.unwrap_err().is_config());
    assert!(
        below_a_file
            .compare_and_swap(&key(), None, &Record::new("{}"))
            .await
            .unwrap_err()
            .is_config()
    );
}

#[tokio::test]
async fn what_could_not_be_read_again_is_not_written() {
    let disk = Disk::new();
    let first = stored(disk.swap(None, "{}").await);
    for json in ["{", &format!("{}1", " ".repeat(2 * 1024 * 1024))] {
        assert!(disk.swap(Some(first), json).await.unwrap_err().is_config());
    }
    disk.holds("{}");
    let largest = format!("{}1", " ".repeat(2 * 1024 * 1024 - 1));
    stored(disk.swap(Some(first), &largest).await);
    assert!(disk.load().await.unwrap().is_some());
}

#[tokio::test]
async fn a_rename_that_fails_leaves_nothing_behind() {
    let disk = Disk::new();
    let first = stored(disk.swap(None, "{}").await);
    // In the way of the temporary file.
    fs::create_dir_all(disk.path("token.json.reqwest-oauth2.tmp/x")).unwrap();
    disk.swap(Some(first), r#"{"n":1}"#).await.unwrap_err();
    disk.holds("{}");
    fs::remove_dir_all(disk.path("token.json.reqwest-oauth2.tmp")).unwrap();
    stored(disk.swap(Some(first), r#"{"n":1}"#).await);
    assert_eq!(disk.names(), ["token.json", "token.json.lock"]);
}

#[tokio::test]
async fn a_dropped_swap_is_finished() {
    let disk = Disk::new();
    let lock = File::create(disk.path("token.json.lock")).unwrap();
    lock.lock().unwrap();
    assert!(disk.swap(None, r#"{"n":1}"#).now_or_never().is_none(), "it waits for the lock");
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
        stored(store.compare_and_swap(&key(), None, &Record::new("{}")).await);
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
        assert_eq!(mode(&disk.path("token.json")), 0o600, "at loading");
        stored(disk.swap(Some(loaded), r#"{"n":1}"#).await);
        assert_eq!(mode(&disk.path("token.json")), 0o600);
        disk.holds(r#"{"n":1}"#);
        assert_eq!(disk.names(), ["token.json", "token.json.lock"], "a dead process's is removed");
    }

    #[tokio::test]
    async fn a_linked_token_file_is_refused() {
        let disk = Disk::new();
        fs::write(disk.path("other"), "{}").unwrap();
        for target in ["other", "nowhere"] {
            symlink(disk.path(target), disk.path("token.json")).unwrap();
            let version = Record::new("{}").version();
            assert!(disk.load().await.unwrap_err().is_config());
            for expected in [None, Some(version)] {
                assert!(disk.swap(expected, r#"{"n":1}"#).await.unwrap_err().is_config());
            }
            assert!(fs::symlink_metadata(disk.path("token.json")).unwrap().is_symlink());
            fs::remove_file(disk.path("token.json")).unwrap();
            assert_eq!(fs::read_to_string(disk.path("other")).unwrap(), "{}");
            assert!(!disk.path("nowhere").exists());
        }
    }

    #[tokio::test]
    async fn a_linked_lock_file_is_refused() {
        let disk = Disk::new();
        fs::write(disk.path("other"), "{}").unwrap();
        for target in ["other", "nowhere"] {
            symlink(disk.path(target), disk.path("token.json.lock")).unwrap();
            assert!(disk.swap(None, "{}").await.unwrap_err().is_config());
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
        stored(disk.swap(None, "{}").await);
        disk.holds("{}");
        assert!(!fs::symlink_metadata(disk.path("token.json")).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(disk.path("other")).unwrap(), "theirs");
    }

    #[tokio::test]
    async fn a_pipe_is_not_waited_for() {
        let disk = Disk::new();
        let made = std::process::Command::new("mkfifo").arg(disk.path("token.json")).status();
        assert!(made.unwrap().success());
        let load = tokio::time::timeout(Duration::from_secs(10), disk.load()).await;
        if load.is_err() {
            // Lets the thread that waits go on, for the test to fail and not hang.
            drop(fs::OpenOptions::new().write(true).open(disk.path("token.json")));
        }
        assert!(load.expect("no writer is waited for").unwrap_err().is_corrupt());
    }
}
