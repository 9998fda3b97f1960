//! `Placement`: where in a request the token goes.

use std::any::Any;

use http::header::{AUTHORIZATION, CACHE_CONTROL};
use http::{HeaderName, HeaderValue};
use secrecy::zeroize::Zeroizing;
use url::{Url, form_urlencoded};

use super::stack::{StackRequest, StackResponse};
use crate::secret;
use crate::session::Snapshot;

#[derive(Debug, Clone, Default)]
pub(super) enum Placement {
    /// `Authorization: Bearer …`
    #[default]
    Bearer,
    /// Another header, or another scheme; without one the header is the token alone.
    Header { name: HeaderName, scheme: Option<Box<str>> },
    /// A parameter of the URL's query.
    Query(Box<str>),
}

impl Placement {
    /// The same scheme in this header.
    pub(super) fn in_header(self, name: HeaderName) -> Self {
        let scheme = if let Self::Header { scheme, .. } = self { scheme } else { None };
        Self::Header { name, scheme }
    }

    /// The same header with this scheme.
    pub(super) fn with_scheme(self, scheme: &str) -> Self {
        let name = if let Self::Header { name, .. } = self { name } else { AUTHORIZATION };
        Self::Header { name, scheme: Some(scheme.into()) }
    }

    /// Whether the request has something of its own in the token's place.
    #[inline]
    pub(super) fn is_taken(&self, request: &impl StackRequest) -> bool {
        match self {
            Self::Bearer => request.headers().keys().any(|name| *name == AUTHORIZATION),
            Self::Header { name, .. } => request.headers().contains_key(name),
            Self::Query(name) => pieces(request.query()).any(|piece| is_named(piece, name)),
        }
    }

    /// Puts the token there, in place of one from before.
    #[inline(always)]
    pub(super) fn put(&self, request: &mut impl StackRequest, snapshot: &Snapshot) {
        if let Self::Bearer = self {
            if let Some(header) = &snapshot.header {
                request.headers_mut().insert(AUTHORIZATION, header.clone());
            }
        } else {
            self.put_elsewhere(request, snapshot);
        }
    }

    #[cold]
    fn put_elsewhere(&self, request: &mut impl StackRequest, snapshot: &Snapshot) {
        let Some(token) = snapshot.token().map(|token| token.access_token()) else { return };
        match self {
            Self::Bearer => {}
            Self::Header { name, scheme } => {
                let scheme = scheme.iter().flat_map(|scheme| [&**scheme, " "]);
                let value: Vec<&str> = scheme.chain([token]).collect();
                let value = Zeroizing::new(value.concat().into_bytes());
                if let Some(value) = secret::sensitive(value) {
                    request.headers_mut().insert(name.clone(), value);
                }
            }
            Self::Query(name) => {
                request.append_query_pair(name, token);
                // As RFC 6750, section 2.3 asks for.
                let no_store = HeaderValue::from_static("no-store");
                request.headers_mut().entry(CACHE_CONTROL).or_insert(no_store);
            }
        }
    }

    /// Whether URLs show the token.
    #[inline]
    pub(super) fn is_in_url(&self) -> bool {
        matches!(self, Self::Query(_))
    }

    /// Takes the token out of the response's URL.
    #[cold]
    pub(super) fn hide<R: StackResponse>(&self, response: R) -> R {
        match self {
            Self::Query(_) => match response.url().map(|url| self.without_token(url)) {
                Some(url) => response.with_url(url),
                None => response,
            },
            _ => response,
        }
    }

    /// The URL without the token.
    pub(super) fn without_token(&self, url: &Url) -> Url {
        let mut url = url.clone();
        if let Self::Query(name) = self {
            strip(&mut url, name);
        }
        url
    }

    /// Takes the token out of the error's URL.
    #[cold]
    pub(super) fn hide_in_error<E: 'static>(&self, mut error: E) -> E {
        if let Self::Query(name) = self
            && let Some(url) = url_of(&mut error)
        {
            strip(url, name);
        }
        error
    }
}

/// The URL in an error of a client that is known.
fn url_of<E: 'static>(error: &mut E) -> Option<&mut Url> {
    let error: &mut dyn Any = error;
    #[cfg(feature = "middleware")]
    if error.is::<reqwest_middleware::Error>() {
        return match error.downcast_mut()? {
            reqwest_middleware::Error::Reqwest(error) => error.url_mut(),
            reqwest_middleware::Error::Middleware(error) => {
                error.downcast_mut::<reqwest::Error>()?.url_mut()
            }
        };
    }
    error.downcast_mut::<reqwest::Error>()?.url_mut()
}

/// Takes the parameter out of the query, and leaves the rest as it is.
fn strip(url: &mut Url, name: &str) {
    if !pieces(url.query()).any(|piece| is_named(piece, name)) {
        return;
    }
    let kept: Vec<&str> = pieces(url.query()).filter(|piece| !is_named(piece, name)).collect();
    let kept = (!kept.is_empty()).then(|| kept.join("&"));
    url.set_query(kept.as_deref());
}

fn pieces(query: Option<&str>) -> impl Iterator<Item = &str> {
    query.into_iter().flat_map(|query| query.split('&'))
}

fn is_named(piece: &str, name: &str) -> bool {
    form_urlencoded::parse(piece.as_bytes()).next().is_some_and(|(found, _)| found == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_query_stays_as_it_is() {
        for (before, after) in [
            ("https://a.example/x?access_token=t", "https://a.example/x"),
            ("https://a.example/x?a=%20b+c&access_token=t", "https://a.example/x?a=%20b+c"),
            ("https://a.example/x?access_token=t&b", "https://a.example/x?b"),
            ("https://a.example/x?access%5Ftoken=t&b&&c=#f", "https://a.example/x?b&&c=#f"),
            ("https://a.example/x?a_access_token=t", "https://a.example/x?a_access_token=t"),
            ("https://a.example/x?access_token=t&access_token=u", "https://a.example/x"),
            ("https://a.example/access_token=t", "https://a.example/access_token=t"),
        ] {
            let mut url: Url = before.parse().unwrap();
            strip(&mut url, "access_token");
            assert_eq!(url.as_str(), after);
        }
    }
}
