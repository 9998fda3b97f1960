//! `HttpResponse`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;
use secrecy::zeroize::Zeroizing;
use url::Url;

/// The response of an endpoint, read to its end.
pub(crate) struct HttpResponse<'a> {
    /// Such as "token endpoint", for errors.
    pub(crate) endpoint: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    /// `Content-Type`, as sent.
    pub(crate) content_type: Option<String>,
    /// Where a redirect leads, as sent: it may repeat a secret.
    pub(crate) location: Option<Url>,
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// The moment before the request was sent: `expires_in` counts from here.
    pub(crate) sent_at: DateTime<Utc>,
    /// Whether the request presented a refresh token.
    pub(crate) of_refresh: bool,
    /// Whether the request had a proof, so that the token may be bound to a key.
    pub(crate) may_be_bound: bool,
    /// The secrets of the request: the response may repeat them, and an error must not.
    pub(crate) secrets: &'a [&'a str],
}
