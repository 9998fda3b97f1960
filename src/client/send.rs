//! Sends a request and reads the whole response.
//!
//! Invariants: it never holds more bytes than the limit, and takes no longer than the other one; it accepts no
//! redirect; it notes the moment before it sends, from which a token's deadline counts.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::TryFutureExt;
use http::header::{CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use reqwest::Request;
use secrecy::zeroize::Zeroizing;
use url::Url;

use super::guarded_resolver::LeadsElsewhere;
use super::http_client::{HttpClient, HttpError};
use super::limit::Limit;
use crate::clock::{self, Clock};
use crate::error::{Error, Kind};
use crate::http_date::http_date;
use crate::wire::{self, HttpResponse};

/// Sends the request and reads the response, up to both limits.
pub(super) async fn send(
    http: &HttpClient,
    request: Request,
    endpoint: &'static str,
    most_bytes: usize,
    limit: Limit,
) -> Result<HttpResponse<'static>, Error> {
    let url = request.url().clone();
    let clock = Clock::default();
    let (response, sent_at) = exchange(http, request, endpoint, most_bytes, limit, &clock).await?;
    Ok(read(response, endpoint, &url, sent_at))
}

/// Sends the request and reads the response as HTTP has it.
pub(super) async fn exchange(
    http: &HttpClient,
    request: Request,
    endpoint: &'static str,
    most_bytes: usize,
    limit: Limit,
    clock: &Clock,
) -> Result<(Response<Zeroizing<Vec<u8>>>, DateTime<Utc>), Error> {
    let url = request.url().clone();
    let sent_at = clock::to_date(clock.now());
    let head = http.execute(request).map_err(|error| send_error(error, endpoint));
    let mut response = limit.exchange(endpoint, head).await?;
    let retry_after = retry_after(response.headers(), sent_at);
    // An application's own HTTP client may follow redirects, but a redirect leads away from the
    // configured endpoint.
    if *response.url() != url {
        let reason = "the request was redirected; give OAuthClient::http_client a client with reqwest::redirect::Policy::none()";
        return Err(unread(endpoint, response.status(), reason.to_owned(), retry_after));
    }
    let mut whole = Response::new(Zeroizing::default());
    *whole.status_mut() = response.status();
    *whole.headers_mut() = std::mem::take(response.headers_mut());
    *whole.body_mut() = read_body(response, endpoint, most_bytes, limit, retry_after).await?;
    Ok((whole, sent_at))
}

/// What matters of the response; `url`: where it comes from.
pub(super) fn read(
    response: Response<Zeroizing<Vec<u8>>>,
    endpoint: &'static str,
    url: &Url,
    sent_at: DateTime<Utc>,
) -> HttpResponse<'static> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    HttpResponse {
        endpoint,
        status: response.status(),
        retry_after: retry_after(response.headers(), sent_at),
        content_type: header(CONTENT_TYPE).map(str::to_owned),
        location: header(LOCATION).and_then(|to| url.join(to).ok()),
        body: response.into_body(),
        sent_at,
        of_refresh: false,
        may_be_bound: false,
        secrets: &[],
    }
}

/// Reads the body, up to both limits. The error of one whose end is missing has the refresh token that has
/// arrived.
async fn read_body(
    mut response: reqwest::Response,
    endpoint: &'static str,
    most_bytes: usize,
    limit: Limit,
    retry_after: Option<Duration>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let status = response.status();
    let mut body = Zeroizing::new(Vec::new());
    let error = loop {
        let lost = |error: reqwest::Error| {
            let source = error.without_url().into();
            Error::new(Kind::ResponseLost { endpoint, source })
        };
        match limit.exchange(endpoint, response.chunk().map_err(lost)).await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) => {
                let room = most_bytes - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    let reason = format!(
                        "it is longer than {most_bytes} bytes (OAuthClient::max_response_bytes)"
                    );
                    break unread(endpoint, status, reason, retry_after);
                }
            }
            // What is missing would add nothing.
            Err(_) if wire::is_whole_object(&body) => return Ok(body),
            Err(error) => break error,
        }
    };
    Err(error.with_refresh_token(wire::issued_in_part(status, &body)))
}

