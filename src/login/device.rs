//! Device authorization ([RFC 8628](https://www.rfc-editor.org/rfc/rfc8628)): a login on another
//! device, for programs without a browser.

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};
use url::Url;

use crate::client::{DEVICE_GRANT_TYPE, Endpoint, Form, OAuthClient, RequestKind};
use crate::error::{Error, ErrorCode, ErrorResponse, Kind, RetryClass};
#[cfg(feature = "keys")]
use crate::keys::SigningKey;
use crate::loopback::is_loopback;
use crate::redact::{escape_and_truncate, is_visible};
use crate::token::{Lifetime, Token, asked_scope};
use crate::wire::{HttpResponse, ResponseRules, malformed, read_members};

/// "If no value is provided, clients MUST use 5 as the default."
/// ([RFC 8628 §3.2](https://www.rfc-editor.org/rfc/rfc8628#section-3.2))
const INTERVAL: Duration = Duration::from_secs(5);
/// What a `slow_down` adds, for this and every later request
/// ([RFC 8628 §3.5](https://www.rfc-editor.org/rfc/rfc8628#section-3.5)).
const SLOWER: Duration = Duration::from_secs(5);
/// Bounds of what a provider may make us wait.
const LONGEST_INTERVAL: Duration = Duration::from_secs(300);
const LONGEST_LIFE: i64 = 24 * 3600;
/// "A user code […] SHOULD be […] short"
/// ([RFC 8628 §6.1](https://www.rfc-editor.org/rfc/rfc8628#section-6.1)), in characters.
const LONGEST_CODE: usize = 100;
/// Longer than any page to type or scan, in bytes.
const LONGEST_URL: usize = 2048;
/// For providers that send no lifetime.
const LIFE: i64 = 600;

impl OAuthClient {
    /// A login on another device
    /// ([RFC 8628](https://www.rfc-editor.org/rfc/rfc8628)).
    pub fn device_authorization(&self) -> DeviceAuthorization {
        DeviceAuthorization { client: self.clone(), scope: None, params: Vec::new() }
    }
}

/// A request to the device authorization endpoint
/// ([RFC 8628 §3.1](https://www.rfc-editor.org/rfc/rfc8628#section-3.1)).
#[derive(Clone)]
#[must_use = "a device authorization does nothing until `begin` is awaited"]
pub struct DeviceAuthorization {
    client: OAuthClient,
    scope: Option<String>,
    params: Vec<(String, String)>,
}

impl DeviceAuthorization {
    /// The scope to ask for: names separated by spaces
    /// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = asked_scope(scope);
        self
    }

    /// An extra parameter
    /// ([RFC 6749 §8.2](https://www.rfc-editor.org/rfc/rfc6749#section-8.2)).
    pub fn extra_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    /// Asks for the codes. Call it when the person wants to log in, not before
    /// ([RFC 8628 §3.1](https://www.rfc-editor.org/rfc/rfc8628#section-3.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] without a
    /// [`device_authorization_endpoint`](OAuthClient::device_authorization_endpoint);
    /// [`Error::is_malformed_response`] if the code or a URL is not fit to be shown (escape
    /// sequences, `javascript:`); otherwise as [`TokenRequest::send`](crate::TokenRequest::send).
    pub async fn begin(self) -> Result<PendingDeviceLogin, Error> {
        let Some(url) = &self.client.endpoints().device_authorization else {
            return Err(Error::config(
                "no device authorization endpoint is known; set it with OAuthClient::device_authorization_endpoint, or use OAuthClient::discover",
            ));
        };
        let endpoint = Endpoint { kind: RequestKind::DeviceAuthorization, url };
        let mut form = Form::default();
        for (name, value) in &self.params {
            form.extra(name, value);
        }
        // "client_id: REQUIRED if the client is not authenticating with the authorization server as
        // described in Section 3.2.1 of [RFC6749]." Servers ask for it beside HTTP Basic too.
        if !self.client.client_id().is_empty() {
            form.own("client_id", self.client.client_id());
        }
        if let Some(scope) = &self.scope {
            form.own("scope", scope);
        }
        let began = Instant::now();
        let read = |response: &HttpResponse<'_>| read(response, &self.client, began);
        let login = self.client.post(endpoint, &form, read).await?;
        Ok(PendingDeviceLogin { scope: self.scope, ..login })
    }
}

