//! A store with troubles on demand.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use reqwest_oauth2::store::{
    Committed, Lease, MemoryStore, Record, StoreError, TokenKey, TokenStore, Version,
};

#[derive(Default)]
pub struct Troubled {
    /// What is really in it.
    pub inner: MemoryStore,
    down: AtomicBool,
    hangs: AtomicBool,
    commits_fail: AtomicBool,
    commit_answers_are_lost: AtomicBool,
    /// Seconds that each call takes.
    delay: AtomicU64,
    lagging: Mutex<Vec<Record>>,
    calls: Mutex<Vec<&'static str>>,
}

impl Troubled {
    /// Every call fails.
    pub fn down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// No call ends.
    pub fn hang(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }

    /// Each call takes this long.
    pub fn delay(&self, seconds: u64) {
        self.delay.store(seconds, Ordering::SeqCst);
    }

    /// Commits fail; all else works.
    pub fn fail_commits(&self, fail: bool) {
        self.commits_fail.store(fail, Ordering::SeqCst);
    }

    /// Commits happen, and then the connection is cut.
    pub fn lose_commit_answers(&self, lose: bool) {
        self.commit_answers_are_lost.store(lose, Ordering::SeqCst);
    }

    /// The next loads see this.
    pub fn lag(&self, record: Record, times: usize) {
        *self.lagging.lock().unwrap() = vec![record; times];
    }

    pub fn loads(&self) -> usize {
        self.count("load")
    }

    pub fn leases(&self) -> usize {
        self.count("lease")
    }

    pub fn releases(&self) -> usize {
        self.count("release")
    }

    /// The calls from now on.
    pub fn calls_from_here(&self) -> impl Fn() -> Vec<&'static str> + '_ {
        let before = self.calls.lock().unwrap().len();
        move || self.calls.lock().unwrap()[before..].to_vec()
    }

    fn count(&self, name: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|call| **call == name).count()
    }

    async fn trouble(&self, call: &'static str) -> Result<(), StoreError> {
        self.calls.lock().unwrap().push(call);
        let delay = self.delay.load(Ordering::SeqCst);
        if delay > 0 {
            tokio::time::sleep(Duration::from_secs(delay)).await;
        }
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let fails = call == "commit" && self.commits_fail.load(Ordering::SeqCst);
        if fails || self.down.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("the plug was pulled"));
        }
        Ok(())
    }
}

#[async_trait]
impl TokenStore for Troubled {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        self.trouble("load").await?;
        let lagging = self.lagging.lock().unwrap().pop();
        match lagging {
            Some(record) => Ok(Some(record)),
            None => self.inner.load(key).await,
        }
    }

    async fn lease(&self, key: &TokenKey, lease: &Lease) -> Result<bool, StoreError> {
        self.trouble("lease").await?;
        self.inner.lease(key, lease).await
    }

    async fn release(&self, key: &TokenKey, lease: &Lease) -> Result<(), StoreError> {
        self.trouble("release").await?;
        self.inner.release(key, lease).await
    }

    async fn commit(
        &self,
        key: &TokenKey,
        replaces: Option<Version>,
        record: &Record,
    ) -> Result<Committed, StoreError> {
        self.trouble("commit").await?;
        let committed = self.inner.commit(key, replaces, record).await;
        if self.commit_answers_are_lost.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("the cable was cut"));
        }
        committed
    }

    async fn delete(&self, key: &TokenKey) -> Result<(), StoreError> {
        self.trouble("delete").await?;
        self.inner.delete(key).await
    }
}