/// A response whose body is not read.
fn unread(
    endpoint: &'static str,
    status: StatusCode,
    reason: String,
    retry_after: Option<Duration>,
) -> Error {
    Error::new(Kind::Malformed { endpoint, status, reason, retry_after, of_token: false })
}

/// Tells a request that was never sent from one whose response was lost.
fn send_error(error: HttpError, endpoint: &'static str) -> Error {
    let Some(of_reqwest) = error.of_reqwest() else {
        return Error::new(Kind::ResponseLost { endpoint, source: error.0 });
    };
    if of_reqwest.is_builder() || no_tls(of_reqwest) {
        return Error::config(format!(
            "reqwest cannot send to the {endpoint}; for https enable one of its TLS features, such as `rustls`, in your Cargo.toml",
        ));
    }
    if let Some(elsewhere) = leads_elsewhere(of_reqwest) {
        return Error::config(format!("the {endpoint} is not used: {elsewhere}"));
    }
    let sent = !of_reqwest.is_connect();
    let source = error.0;
    Error::new(if sent {
        Kind::ResponseLost { endpoint, source }
    } else {
        Kind::Unreachable { endpoint, source }
    })
}

/// Whether the resolver gave no address that may be connected to.
fn leads_elsewhere(error: &reqwest::Error) -> Option<&LeadsElsewhere> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        source = error.source();
    }
    None
}

/// Whether reqwest has no TLS feature, and so refuses https.
fn no_tls(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.to_string().contains("scheme is not http") {
            return true;
        }
        source = error.source();
    }
    false
}

/// `Retry-After`: seconds, or a date
/// ([RFC 9110 §10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)). Parts of a second are rounded
/// up. A date counts from the response's own (`Date`): our clock may be another one than the server's.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.trim());
    let wait = text(RETRY_AFTER)?;
    if let Some(seconds) = wait.parse().ok().or_else(|| rounded_up(wait)) {
        return Some(Duration::from_secs(seconds));
    }
    let date = http_date(wait, now)?;
    let sent = text(DATE).and_then(|sent| http_date(sent, now)).unwrap_or(now);
    Some((date - sent).to_std().unwrap_or_default())
}

/// The number of whole seconds that `12.3` stands for.
fn rounded_up(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.')?;
    let is_number = fraction.bytes().all(|b| b.is_ascii_digit());
    let more = u64::from(fraction.bytes().any(|b| b != b'0'));
    whole.parse::<u64>().ok().filter(|_| is_number).map(|seconds| seconds.saturating_add(more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn retry_after_in_seconds_and_as_a_date() {
        let now = chrono::DateTime::from_timestamp(784_111_717, 0).unwrap();
        for (text, expected) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:47:37 GMT", Some(0)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:47:37 GMT", Some(0)),
            ("Sun Nov  6 08:49:37 1994", Some(60)),
            ("1.0", Some(1)),
            ("0.3", Some(1)),
            ("120.01", Some(121)),
            ("-1", None),
            ("-1.5", None),
            ("1.5s", None),
            (".", None),
            ("soon", None),
            ("99999999999999999999999999", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_date_to_retry_after_counts_from_the_servers_own_date() {
        let until = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
        let seconds = |sent: &str, now: i64| {
            let sent = HeaderValue::from_str(sent).unwrap();
            let headers = HeaderMap::from_iter([(RETRY_AFTER, until.clone()), (DATE, sent)]);
            let now = DateTime::from_timestamp(784_111_717 + now, 0).unwrap();
            retry_after(&headers, now).unwrap().as_secs()
        };
        for behind in [-3600, 0, 3600] {
            assert_eq!(seconds("Sun, 06 Nov 1994 08:48:37 GMT", behind), 60, "{behind}");
            assert_eq!(seconds("Sun Nov  6 08:49:38 1994", behind), 0, "{behind}");
        }
        assert_eq!(seconds("now", 0), 60);
    }
}
