use std::collections::{HashSet, VecDeque};
use std::fmt;

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, USER_AGENT};
use http::request::Parts;
use serde_json::{Map, Value};
use url::form_urlencoded;

/// The header that has a proof (RFC 9449 §4.1).
const DPOP: HeaderName = HeaderName::from_static("dpop");

/// How many entries a log keeps.
const KEPT: usize = 10_000;

/// A request that arrived at the token endpoint or the revocation endpoint.
///
/// Its `Debug` output shows the grant type and the names of the parameters, and
/// no other value.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedTokenRequest {
    /// The `Authorization` header, as it was sent.
    pub authorization: Option<String>,
    /// The `Content-Type` header, as it was sent.
    pub content_type: Option<String>,
    /// The `User-Agent` header, as it was sent.
    pub user_agent: Option<String>,
    /// The `DPoP` header, as it was sent.
    pub dpop: Option<String>,
    /// All headers, as they were sent.
    pub headers: HeaderMap,
    /// The decoded parameters of the body, in order; empty if it was neither a form
    /// nor a JSON object.
    pub params: Vec<(String, String)>,
    /// The body, as it was sent.
    pub body: Vec<u8>,
    /// The query of the URL, as it was sent.
    pub query: Option<String>,
}

impl RecordedTokenRequest {
    pub(crate) fn new(head: &Parts, body: &[u8]) -> Self {
        let mut request = Self {
            authorization: header(head, &AUTHORIZATION),
            content_type: header(head, &CONTENT_TYPE),
            user_agent: header(head, &USER_AGENT),
            dpop: header(head, &DPOP),
            headers: head.headers.clone(),
            params: Vec::new(),
            body: body.to_vec(),
            query: head.uri.query().map(str::to_owned),
        };
        if request.is_form() {
            request.params = form_urlencoded::parse(body).into_owned().collect();
        } else if request.is_json() {
            request.params = json_params(body);
        }
        request
    }

    /// The first parameter of this name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        let (_, value) = self.params.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    /// The same, but an empty value counts as omitted (RFC 6749 §3.2).
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.param(name).filter(|value| !value.is_empty())
    }

    /// Which resources it asks for (RFC 8707 §2).
    pub(crate) fn resources(&self) -> impl Iterator<Item = &str> {
        self.params.iter().filter(|(name, _)| name == "resource").map(|(_, value)| &**value)
    }

    pub(crate) fn is_form(&self) -> bool {
        self.is_of_type("application/x-www-form-urlencoded")
    }

    pub(crate) fn is_json(&self) -> bool {
        self.is_of_type("application/json")
    }

    fn is_of_type(&self, expected: &str) -> bool {
        self.content_type.as_deref().is_some_and(|value| {
            let media_type = value.split(';').next().unwrap_or_default().trim();
            media_type.eq_ignore_ascii_case(expected)
        })
    }

    /// Whether a parameter is repeated that must not be (RFC 6749 §3.2): all but
    /// `resource` and `audience` (RFC 8693 §2.1).
    pub(crate) fn has_repeated_param(&self) -> bool {
        let mut names = HashSet::new();
        let mut single =
            self.params.iter().filter(|(name, _)| !["resource", "audience"].contains(&&**name));
        !single.all(|(name, _)| names.insert(name))
    }
}

impl fmt::Debug for RecordedTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.params.iter().map(|(name, _)| name).collect();
        f.debug_struct("RecordedTokenRequest")
            .field("grant_type", &self.param("grant_type"))
            .field("params", &names)
            .finish_non_exhaustive()
    }
}

/// A request that arrived at the API.
///
/// Its `Debug` output shows the method, the path, whether there was an
/// `Authorization` header, and the length of the body.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedApiRequest {
    /// The method, such as `GET`.
    pub method: String,
    /// The path and, if there was one, the query.
    pub path_and_query: String,
    /// The `Authorization` header, as it was sent.
    pub authorization: Option<String>,
    /// The `DPoP` header, as it was sent.
    pub dpop: Option<String>,
    /// The body: the first 64 KiB of it.
    pub body: Vec<u8>,
}

impl RecordedApiRequest {
    pub(crate) fn new(head: &Parts, body: Vec<u8>) -> Self {
        let path_and_query = head.uri.path_and_query();
        Self {
            method: head.method.to_string(),
            path_and_query: path_and_query.map_or_else(String::new, ToString::to_string),
            authorization: header(head, &AUTHORIZATION),
            dpop: header(head, &DPOP),
            body,
        }
    }

    /// Scheme and token.
    pub(crate) fn credentials(&self) -> Option<(&str, &str)> {
        self.authorization.as_deref()?.split_once(' ')
    }

    pub(crate) fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }
}

impl fmt::Debug for RecordedApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedApiRequest")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("authorization", &self.authorization.is_some())
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The texts of a JSON object; those of a list one by one.
fn json_params(body: &[u8]) -> Vec<(String, String)> {
    let members: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let mut params = Vec::new();
    for (name, value) in members {
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        let texts = values.iter().filter_map(Value::as_str);
        params.extend(texts.map(|text| (name.clone(), text.to_owned())));
    }
    params
}

/// A header's value; several headers of one name are joined with commas.
fn header(head: &Parts, name: &HeaderName) -> Option<String> {
    let values = head.headers.get_all(name).iter();
    let values: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// The last requests of one kind, in order of arrival.
#[derive(Debug)]
pub(crate) struct RequestLog<T>(VecDeque<T>);

impl<T: Clone> RequestLog<T> {
    pub(crate) fn push(&mut self, entry: T) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    pub(crate) fn to_vec(&self) -> Vec<T> {
        self.0.iter().cloned().collect()
    }
}

impl<T> Default for RequestLog<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_entries() {
        let mut log = RequestLog::default();
        for n in 0..KEPT + 3 {
            log.push(n);
        }
        assert_eq!(log.to_vec(), (3..KEPT + 3).collect::<Vec<_>>());
    }
}
