//! `ProviderRequest`: one request to the provider, before it is sent.
//!
//! Invariants: the protocol's own parameters replace the application's of the same name; only the
//! application can send a parameter twice, and none that the endpoint's URL has already. A rename changes
//! the name that a parameter is sent under, and nothing else: every check goes by the protocol's name.

use std::fmt;

use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName,
    TRANSFER_ENCODING, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::Request;
use secrecy::zeroize::Zeroizing;
use url::Url;

use super::form::check_parameter;
use super::renames::Renames;
use super::shape::is_target;
use super::{Form, RequestKind};
use crate::error::Error;
use crate::secret;

/// Headers whose values are no secrets.
const PUBLIC: [HeaderName; 3] = [ACCEPT, ACCEPT_LANGUAGE, USER_AGENT];

/// A request to the provider as it will be sent, for
/// [`OAuthClient::shape_requests`](crate::OAuthClient::shape_requests). Its client authentication is in it.
///
/// `Debug` shows the names of parameters and headers, and no value.
#[must_use = "a closure returns the request that is to be sent"]
pub struct ProviderRequest {
    pub(super) kind: RequestKind,
    pub(super) url: Url,
    pub(super) form: Form,
    /// HTTP Basic.
    pub(super) basic: Option<HeaderValue>,
    /// Of the application.
    pub(super) headers: HeaderMap,
    pub(super) renames: Renames,
    pub(super) is_json: bool,
}

impl ProviderRequest {
    pub(super) fn new(kind: RequestKind, url: Url, form: Form) -> Self {
        Self {
            kind,
            url,
            form,
            basic: None,
            headers: HeaderMap::new(),
            renames: Renames::default(),
            is_json: false,
        }
    }

    /// What it is for.
    pub fn kind(&self) -> RequestKind {
        self.kind
    }

    /// Where it goes, by POST ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The `grant_type` of a request to the token endpoint
    /// ([RFC 6749 §4](https://www.rfc-editor.org/rfc/rfc6749#section-4)).
    pub fn grant_type(&self) -> Option<&str> {
        self.form.get_own("grant_type")
    }

    /// The body as it will be sent unless something changes it later, for a signature over it. It
    /// contains secrets.
    pub fn body(&self) -> impl AsRef<[u8]> + use<> {
        self.encoded()
    }

