//! `check_store`: the test suite for every [`TokenStore`].

use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};

/// How many swaps run at once.
const AT_ONCE: usize = 16;
/// How often each of them wins, at least.
const WINS: usize = 4;
/// The same on threads of their own, for at least so long. Without an `await` between compare and swap nothing
/// else comes between them on one thread.
const THREADS: usize = 4;
const TIME_OF_THREADS: Duration = Duration::from_millis(200);
/// Each store must take documents of this size; a token with its ID token is smaller.
const LARGE: usize = 64 * 1024;
/// A store may refuse documents of this size.
const HUGE: usize = 1024 * 1024;
/// After how many milliseconds the future of a swap is dropped; `None`: after its first poll.
const DROPPED_AFTER: [Option<u64>; 8] =
    [None, None, Some(0), Some(1), Some(1), Some(2), Some(4), Some(8)];

/// Tests everything that [`TokenStore`] promises. Each call of `open` returns another handle to the
/// same store, as another process would have.
///
/// The suite uses random keys, so the store may be in use. It leaves about 40 records in it, since
/// a store deletes nothing: better give it a table, directory or prefix of its own. With a store on
/// the same host it takes some seconds at most. A part of it calls the store from four threads.
///
/// # Panics
///
/// If the store breaks a rule, or if a call returns an error.
pub async fn check_store<S: TokenStore>(open: impl AsyncFn() -> S) {
    let suite = Arc::new(Suite { one: open().await, other: open().await });
    suite.an_empty_key_has_no_record().await;
    suite.a_swap_needs_the_stored_version().await;
    suite.each_record_has_its_own_version().await;
    suite.an_old_version_never_fits_again().await;
    suite.of_many_swaps_one_is_stored().await;
    suite.no_swap_is_lost().await;
    suite.no_swap_of_a_thread_is_lost().await;
    suite.equal_documents_under_two_keys_are_apart().await;
    suite.keys_are_apart().await;
    suite.a_document_comes_back_as_it_was().await;
    suite.a_huge_document_is_stored_whole_or_refused().await;
    suite.a_dropped_swap_is_stored_whole_or_not_at_all().await;
}

struct Suite<S> {
    one: S,
    other: S,
}

fn random() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn key() -> TokenKey {
    TokenKey::new("https://suite.example", "suite", &random())
}