/// Reads the response ([RFC 8628 §3.2](https://www.rfc-editor.org/rfc/rfc8628#section-3.2)).
fn read(
    response: &HttpResponse<'_>,
    client: &OAuthClient,
    began: Instant,
) -> Result<PendingDeviceLogin, Error> {
    let mut members = read_members(response, &ResponseRules::default())?;
    let text =
        |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let needed = |names: &[&str]| {
        let found = names.iter().find_map(|name| text(name)).map(str::to_owned);
        found.ok_or_else(|| malformed(response, format!("{} is missing", names[0])))
    };
    let seconds = |name: &str, read: fn(&Value) -> Lifetime| read(members.get(name)?).seconds();
    // Without a wait, requests would follow each other for as long as the code lives.
    let interval = seconds("interval", Lifetime::read_wait)
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| *seconds > 0)
        .map_or(INTERVAL, Duration::from_secs)
        .min(LONGEST_INTERVAL);
    let life = seconds("expires_in", Lifetime::read).unwrap_or(LIFE).clamp(0, LONGEST_LIFE);
    let (user_code, device_code) = (needed(&["user_code"])?, needed(&["device_code"])?);
    if user_code.chars().count() > LONGEST_CODE || !user_code.chars().all(is_visible) {
        let reason = "user_code is too long, or has characters that cannot be shown";
        return Err(malformed(response, reason.to_owned()));
    }
    let to_open = |name: &str, text: &str| {
        let reason = || format!("{name} is not an https URL that can be shown");
        url_to_open(text).ok_or_else(|| malformed(response, reason()))
    };
    // Google wrote it so before there was an RFC.
    let verification_uri = needed(&["verification_uri", "verification_url"])?;
    let verification_uri = to_open("verification_uri", &verification_uri)?;
    let complete = text("verification_uri_complete");
    let verification_uri_complete =
        complete.map(|text| to_open("verification_uri_complete", text)).transpose()?;
    members.remove("device_code");
    let members = members.into_iter().map(|(name, value)| (printable(&name), printed(value)));
    Ok(PendingDeviceLogin {
        client: client.clone(),
        scope: None,
        user_code,
        verification_uri,
        verification_uri_complete,
        device_code: device_code.into(),
        least_interval: interval,
        interval,
        retry_after: Duration::ZERO,
        expires_at: began + Duration::from_secs(life.unsigned_abs()),
        members: members.collect(),
        #[cfg(feature = "keys")]
        key: client.new_login_key()?,
    })
}

/// What a person may be told to open: https, or http to loopback; in visible ASCII, so that a host of
/// other letters looks like one.
fn url_to_open(text: &str) -> Option<String> {
    let begins = |scheme: &str| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let plain = |c: char| is_visible(c) && !c.is_whitespace() && c != '\\';
    if text.len() > LONGEST_URL
        || !text.chars().all(plain)
        || !(begins("https://") || begins("http://"))
    {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let safe = (url.scheme() == "https" || is_loopback(&url))
        && url.username().is_empty()
        && url.password().is_none();
    safe.then(|| if text.is_ascii() { text.to_owned() } else { url.into() })
}

/// The text, line by line, with what cannot be shown escaped.
fn printable(text: &str) -> String {
    let lines: Vec<String> =
        text.split('\n').map(|line| escape_and_truncate(line, usize::MAX)).collect();
    lines.join("\n")
}

/// The same for every text in a value.
fn printed(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(printable(&text)),
        Value::Array(values) => Value::Array(values.into_iter().map(printed).collect()),
        Value::Object(members) => Value::Object(
            members.into_iter().map(|(name, value)| (printable(&name), printed(value))).collect(),
        ),
        other => other,
    }
}

/// A login on another device, under way
/// ([RFC 8628 §3.2](https://www.rfc-editor.org/rfc/rfc8628#section-3.2)).
#[must_use = "show the user code, then await `wait`"]
pub struct PendingDeviceLogin {
    client: OAuthClient,
    /// The scope that was asked for.
    scope: Option<String>,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    device_code: SecretString,
    /// As the provider asks for, and a second at least.
    least_interval: Duration,
    /// Longer after requests that got no answer of the provider's.
    interval: Duration,
    /// What the last response said: the next wait, and no other, is as long at least.
    retry_after: Duration,
    expires_at: Instant,
    members: Map<String, Value>,
    /// What the token will be bound to: the same key for each poll.
    #[cfg(feature = "keys")]
    key: Option<SigningKey>,
}

