//! What every [`TokenStore`] must do, as a test that any of them can be put to.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::store::{Committed, Lease, Record, TokenKey, TokenStore, Version};

/// Longer than the suite takes, also on a slow machine.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(300);
/// How long the end of a short lease is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const AT_ONCE: usize = 16;

/// Puts a store to the test: what is stored, who wins, who may renew. `open` gives handles to the
/// same store, as two processes would have them. Uses keys of its own and leaves nothing behind, so
/// the store may be in use.
///
/// # Panics
///
/// Where the store does something else than it must, or fails.
pub async fn check_store<S: TokenStore>(open: impl AsyncFn() -> S) {
    let suite = Suite { one: open().await, other: open().await };
    suite.what_is_stored().await;
    suite.a_commit_wins_or_changes_nothing().await;
    suite.of_many_commits_one_wins().await;
    suite.keys_are_apart().await;
    suite.any_document_comes_back_as_it_was().await;
    suite.a_lease_is_one_holders().await;
    suite.of_many_leases_one_is_granted().await;
    suite.a_lease_ends_by_itself().await;
    suite.leases_and_records_leave_each_other_alone().await;
}

struct Suite<S> {
    one: S,
    other: S,
}

fn key() -> TokenKey {
    TokenKey::new("https://suite.example", "suite", &format!("{:032x}", rand::random::<u128>()))
}

fn pair(record: Record) -> (Version, String) {
    (record.version(), record.json().to_owned())
}

