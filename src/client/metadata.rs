//! Documents at well-known locations: a provider's metadata, a resource's.
//!
//! Invariants: each response is bounded in size, and all of them in time; no redirect is followed; each
//! location is asked once.

use http::header::ACCEPT;
use http::{HeaderValue, Method};
use reqwest::Request;
use serde_json::{Map, Value};
use url::Url;

use super::http_client::HttpClient;
use super::limit::Limit;
use super::send::send;
use super::settings::{MAX_RESPONSE_BYTES, TIMEOUT};
use crate::error::{Error, Kind};
use crate::redact::escape_and_truncate;
use crate::wire::{HttpResponse, ResponseRules, read_members};

const NAME: &str = "metadata document";

/// Asks one location after the other for a document that `read` accepts, for 30 seconds at most. The error
/// tells of all of them. `of`: whose document it is.
pub(super) async fn find<T>(
    http: &HttpClient,
    of: &'static str,
    locations: &[Url],
    read: impl Fn(&HttpResponse<'_>, Map<String, Value>) -> Result<T, (Miss, Error)>,
) -> Result<T, Error> {
    let limit = Limit::new(TIMEOUT, TIMEOUT);
    let mut answers = String::new();
    let mut decisive: Option<(Miss, Error)> = None;
    for location in locations {
        let (miss, error) = match ask(http, location, limit, &read).await {
            Ok(document) => return Ok(document),
            Err(missed) => missed,
        };
        if miss == Miss::NoAnswer {
            return Err(error);
        }
        if !answers.is_empty() {
            answers.push_str("; ");
        }
        answers.push_str(&format!("at {}: {error}", escape_and_truncate(location.path(), 200)));
        if decisive.as_ref().is_none_or(|(worst, _)| miss > *worst) {
            decisive = Some((miss, error));
        }
    }
    Err(match decisive {
        Some((miss, decisive)) => {
            let (absent, transient) =
                (miss == Miss::Absent, matches!(miss, Miss::Page | Miss::Later));
            Error::new(Kind::Discovery { of, answers, absent, transient, decisive })
        }
        None => Error::config(format!("{of} has no metadata location")),
    })
}

async fn ask<T>(
    http: &HttpClient,
    location: &Url,
    limit: Limit,
    read: impl Fn(&HttpResponse<'_>, Map<String, Value>) -> Result<T, (Miss, Error)>,
) -> Result<T, (Miss, Error)> {
    let judged = |error| (Miss::of(&error), error);
    let mut request = Request::new(Method::GET, location.clone());
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let response = send(http, request, NAME, MAX_RESPONSE_BYTES, limit).await.map_err(judged)?;
    let members = read_members(&response, &ResponseRules::default()).map_err(judged)?;
    read(&response, members)
}

/// Why a location did not have the document. The last of them says what the whole means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Miss {
    /// Nothing is there.
    Absent,
    /// Something that is no document: a page, a redirect, endless text.
    Page,
    /// A document with something that cannot be used.
    Unfit,
    /// A document of another issuer or resource.
    Other,
    /// It may be there later.
    Later,
    /// The server cannot be reached, so the other locations are not asked.
    NoAnswer,
}

impl Miss {
    /// What an error of a request for the document, or of its text, means.
    fn of(error: &Error) -> Self {
        match (error.status(), error.kind()) {
            (None, Kind::ResponseLost { .. }) => Self::Later,
            (None, _) => Self::NoAnswer,
            (Some(status), _) if matches!(status.as_u16(), 408 | 425 | 429 | 500..) => Self::Later,
            (Some(status), _) if status.is_client_error() => Self::Absent,
            (Some(_), _) => Self::Page,
        }
    }
}

/// The document of that name for the issuer: the well-known part goes before the path
/// ([RFC 8414 §3.1](https://www.rfc-editor.org/rfc/rfc8414#section-3.1)).
pub(super) fn inserted(base: &Url, name: &str) -> Url {
    with_path(base, &format!("/.well-known/{name}{}", path_of(base)))
}

/// The path without the slash at its end.
pub(super) fn path_of(base: &Url) -> &str {
    base.path().trim_end_matches('/')
}

pub(super) fn with_path(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url
}