impl PendingDeviceLogin {
    /// The code that the person types in. Always show it. It has no control characters, and none
    /// that hide or reorder others
    /// ([RFC 8628 §3.3.1](https://www.rfc-editor.org/rfc/rfc8628#section-3.3.1)).
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Where the person types it in: an https URL (http to loopback), of visible ASCII
    /// ([RFC 8628 §3.2](https://www.rfc-editor.org/rfc/rfc8628#section-3.2)).
    pub fn verification_uri(&self) -> &str {
        &self.verification_uri
    }

    /// The same with the code in it, for a QR code or a link
    /// ([RFC 8628 §3.3.1](https://www.rfc-editor.org/rfc/rfc8628#section-3.3.1)).
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.verification_uri_complete.as_deref()
    }

    /// How long the person has left
    /// ([RFC 8628 §3.2](https://www.rfc-editor.org/rfc/rfc8628#section-3.2)).
    pub fn expires_in(&self) -> Duration {
        self.expires_at.saturating_duration_since(Instant::now())
    }

    /// The members of the provider's response, such as Microsoft's `message`, without the device
    /// code, which is a secret. Control characters are escaped, except line ends
    /// ([RFC 8628 §3.2](https://www.rfc-editor.org/rfc/rfc8628#section-3.2)).
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// Waits until the person has agreed. Polls every 5 seconds unless the provider says otherwise (1 second
    /// at least, 5 minutes at most), 5 seconds slower after each `slow_down`, and half as often after each
    /// request without a response, or with one that says nothing about the login (a page, a 429, a 5xx).
    /// The next wait is not shorter than a `Retry-After`
    /// ([RFC 8628 §3.5](https://www.rfc-editor.org/rfc/rfc8628#section-3.5)).
    ///
    /// # Errors
    ///
    /// `access_denied` and `expired_token` as the provider's [`error_code`](Error::error_code), the latter
    /// also if the time runs out; any other error response; [`Error::is_malformed_response`] if the person has
    /// agreed, and the token cannot be used: then begin the login again.
    ///
    /// # Cancellation
    ///
    /// Drop the future to give up. You may call it again. A token that the provider had just issued
    /// is lost then, and the person must agree again.
    pub async fn wait(&mut self) -> Result<Token, Error> {
        loop {
            let left = self.expires_in();
            if left <= self.least_interval {
                sleep(left).await;
                return Err(expired());
            }
            // An outage makes the interval long. The person may have agreed meanwhile, so the last requests
            // come before the code expires.
            let wait = self.interval.max(self.retry_after);
            sleep(if left <= wait { self.least_interval.max(left / 2) } else { wait }).await;
            let request = self
                .client
                .token_request(DEVICE_GRANT_TYPE)
                .param("device_code", self.device_code.expose_secret())
                .after_asking_for(self.scope.clone());
            #[cfg(feature = "keys")]
            let request = request.bound_to(self.key.clone());
            let error = match request.send().await {
                Ok(token) => return Ok(token),
                Err(error) => error,
            };
            self.retry_after = error.retry_after().unwrap_or_default().min(LONGEST_INTERVAL);
            if error.has_code("authorization_pending") {
            } else if error.has_code("slow_down") {
                self.least_interval += SLOWER;
                self.interval += SLOWER;
            } else if error.is_transient() && !error.is_unusable_token() {
                self.interval = self.interval.max((self.interval * 2).min(LONGEST_INTERVAL));
            } else {
                return Err(error);
            }
        }
    }
}

fn expired() -> Error {
    Error::new(Kind::Refused(ErrorResponse {
        endpoint: "token endpoint",
        status: None,
        code: Some(ErrorCode::known("expired_token")),
        description: Some("the user code has expired; begin the login again".to_owned()),
        uri: None,
        retry_after: None,
        content: None,
        class: RetryClass::Permanent,
        of_refresh: false,
    }))
}

impl fmt::Debug for DeviceAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAuthorization")
            .field("client", &self.client)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PendingDeviceLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingDeviceLogin")
            .field("verification_uri", &self.verification_uri)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}
