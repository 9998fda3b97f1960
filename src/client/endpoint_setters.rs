//! The setters of [`OAuthClient`]'s endpoints.

use url::Url;

use super::settings::{Endpoints, Issuer};
use super::{OAuthClient, endpoint_url};
use crate::error::Error;

impl OAuthClient {
    /// The authorization endpoint, where a person logs in
    /// ([RFC 6749 §3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`], as [`new`](Self::new).
    pub fn authorization_endpoint(self, url: impl AsRef<str>) -> Result<Self, Error> {
        self.endpoint(url.as_ref(), AUTHORIZATION, false)
    }

    /// As [`authorization_endpoint`](Self::authorization_endpoint), over plain http inside a service mesh; see
    /// [`new_over_plain_http`](Self::new_over_plain_http)
    /// ([RFC 6749 §3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`], as [`new`](Self::new), plain http excepted.
    pub fn authorization_endpoint_over_plain_http(
        self,
        url: impl AsRef<str>,
    ) -> Result<Self, Error> {
        self.endpoint(url.as_ref(), AUTHORIZATION, true)
    }

    /// The device authorization endpoint
    /// ([RFC 8628 §3.1](https://www.rfc-editor.org/rfc/rfc8628#section-3.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`], as [`new`](Self::new).
    pub fn device_authorization_endpoint(self, url: impl AsRef<str>) -> Result<Self, Error> {
        self.endpoint(url.as_ref(), DEVICE_AUTHORIZATION, false)
    }

    /// As [`device_authorization_endpoint`](Self::device_authorization_endpoint), over plain http inside a
    /// service mesh; see [`new_over_plain_http`](Self::new_over_plain_http)
    /// ([RFC 8628 §3.1](https://www.rfc-editor.org/rfc/rfc8628#section-3.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`], as [`new`](Self::new), plain http excepted.
    pub fn device_authorization_endpoint_over_plain_http(
        self,
        url: impl AsRef<str>,
    ) -> Result<Self, Error> {
        self.endpoint(url.as_ref(), DEVICE_AUTHORIZATION, true)
    }

    /// The endpoint for pushed authorization requests
    /// ([RFC 9126 §2](https://www.rfc-editor.org/rfc/rfc9126#section-2)); see
    /// [`AuthorizationRequest::push`](crate::AuthorizationRequest::push).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`], as [`new`](Self::new).
    pub fn pushed_authorization_request_endpoint(
        self,
        url: impl AsRef<str>,
    ) -> Result<Self, Error> {
        self.endpoint(url.as_ref(), PUSHED_AUTHORIZATION, false)
    }

    /// As [`pushed_authorization_request_endpoint`](Self::pushed_authorization_request_endpoint), over plain
    /// http inside a service mesh; see [`new_over_plain_http`](Self::new_over_plain_http)
    /// ([RFC 9126 §2](https://www.rfc-editor.org/rfc/rfc9126#section-2)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`], as [`new`](Self::new), plain http excepted.
    pub fn pushed_authorization_request_endpoint_over_plain_http(
        self,
        url: impl AsRef<str>,
    ) -> Result<Self, Error> {
        self.endpoint(url.as_ref(), PUSHED_AUTHORIZATION, true)
    }

    /// The revocation endpoint
    /// ([RFC 7009 §2](https://www.rfc-editor.org/rfc/rfc7009#section-2)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`], as [`new`](Self::new).
    pub fn revocation_endpoint(self, url: impl AsRef<str>) -> Result<Self, Error> {
        self.endpoint(url.as_ref(), REVOCATION, false)
    }

    /// As [`revocation_endpoint`](Self::revocation_endpoint), over plain http inside a service mesh; see
    /// [`new_over_plain_http`](Self::new_over_plain_http)
    /// ([RFC 7009 §2](https://www.rfc-editor.org/rfc/rfc7009#section-2)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`], as [`new`](Self::new), plain http excepted.
    pub fn revocation_endpoint_over_plain_http(self, url: impl AsRef<str>) -> Result<Self, Error> {
        self.endpoint(url.as_ref(), REVOCATION, true)
    }

    /// The introspection endpoint
    /// ([RFC 7662 §2](https://www.rfc-editor.org/rfc/rfc7662#section-2)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`], as [`new`](Self::new).
    pub fn introspection_endpoint(self, url: impl AsRef<str>) -> Result<Self, Error> {
        self.endpoint(url.as_ref(), INTROSPECTION, false)
    }

    /// As [`introspection_endpoint`](Self::introspection_endpoint), over plain http inside a service mesh;
    /// see [`new_over_plain_http`](Self::new_over_plain_http)
    /// ([RFC 7662 §2](https://www.rfc-editor.org/rfc/rfc7662#section-2)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`], as [`new`](Self::new), plain http excepted.
    pub fn introspection_endpoint_over_plain_http(
        self,
        url: impl AsRef<str>,
    ) -> Result<Self, Error> {
        self.endpoint(url.as_ref(), INTROSPECTION, true)
    }

    /// The provider's issuer identifier: a callback that carries another `iss` is refused
    /// ([RFC 9207 §2.4](https://www.rfc-editor.org/rfc/rfc9207#section-2.4)).
    /// [`discover`](Self::discover) sets it.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        let issuer = Issuer { text: issuer.into(), in_callback: false };
        self.with(|settings| settings.endpoints.issuer = Some(issuer))
    }

    fn endpoint(self, url: &str, endpoint: Setter, plain_http: bool) -> Result<Self, Error> {
        let (name, place) = endpoint;
        let url = endpoint_url::parse(url, name, plain_http)?;
        Ok(self.with(|settings| *place(&mut settings.endpoints) = Some(url)))
    }
}

/// What errors call an endpoint, and where it is kept.
type Setter = (&'static str, fn(&mut Endpoints) -> &mut Option<Url>);

const AUTHORIZATION: Setter = ("authorization endpoint", |known| &mut known.authorization);
const DEVICE_AUTHORIZATION: Setter =
    ("device authorization endpoint", |known| &mut known.device_authorization);
const PUSHED_AUTHORIZATION: Setter =
    ("pushed authorization request endpoint", |known| &mut known.pushed_authorization);
const REVOCATION: Setter = ("revocation endpoint", |known| &mut known.revocation);
const INTROSPECTION: Setter = ("introspection endpoint", |known| &mut known.introspection);
