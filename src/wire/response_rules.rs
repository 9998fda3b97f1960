//! `ResponseRules`.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Number, Value};

use crate::error::is_same_code;

type MapResponse = Arc<dyn Fn(Map<String, Value>) -> Map<String, Value> + Send + Sync>;

/// What the application knows of its provider.
#[derive(Clone, Default)]
pub(crate) struct ResponseRules {
    /// Token types that mean Bearer.
    pub(crate) bearer_types: Vec<String>,
    /// Error codes that say that the refresh token is dead.
    pub(crate) ends_login: Vec<String>,
    /// Maps the members of a response before they are read.
    pub(crate) map_response: Option<MapResponse>,
}

impl ResponseRules {
    /// Whether the application says that this code ends the login.
    pub(super) fn names(&self, code: &str) -> bool {
        self.ends_login.iter().any(|named| is_same_code(named, code))
    }

    /// The code that the application names and that is this number.
    pub(super) fn name_of(&self, number: &Number) -> Option<&str> {
        let is_same = |named: &&String| {
            let named: Option<f64> = named.trim().parse().ok();
            named.is_some_and(|named| number.as_f64() == Some(named))
        };
        self.ends_login.iter().find(is_same).map(String::as_str)
    }

    /// Whether the application says that this type means Bearer: compared without case and without the
    /// white space around it.
    pub(super) fn means_bearer(&self, token_type: &str) -> bool {
        self.bearer_types.iter().any(|other| other.trim().eq_ignore_ascii_case(token_type.trim()))
    }
}

impl fmt::Debug for ResponseRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseRules")
            .field("bearer_types", &self.bearer_types)
            .field("ends_login", &self.ends_login)
            .field("map_response", &self.map_response.is_some())
            .finish()
    }
}