    /// Adds a parameter. It is dropped if the protocol has one of that name. For `scope`, `resource`
    /// and `audience` of a refresh or a grant use
    /// [`OAuthClient::request_param`](crate::OAuthClient::request_param)
    /// ([RFC 6749 §8.2](https://www.rfc-editor.org/rfc/rfc6749#section-8.2)).
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.form.extra(name, value);
        self
    }

    /// Sets a header, and replaces one of that name. Its value is treated as a secret: no error
    /// shows it.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it has characters that are not allowed in a header, and for the headers that
    /// describe the body.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Result<Self, Error> {
        let (name, value) = header(name.as_ref(), value.as_ref())?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Sends a parameter under another name. It may be one of the protocol's own.
    pub fn rename(mut self, name: impl Into<String>, sent_as: impl Into<String>) -> Self {
        self.renames.add(name, sent_as);
        self
    }

    /// Sends the parameters as a JSON object of strings instead of a form. A parameter that is given
    /// several times becomes a list.
    pub fn json(mut self) -> Self {
        self.is_json = true;
        self
    }

    /// Refuses what no request may carry, before it is sent.
    pub(super) fn check(&self) -> Result<(), Error> {
        for (name, value) in self.form.iter() {
            let sent_as = self.renames.sent_as(name);
            check_parameter(&self.url, name, sent_as, value)?;
            if self.form.owns().any(|(own, _)| own != name && own == sent_as) {
                return Err(Error::config(format!(
                    "the parameter {name:?} is renamed to {sent_as:?}, which the request has already; give it another name"
                )));
            }
            if self.kind.is_stored() && is_target(sent_as) && !is_target(name) {
                return Err(Error::config(format!(
                    "the parameter {name:?} is renamed to {sent_as:?}, which a store has to know beforehand; give it as {sent_as:?}"
                )));
            }
        }
        Ok(())
    }

    /// What is sent: the application's parameters first, then the protocol's own.
    fn sent(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = || self.form.owns().map(|(name, value)| (self.renames.sent_as(name), value));
        let extra = self.form.extras().map(|(name, value)| (self.renames.sent_as(name), value));
        // With Basic the id is in the header. People who come from requests-oauthlib often pass the
        // same client_id as an extra parameter.
        extra.filter(move |(name, _)| own().all(|(own, _)| own != *name)).chain(own())
    }

    fn encoded(&self) -> Zeroizing<Vec<u8>> {
        if self.is_json { self.json_body() } else { self.form_body() }
    }

    fn form_body(&self) -> Zeroizing<Vec<u8>> {
        let mut form = url::form_urlencoded::Serializer::new(String::with_capacity(1024));
        form.extend_pairs(self.sent());
        Zeroizing::new(form.finish().into_bytes())
    }

    fn json_body(&self) -> Zeroizing<Vec<u8>> {
        let sent: Vec<_> = self.sent().collect();
        let mut body = Zeroizing::new(String::with_capacity(1024));
        for (index, (name, _)) in sent.iter().enumerate() {
            if sent[..index].iter().any(|(earlier, _)| earlier == name) {
                continue;
            }
            let values = sent.iter().filter(|(other, _)| other == name);
            let values: Vec<_> = values.map(|(_, value)| json(value)).collect();
            body.push(if index == 0 { '{' } else { ',' });
            body.push_str(&json(name));
            body.push(':');
            match &*values {
                [value] => body.push_str(value),
                values => {
                    let listed = values.iter().map(|value| value.as_str()).collect::<Vec<_>>();
                    let listed = Zeroizing::new(listed.join(","));
                    body.push_str(&format!("[{}]", *listed));
                }
            }
        }
        body.push_str(if sent.is_empty() { "{}" } else { "}" });
        Zeroizing::new(std::mem::take(&mut *body).into_bytes())
    }

    pub(super) fn build(&self, user_agent: Option<&HeaderValue>) -> Request {
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(user_agent) = user_agent {
            headers.insert(USER_AGENT, user_agent.clone());
        }
        headers.extend(self.headers.clone());
        let media_type =
            if self.is_json { "application/json" } else { "application/x-www-form-urlencoded" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Some(basic) = &self.basic {
            headers.insert(AUTHORIZATION, basic.clone());
        }
        *request.body_mut() = Some(secret::zeroizing_bytes(self.encoded()).into());
        request
    }

    /// What nobody may see: the response may repeat it.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let shown = |value| HeaderValue::to_str(value).ok();
        let of_headers = || {
            let headers = self.headers.iter().filter(|(name, _)| !PUBLIC.contains(name));
            headers.map(|(_, value)| value)
        };
        // Behind a scheme there is a credential, which may come back alone; Basic also without its padding.
        let schemes = of_headers().chain(&self.basic).filter_map(shown);
        let credentials = schemes.filter_map(|text| {
            let (_, credential) = text.split_once(' ')?;
            Some(credential.trim_end_matches('='))
        });
        self.form.secrets().chain(of_headers().filter_map(shown)).chain(credentials)
    }
}

/// A text of JSON.
fn json(text: &str) -> Zeroizing<String> {
    Zeroizing::new(serde_json::Value::from(text).to_string())
}

/// A header of the application's.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let Ok(name) = HeaderName::try_from(name) else {
        return Err(Error::config(
            "the name of a header has characters that are not allowed in one",
        ));
    };
    if [CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING].contains(&name) {
        return Err(Error::config(format!(
            "the header {name} describes the body of the request, and cannot be set; for JSON there is OAuthClient::json_requests"
        )));
    }
    let value = Zeroizing::new(value.as_bytes().to_vec());
    let value = secret::sensitive(value).ok_or_else(|| {
        Error::config(format!("the header {name} has characters that are not allowed in a header"))
    })?;
    Ok((name, value))
}

impl fmt::Debug for ProviderRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().collect();
        f.debug_struct("ProviderRequest")
            .field("kind", &self.kind)
            .field("parameters", &self.form)
            .field("headers", &headers)
            .field("is_json", &self.is_json)
            .finish_non_exhaustive()
    }
}
