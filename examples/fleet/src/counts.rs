//! `ResponseCounts`: how requests ended, and how often.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct ResponseCounts(BTreeMap<String, u64>);

impl ResponseCounts {
    pub(crate) fn note(&mut self, outcome: reqwest_middleware::Result<StatusCode>) {
        let what = match outcome {
            Ok(status) => status.as_u16().to_string(),
            Err(error) => match reqwest_oauth2::Error::find_in(&error) {
                Some(ours) => ours.to_string(),
                None => error.without_url().to_string(),
            },
        };
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (what, times) in other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.0.values().sum()
    }

    pub(crate) fn ok(&self) -> u64 {
        self.0.get("200").copied().unwrap_or_default()
    }

    /// All but those answered with 200.
    pub(crate) fn print_others(&self, whose: &str) {
        for (what, times) in self.0.iter().filter(|(what, _)| *what != "200") {
            println!("{whose}: {times} times: {what}");
        }
    }
}
