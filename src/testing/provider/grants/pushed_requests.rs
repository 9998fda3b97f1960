use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// How long a request is kept (RFC 9126 §2.2).
pub(crate) const LIFE: Duration = Duration::from_secs(60);

/// The authorization requests that were pushed, by their `request_uri` (RFC 9126 §2.2).
#[derive(Default)]
pub(crate) struct PushedRequests(HashMap<String, Pushed>);

struct Pushed {
    client_id: String,
    query: String,
    expires: Option<SystemTime>,
}

impl PushedRequests {
    pub(crate) fn insert(
        &mut self,
        request_uri: String,
        client_id: &str,
        query: String,
        now: SystemTime,
    ) {
        let expires = now.checked_add(LIFE);
        self.0.insert(request_uri, Pushed { client_id: client_id.to_owned(), query, expires });
    }

    /// The request, as a query; once, unless it `stays` since the user is still asked.
    pub(crate) fn take(
        &mut self,
        request_uri: &str,
        client_id: &str,
        stays: bool,
        now: SystemTime,
    ) -> Option<String> {
        let pushed = self.0.get(request_uri)?;
        if pushed.client_id != client_id || pushed.expires.is_some_and(|end| end <= now) {
            return None;
        }
        let query = pushed.query.clone();
        if !stays {
            self.0.remove(request_uri);
        }
        Some(query)
    }
}
