//! Every public type is shown: the list is the one of tests/public-api.txt.

use crate::log::{Log, simple};

/// Those that cannot be shown here.
const ELSEWHERE: [&str; 1] = [
    // Needs a server: `errors_quote_nothing` in tests/stores shows it.
    "RedisStore",
];

pub fn all_were_shown(log: &Log) {
    let shown = log.shown();
    let api = include_str!("../../public-api.txt").lines();
    let types = api.filter_map(|line| {
        let (kind, name) = line.split_once("core::fmt::Debug for ")?;
        kind.starts_with("impl").then(|| simple(name))
    });
    let missing: Vec<_> =
        types.filter(|name| !shown.contains(*name) && !ELSEWHERE.contains(name)).collect();
    assert!(missing.is_empty(), "not shown: {missing:?}");
}