/// Each document has a random value, as those of sessions have.
fn record(text: &str) -> Record {
    Record::new(format!(r#"{{"access_token":"{text}","random":"{}"}}"#, random()))
}

/// The document of a counter.
fn count(count: usize) -> Record {
    Record::new(format!(r#"{{"count":{count},"random":"{}"}}"#, random()))
}

fn count_of(record: &Record) -> usize {
    #[derive(Deserialize)]
    struct Count {
        count: usize,
    }
    let read = serde_json::from_str::<Count>(record.json());
    read.unwrap_or_else(|error| panic!("the document was changed: {error}")).count
}

/// What a store returned, or should return. The documents of the suite are no secrets.
#[derive(Clone, PartialEq)]
struct Found {
    version: Version,
    json: String,
}

impl Found {
    fn new(version: Version, json: &str) -> Self {
        Self { version, json: json.to_owned() }
    }
}

impl From<Record> for Found {
    fn from(record: Record) -> Self {
        Self::new(record.version(), record.json())
    }
}

/// Shows the beginning of a document, which may be large.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beginning: String = self.json.chars().take(200).collect();
        write!(f, "{:?}, {} bytes: {beginning}", self.version, self.json.len())
    }
}

impl<S: TokenStore> Suite<S> {
    fn handle(&self, i: usize) -> &S {
        if i.is_multiple_of(2) { &self.one } else { &self.other }
    }

    /// What both handles load.
    async fn loaded(&self, key: &TokenKey) -> Option<Found> {
        let [one, other] = [&self.one, &self.other].map(|store| async {
            store.load(key).await.unwrap_or_else(|error| panic!("load: {error:?}")).map(Found::from)
        });
        let (one, other) = (one.await, other.await);
        assert_eq!(one, other, "both handles load the same record");
        one
    }

    async fn swap(&self, key: &TokenKey, expected: Option<Version>, new: &Record) -> SwapOutcome {
        let swapped = self.one.compare_and_swap(key, expected, new).await;
        swapped.unwrap_or_else(|error| panic!("compare_and_swap: {error:?}"))
    }

    /// The swap must be stored: with the version that `load` then returns, and the text as it was.
    async fn stored(&self, key: &TokenKey, expected: Option<Version>, new: &Record) -> Version {
        let version = match self.swap(key, expected, new).await {
            SwapOutcome::Stored(version) => version,
            SwapOutcome::Conflict(stored) => {
                panic!("{expected:?} was stored, but the swap met {stored:?}")
            }
        };
        let stored = Some(Found::new(version, new.json()));
        assert_eq!(self.loaded(key).await, stored, "load returns what was stored, and its version");
        version
    }

    /// The swap must meet what is stored, and leave it.
    async fn conflict(&self, key: &TokenKey, expected: Option<Version>) {
        let before = self.loaded(key).await;
        match self.swap(key, expected, &record("wrong")).await {
            SwapOutcome::Stored(_) => panic!("{expected:?} was not stored, but the swap was"),
            SwapOutcome::Conflict(met) => {
                assert_eq!(met.map(Found::from), before, "a conflict returns what is stored");
            }
        }
        assert_eq!(self.loaded(key).await, before, "a conflict changes nothing");
    }

    async fn an_empty_key_has_no_record(&self) {
        let key = key();
        assert_eq!(self.loaded(&key).await, None, "a new key has no record");
        self.conflict(&key, Some(record("never stored").version())).await;
        assert_eq!(self.loaded(&key).await, None);
    }

    async fn a_swap_needs_the_stored_version(&self) {
        let key = key();
        let first = self.stored(&key, None, &record("first")).await;
        self.conflict(&key, None).await;
        self.conflict(&key, Some(record("another").version())).await;
        let second = self.stored(&key, Some(first), &record("second")).await;
        self.conflict(&key, None).await;
        self.conflict(&key, Some(first)).await;
        self.stored(&key, Some(second), &record("third")).await;
    }

    async fn each_record_has_its_own_version(&self) {
        let mut versions = HashSet::new();
        let key = key();
        let mut expected = None;
        for _ in 0..AT_ONCE {
            let version = self.stored(&key, expected, &record("equal but for the random")).await;
            assert!(versions.insert(version), "{version:?} came twice");
            expected = Some(version);
        }
    }

    async fn an_old_version_never_fits_again(&self) {
        let key = key();
        let mut old = vec![None];
        for _ in 0..5 {
            let newest = old.last().copied().flatten();
            let version = self.stored(&key, newest, &record("next")).await;
            for expected in &old {
                self.conflict(&key, *expected).await;
            }
            old.push(Some(version));
        }
    }

    async fn of_many_swaps_one_is_stored(&self) {
        let key = key();
        let mut expected = None;
        for _ in 0..3 {
            let rivals: Vec<_> = (0..AT_ONCE).map(|i| record(&format!("rival {i}"))).collect();
            let swaps = rivals
                .iter()
                .enumerate()
                .map(|(i, rival)| self.handle(i).compare_and_swap(&key, expected, rival));
            let mut winner = None;
            let mut met = Vec::new();
            for (rival, swapped) in rivals.iter().zip(join_all(swaps).await) {
                match swapped.unwrap_or_else(|error| panic!("compare_and_swap: {error:?}")) {
                    SwapOutcome::Stored(version) => {
                        assert!(
                            winner.is_none(),
                            "two swaps with one expected version were stored"
                        );
                        winner = Some(Found::new(version, rival.json()));
                    }
                    SwapOutcome::Conflict(stored) => met.push(stored.map(Found::from)),
                }
            }
            assert!(winner.is_some(), "one of {AT_ONCE} swaps must be stored");
            assert!(met.iter().all(|met| *met == winner), "a conflict returns the winner");
            assert_eq!(self.loaded(&key).await, winner);
            expected = winner.map(|winner| winner.version);
        }
    }

    async fn no_swap_is_lost(&self) {
        let key = self.counter().await;
        let counting = (0..AT_ONCE).map(|i| self.count_on(i, &key, Duration::ZERO));
        let mut wins = 0;
        for counted in join_all(counting).await {
            wins += counted.unwrap_or_else(|error| panic!("counting: {error:?}"));
        }
        self.counted(&key, wins).await;
    }

    async fn no_swap_of_a_thread_is_lost(self: &Arc<Self>) {
        let key = self.counter().await;
        let start = Arc::new(Barrier::new(THREADS));
        let counting = (0..THREADS).map(|i| {
            let (suite, key, start) = (self.clone(), key.clone(), start.clone());
            let runtime = Handle::current();
            let (done, counted) = oneshot::channel();
            std::thread::spawn(move || {
                start.wait();
                let count = || runtime.block_on(suite.count_on(i, &key, TIME_OF_THREADS));
                // Nobody listens if the suite has failed.
                let _ = done.send(catch_unwind(AssertUnwindSafe(count)));
            });
            counted
        });
        let mut wins = 0;
        for counted in join_all(counting).await {
            let counted = counted.unwrap_or_else(|_| panic!("a thread has not counted"));
            wins += counted
                .unwrap_or_else(|panic| resume_unwind(panic))
                .unwrap_or_else(|error| panic!("counting: {error:?}"));
        }
        self.counted(&key, wins).await;
    }

    /// The key of a new counter.
    async fn counter(&self) -> TokenKey {
        let key = key();
        self.stored(&key, None, &count(0)).await;
        key
    }

    async fn counted(&self, key: &TokenKey, swaps: usize) {
        let last = self.loaded(key).await.unwrap_or_else(|| panic!("no record"));
        assert_eq!(count_of(&Record::new(last.json)), swaps, "each stored swap counts once");
    }

    /// Counts on from what it meets, for at least so long; returns how often.
    async fn count_on(
        &self,
        handle: usize,
        key: &TokenKey,
        time: Duration,
    ) -> Result<usize, StoreError> {
        let store = self.handle(handle);
        let began = Instant::now();
        let mut stored = store.load(key).await?;
        let mut wins = 0;
        while wins < WINS || began.elapsed() < time {
            loop {
                let Some(found) = &stored else { panic!("the record went away") };
                let (expected, next) = (found.version(), count_of(found) + 1);
                let new = count(next);
                match store.compare_and_swap(key, Some(expected), &new).await? {
                    SwapOutcome::Stored(version) => {
                        stored = Some(Record::with_version(version, new.json()));
                        wins += 1;
                        break;
                    }
                    SwapOutcome::Conflict(met) => {
                        let later = met.as_ref().is_some_and(|met| count_of(met) >= next);
                        assert!(later, "a conflict returns the winner or a later record");
                        stored = met;
                    }
                }
            }
        }
        Ok(wins)
    }

    async fn equal_documents_under_two_keys_are_apart(&self) {
        let (one, other, same) = (key(), key(), record("same"));
        let version = self.stored(&one, None, &same).await;
        assert_eq!(self.loaded(&other).await, None, "the other key has no record yet");
        self.stored(&other, None, &same).await;
        self.stored(&one, Some(version), &record("changed")).await;
        let document = self.loaded(&other).await.map(|found| found.json);
        assert_eq!(document.as_deref(), Some(same.json()), "the other key's record stays");
    }

    async fn keys_are_apart(&self) {
        let tag = random();
        let long = "u".repeat(1000);
        let users = [
            "u",
            "v",
            "U",
            "",
            " ",
            "u ",
            "../u",
            "u/",
            "u?scope=a",
            "u*?[]{}'\"\\\0",
            "u%",
            "ü",
            "u\u{308}",
            "日本語",
            "🔑",
            "\u{202e}u",
            &long,
        ];
        // The tag comes last, so that the part before it makes the difference.
        let user = |user: &str| format!("{user}{tag}");
        let mut keys: Vec<_> =
            users.iter().map(|name| TokenKey::new("https://a.example", "c", &user(name))).collect();
        let base = || TokenKey::new("https://a.example", "c", &user("u"));
        keys.extend([
            TokenKey::new("https://b.example", "c", &user("u")),
            TokenKey::new("https://a.example/", "c", &user("u")),
            TokenKey::new("https://a.example", "d", &user("u")),
            TokenKey::new("https://a.example", "C", &user("u")),
            TokenKey::new("https://a.example", "c/u", &user("")),
            TokenKey::new("https://a.example", "", &user("c/u")),
            base().scope("a"),
            base().scope("b"),
            base().scope("a b"),
            base().resource("a"),
            base().resource("a").resource("b"),
            base().audience("a"),
            base().audience("a").audience("b"),
            base().scope("a").resource("a").audience("a"),
        ]);
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(self.loaded(key).await, None, "{key:?} has the record of another key");
            self.stored(key, None, &record(&format!("of key {i}"))).await;
        }
        for (i, key) in keys.iter().enumerate() {
            let json = self.loaded(key).await.map(|found| found.json).unwrap_or_default();
            assert!(
                json.contains(&format!("\"of key {i}\"")),
                "{key:?} has another record: {json}"
            );
        }
    }

    async fn a_document_comes_back_as_it_was(&self) {
        let key = key();
        let mut expected = None;
        for json in [
            "null".to_owned(),
            "{}".to_owned(),
            "\"\"".to_owned(),
            " [1, 2.50, 1e400, -0]\n".to_owned(),
            r#"{ "b" : 1.50, "a":"\u0000 \\ ' \" ü 🔑", "a": [] }"#.to_owned(),
            format!(r#"{{"access_token":"{}"}}"#, "x".repeat(LARGE)),
        ] {
            expected = Some(self.stored(&key, expected, &Record::new(json)).await);
        }
    }

    async fn a_huge_document_is_stored_whole_or_refused(&self) {
        let key = key();
        let first = self.stored(&key, None, &record("small")).await;
        let before = self.loaded(&key).await;
        let huge = record(&"x".repeat(HUGE));
        match self.one.compare_and_swap(&key, Some(first), &huge).await {
            Ok(SwapOutcome::Stored(version)) => {
                let stored = self.loaded(&key).await;
                assert_eq!(stored, Some(Found::new(version, huge.json())), "it comes back whole");
            }
            Ok(SwapOutcome::Conflict(_)) => panic!("the version was the stored one"),
            Err(_) => assert_eq!(self.loaded(&key).await, before, "an error changes nothing"),
        }
    }

    async fn a_dropped_swap_is_stored_whole_or_not_at_all(&self) {
        let key = key();
        let mut expected = None;
        for after in DROPPED_AFTER {
            let (dropped, next) = (record("dropped"), record("next"));
            let swap = self.other.compare_and_swap(&key, expected, &dropped);
            // It may be done by then.
            match after {
                None => drop(swap.now_or_never()),
                Some(after) => drop(timeout(Duration::from_millis(after), swap).await),
            }
            let stored = match self.swap(&key, expected, &next).await {
                SwapOutcome::Stored(version) => Found::new(version, next.json()),
                SwapOutcome::Conflict(Some(met)) => {
                    assert_eq!(met.json(), dropped.json(), "the dropped swap was stored in part");
                    met.into()
                }
                SwapOutcome::Conflict(None) => panic!("the record went away"),
            };
            tokio::time::sleep(Duration::from_millis(5)).await;
            let now = self.loaded(&key).await;
            assert_eq!(now.as_ref(), Some(&stored), "a dropped swap came after a later one");
            expected = Some(stored.version);
        }
    }
}