fn record(text: &str) -> Record {
    Record::new(format!(r#"{{"access_token":"{text}"}}"#))
}

impl<S: TokenStore> Suite<S> {
    async fn loaded(&self, key: &TokenKey) -> Option<(Version, String)> {
        let [one, other] = [&self.one, &self.other].map(|store| async {
            store.load(key).await.unwrap_or_else(|error| panic!("load: {error:?}")).map(pair)
        });
        let (one, other) = (one.await, other.await);
        assert_eq!(one, other, "both handles see the same record");
        one
    }

    async fn commit(
        &self,
        key: &TokenKey,
        replaces: Option<Version>,
        record: &Record,
    ) -> Committed {
        let committed = self.one.commit(key, replaces, record).await;
        committed.unwrap_or_else(|error| panic!("commit: {error:?}"))
    }

    /// Commits, and finds the document stored as it is, with the version that the store said.
    async fn saved(&self, key: &TokenKey, replaces: Option<Version>, record: &Record) -> Version {
        let version = match self.commit(key, replaces, record).await {
            Committed::Saved(version) => version,
            Committed::Conflict(present) => panic!("a commit that must win lost to {present:?}"),
        };
        assert_ne!(Some(version), replaces, "what is stored has the version of what it replaced");
        let stored = Some((version, record.json().to_owned()));
        assert_eq!(self.loaded(key).await, stored, "what is stored, and its version");
        version
    }

    async fn lease(&self, store: &S, key: &TokenKey, lease: &Lease) -> bool {
        store.lease(key, lease).await.unwrap_or_else(|error| panic!("lease: {error:?}"))
    }

    async fn release(&self, key: &TokenKey, lease: &Lease) {
        self.one.release(key, lease).await.unwrap_or_else(|error| panic!("release: {error:?}"));
    }

    async fn delete(&self, key: &TokenKey) {
        self.one.delete(key).await.unwrap_or_else(|error| panic!("delete: {error:?}"));
    }

    async fn what_is_stored(&self) {
        let key = key();
        assert_eq!(self.loaded(&key).await, None, "nothing is stored at first");
        self.delete(&key).await;
        let first = self.saved(&key, None, &record("first")).await;
        self.saved(&key, Some(first), &record("second")).await;
        self.delete(&key).await;
        assert_eq!(self.loaded(&key).await, None, "a deleted record is gone");
        self.saved(&key, None, &record("first")).await;
        self.delete(&key).await;
    }

    async fn a_commit_wins_or_changes_nothing(&self) {
        let (key, first, second, third) = (key(), record("1"), record("2"), record("3"));
        let in_place = |committed: Committed| match committed {
            Committed::Conflict(present) => present.map(pair),
            Committed::Saved(_) => panic!("a commit that must lose has won"),
        };
        let lost = self.commit(&key, Some(first.version()), &second).await;
        assert_eq!(in_place(lost), None, "there is nothing to replace");
        assert_eq!(self.loaded(&key).await, None, "a lost commit stores nothing");
        let one = self.saved(&key, None, &first).await;
        let lost = self.commit(&key, None, &second).await;
        assert_eq!(in_place(lost), Some((one, first.json().to_owned())), "something is there");
        let two = self.saved(&key, Some(one), &second).await;
        let stored = Some((two, second.json().to_owned()));
        let lost = self.commit(&key, Some(one), &third).await;
        assert_eq!(in_place(lost), stored, "another one is there");
        assert_eq!(self.loaded(&key).await, stored, "a lost commit changes nothing");
        self.delete(&key).await;
        let lost = self.commit(&key, Some(two), &third).await;
        assert_eq!(in_place(lost), None, "it was deleted meanwhile");
    }

    async fn of_many_commits_one_wins(&self) {
        let key = key();
        let mut replaces = None;
        for _ in 0..2 {
            let rivals: Vec<_> = (0..AT_ONCE).map(|i| record(&format!("rival {i}"))).collect();
            let commits = rivals.iter().enumerate().map(|(i, rival)| {
                let store = if i % 2 == 0 { &self.one } else { &self.other };
                store.commit(&key, replaces, rival)
            });
            let mut winner = None;
            let mut in_place = Vec::new();
            for (rival, committed) in rivals.iter().zip(join_all(commits).await) {
                match committed.unwrap_or_else(|error| panic!("commit: {error:?}")) {
                    Committed::Saved(version) => {
                        assert!(winner.is_none(), "two commits on the same version won");
                        winner = Some((version, rival.json().to_owned()));
                    }
                    Committed::Conflict(present) => in_place.push(present.map(pair)),
                }
            }
            assert!(winner.is_some(), "one commit must win");
            assert!(in_place.iter().all(|present| *present == winner), "losers learn the winner");
            assert_eq!(self.loaded(&key).await, winner);
            self.delete(&key).await;
            replaces = Some(self.saved(&key, None, &record("base")).await);
        }
        self.delete(&key).await;
    }

    async fn keys_are_apart(&self) {
        let tag = format!("{:032x}", rand::random::<u128>());
        let long = "u".repeat(1000);
        let keys: Vec<TokenKey> = [
            ("https://a.example", "c", "u"),
            ("https://b.example", "c", "u"),
            ("https://a.example", "d", "u"),
            ("https://a.example", "c", "v"),
            ("https://a.example", "c", "U"),
            ("https://a.example", "c/u", ""),
            ("https://a.example", "", "c/u"),
            ("https://a.example", "c", "../u"),
            ("https://a.example", "c", "u*?[]{}'\"\\\0"),
            ("https://a.example", "c", "ü"),
            ("https://a.example", "c", &long),
        ]
        .map(|(issuer, client, user)| TokenKey::new(issuer, client, &format!("{user}{tag}")))
        .into();
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(self.loaded(key).await, None, "{key:?} is another key's");
            self.saved(key, None, &record(&format!("of key {i}"))).await;
        }
        for (i, key) in keys.iter().enumerate() {
            let expected = record(&format!("of key {i}")).json().to_owned();
            assert_eq!(self.loaded(key).await.map(|(_, json)| json), Some(expected), "{key:?}");
        }
        self.delete(&keys[0]).await;
        assert!(self.loaded(&keys[1]).await.is_some(), "the other keys' records stay");
        for key in &keys {
            self.delete(key).await;
        }
    }

    async fn any_document_comes_back_as_it_was(&self) {
        let key = key();
        let mut before = None;
        for json in [
            "null".to_owned(),
            "{}".to_owned(),
            r#"{ "b" : 1.50, "a":"\u0000 \\ ' \" ü", "a": [] }"#.to_owned(),
            format!(r#"{{"access_token":"{}"}}"#, "x".repeat(100_000)),
        ] {
            before = Some(self.saved(&key, before, &Record::new(json)).await);
        }
        self.delete(&key).await;
    }

    async fn a_lease_is_one_holders(&self) {
        let (key, one, other) = (key(), Lease::new(LONG), Lease::new(LONG));
        assert!(self.lease(&self.one, &key, &one).await, "a free lease is granted");
        assert!(!self.lease(&self.other, &key, &other).await, "somebody else holds it");
        assert!(!self.lease(&self.one, &key, &other).await, "somebody else holds it");
        assert!(self.lease(&self.one, &key, &one).await, "its holder gets it anew");
        self.release(&key, &other).await;
        assert!(!self.lease(&self.other, &key, &other).await, "only its holder ends it");
        self.release(&key, &one).await;
        self.release(&key, &one).await;
        assert!(self.lease(&self.other, &key, &other).await, "a released lease is granted");
        self.release(&key, &other).await;
        self.delete(&key).await;
    }

    async fn of_many_leases_one_is_granted(&self) {
        let key = key();
        let leases: Vec<_> = (0..AT_ONCE).map(|_| Lease::new(LONG)).collect();
        let asked = leases.iter().enumerate().map(|(i, lease)| {
            self.lease(if i % 2 == 0 { &self.one } else { &self.other }, &key, lease)
        });
        let granted = join_all(asked).await.into_iter().filter(|granted| *granted).count();
        assert_eq!(granted, 1, "one of {AT_ONCE} is granted the lease");
        for lease in &leases {
            self.release(&key, lease).await;
        }
        self.delete(&key).await;
    }

    async fn a_lease_ends_by_itself(&self) {
        let (key, dead, heir) = (key(), Lease::new(SHORT), Lease::new(LONG));
        assert!(self.lease(&self.one, &key, &dead).await, "a free lease is granted");
        let began = Instant::now();
        while !self.lease(&self.other, &key, &heir).await {
            assert!(began.elapsed() < PATIENCE, "the lease of a dead holder does not end");
            sleep(SHORT / 10).await;
        }
        assert!(!self.lease(&self.one, &key, &dead).await, "it is the heir's now");
        self.release(&key, &dead).await;
        assert!(!self.lease(&self.one, &key, &dead).await, "and stays the heir's");
        self.release(&key, &heir).await;
        self.delete(&key).await;
    }

    async fn leases_and_records_leave_each_other_alone(&self) {
        let (key, lease, stranger) = (key(), Lease::new(LONG), Lease::new(LONG));
        assert!(self.lease(&self.one, &key, &lease).await, "a lease needs no record");
        assert_eq!(self.loaded(&key).await, None, "a lease is no record");
        let first = self.saved(&key, None, &record("first")).await;
        assert!(!self.lease(&self.other, &key, &stranger).await, "a commit ends no lease");
        self.release(&key, &lease).await;
        assert!(self.lease(&self.other, &key, &stranger).await, "a released lease is granted");
        // The version decides, not the lease.
        self.saved(&key, Some(first), &record("second")).await;
        self.release(&key, &stranger).await;
        self.delete(&key).await;
    }
}
