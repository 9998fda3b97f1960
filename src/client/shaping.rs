//! How an application shapes requests to the provider, and reads its responses: setters of
//! [`OAuthClient`].

use std::borrow::Cow;
use std::sync::Arc;

use futures_util::FutureExt;
use http::Response;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::provider_request::header;
use super::renames::Renames;
use super::shape::{self, Edit, Shape, is_target};
use super::{Endpoints, OAuthClient, ProviderRequest, RequestKind, RequestKinds};
use crate::error::{BoxError, Error};

impl OAuthClient {
    /// An extra parameter of every request of these kinds; may be called again, also with the same name
    /// (`resource`, [RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)). It never overrides a
    /// parameter of the protocol, and an extra parameter of a single request replaces it
    /// ([RFC 6749 §8.2](https://www.rfc-editor.org/rfc/rfc6749#section-8.2)).
    pub fn request_param(
        self,
        kinds: impl Into<RequestKinds>,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        let value = SecretString::from(value.into());
        self.shaped(kinds, Edit::Param(name.into(), value))
    }

    /// An extra parameter of every refresh request (requests-oauthlib's `auto_refresh_kwargs`),
    /// such as `scope` or `resource`: a [`request_param`](Self::request_param) of
    /// [`RequestKind::Refresh`]. It goes to the token endpoint and nowhere else. A `scope` wider
    /// than the granted one is an error before anything is sent, if the provider named the granted
    /// scope, and no other one since
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).
    pub fn refresh_param(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request_param(RequestKind::Refresh, name, value)
    }

    /// An extra parameter of every authorization request, such as Google's `access_type` =
    /// `offline`: a [`request_param`](Self::request_param) of [`RequestKind::Authorization`]
    /// ([RFC 6749 §8.2](https://www.rfc-editor.org/rfc/rfc6749#section-8.2)).
    pub fn authorization_param(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request_param(RequestKind::Authorization, name, value)
    }

    /// An API that the tokens are for: `resource` in each authorization and device authorization request and
    /// in each token request, refreshes included: a [`request_param`](Self::request_param) of these
    /// ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)). May be called again; the same one is
    /// sent once. A request that has a parameter `resource` of its own sends that one instead.
    ///
    /// A [store](crate::store) keeps logins for different resources apart. The URI must be absolute and
    /// without a fragment. Otherwise requests fail with [`Error::is_config`] before they are sent.
    pub fn resource(self, uri: impl Into<String>) -> Self {
        use RequestKind::{Authorization, DeviceAuthorization};
        let kinds = RequestKinds::TOKEN.and([Authorization, DeviceAuthorization]);
        let uri = uri.into();
        // A `ResourceLogin` adds the one of its API to a client that may have it already.
        let is_same = |shape: &Shape| match &shape.edit {
            Edit::Param(name, value) => name == "resource" && value.expose_secret() == uri,
            _ => false,
        };
        if self.0.shapes.iter().any(|shape| shape.kinds == kinds && is_same(shape)) {
            return self;
        }
        self.request_param(kinds, "resource", uri)
    }

    /// A header of every request of these kinds. It replaces one of that name, except the headers that
    /// describe the body, and HTTP Basic. Its value is treated as a secret: no error shows it. The
    /// authorization request gets none, since a browser sends it.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if name or value has characters that are not allowed in a header, and for
    /// the headers that describe the body.
    pub fn request_header(
        self,
        kinds: impl Into<RequestKinds>,
        name: impl AsRef<str>,
        value: impl AsRef<str>,
    ) -> Result<Self, Error> {
        let (name, value) = header(name.as_ref(), value.as_ref())?;
        Ok(self.shaped(kinds, Edit::Header(name, value)))
    }

    /// Sends a parameter of these requests under another name. It may be one of the protocol's own: TikTok
    /// calls the `client_id` `client_key`. A refresh or a grant whose parameter would become `scope`, `resource`
    /// or `audience` is [`Error::is_config`]: give it under that name.
    pub fn rename_param(
        self,
        kinds: impl Into<RequestKinds>,
        name: impl Into<String>,
        sent_as: impl Into<String>,
    ) -> Self {
        self.shaped(kinds, Edit::Rename(name.into(), sent_as.into()))
    }

    /// Sends these requests with a JSON object of strings instead of a form
    /// ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2) only knows forms). A parameter
    /// that is given several times becomes a list.
    pub fn json_requests(self, kinds: impl Into<RequestKinds>) -> Self {
        self.shaped(kinds, Edit::Json)
    }

    /// Passes each request of these kinds to a closure before it is sent, for values that must be computed each time,
    /// such as a signature in a header. The client authentication is already in it; for assertions use
    /// [`client_assertion`](Self::client_assertion). Closures, parameters, headers and renames apply in the order in
    /// which they were set. The authorization request is not passed to closures, since a browser sends it.
    ///
    /// The closure is called again for each attempt, within the request's [`timeout`](Self::timeout). If it
    /// fails, panics or takes too long, nothing is sent; the login stays, and a session tries again later.
    ///
    /// ```
    /// # async fn sign(_: &[u8]) -> std::io::Result<String> { Ok(String::new()) }
    /// # fn f() -> Result<(), reqwest_oauth2::Error> {
    /// use reqwest_oauth2::{OAuthClient, ProviderRequest, RequestKinds};
    ///
    /// let app = OAuthClient::new("foo", "https://provider.com/token")?.shape_requests(
    ///     RequestKinds::ALL,
    ///     |request: ProviderRequest| async move {
    ///         let signature = sign(request.body().as_ref()).await?;
    ///         Ok(request.header("x-signature", signature)?)
    ///     },
    /// );
    /// # Ok(())
    /// # }
    /// ```
    pub fn shape_requests<F, Fut>(self, kinds: impl Into<RequestKinds>, closure: F) -> Self
    where
        F: Fn(ProviderRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ProviderRequest, BoxError>> + Send + 'static,
    {
        let closure = move |request| closure(request).boxed();
        self.shaped(kinds, Edit::Closure(Arc::new(closure)))
    }

    /// Maps the members of every response of the token endpoint before they are read
    /// (requests-oauthlib's compliance hooks), for providers that nest or rename them
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)). If it panics, the response
    /// cannot be used; a refresh token that can be read in it is kept.
    ///
    /// Fitbit, for example, puts its error codes into a list:
    ///
    /// ```
    /// # fn f() -> Result<(), reqwest_oauth2::Error> {
    /// use reqwest_oauth2::OAuthClient;
    ///
    /// let app = OAuthClient::new("foo", "https://api.fitbit.com/oauth2/token")?
    ///     .secret("potato")
    ///     .map_response(|mut members| {
    ///         let code = members.get("errors").and_then(|errors| errors[0]["errorType"].as_str());
    ///         if let Some(code) = code.map(str::to_owned) {
    ///             members.insert("error".to_owned(), code.into());
    ///         }
    ///         members
    ///     });
    /// # Ok(())
    /// # }
    /// ```
    pub fn map_response(
        self,
        map: impl Fn(Map<String, Value>) -> Map<String, Value> + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| settings.rules.map_response = Some(Arc::new(map)))
    }

    /// Maps every response of the provider (status, headers and body) before it is read, and before
    /// [`map_response`](Self::map_response). The body holds at most [`max_response_bytes`](Self::max_response_bytes),
    /// and may be a token: do not log it. An error code in the body takes precedence over the status, so replace both
    /// if both are wrong. If the closure panics, the response cannot be used; a refresh token that can be read in it
    /// is kept.
    ///
    /// Here a firewall's 403 means "later", and a 410 that the login has ended:
    ///
    /// ```
    /// # fn f() -> Result<(), reqwest_oauth2::Error> {
    /// use reqwest_oauth2::{OAuthClient, http::StatusCode};
    ///
    /// let app = OAuthClient::new("foo", "https://provider.com/token")?.map_http_response(
    ///     |_, mut response| {
    ///         match response.status() {
    ///             StatusCode::FORBIDDEN => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
    ///             StatusCode::GONE => *response.body_mut() = br#"{"error":"invalid_grant"}"#.to_vec(),
    ///             _ => {}
    ///         }
    ///         response
    ///     },
    /// );
    /// # Ok(())
    /// # }
    /// ```
    pub fn map_http_response(
        self,
        map: impl Fn(RequestKind, Response<Vec<u8>>) -> Response<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| settings.map_http_response = Some(Arc::new(map)))
    }

    fn shaped(self, kinds: impl Into<RequestKinds>, edit: Edit) -> Self {
        let shape = Shape { kinds: kinds.into(), edit };
        self.with(|settings| settings.shapes.push(shape))
    }

    /// The extra parameters of every request of this kind.
    pub(crate) fn params_of(&self, kind: RequestKind) -> impl Iterator<Item = (&str, &str)> {
        shape::params(&self.0.shapes, kind)
    }

    /// What the names of parameters are in requests of this kind.
    pub(crate) fn renames_of(&self, kind: RequestKind) -> Renames {
        shape::renames(&self.0.shapes, kind)
    }

    /// What its refreshed tokens are for ([`resource`](Self::resource)).
    pub(crate) fn resources(&self) -> Vec<String> {
        let params = self.params_of(RequestKind::Refresh);
        let resources = params.filter(|(name, _)| *name == "resource");
        resources.map(|(_, uri)| uri.to_owned()).collect()
    }

    /// The scope, resources and audiences that the client asks for in each refresh, and in each request of a
    /// grant that asks for these itself.
    pub(crate) fn issued_for<'a>(
        &'a self,
        of_grant: &'a [(String, String)],
    ) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        let params = shape::issued_for(&self.0.shapes, of_grant);
        let params = params.map(|(name, value)| (Cow::from(name), Cow::from(value)));
        // Without an issuer the endpoint's URL identifies the provider, with its query.
        let Endpoints { issuer, token, .. } = self.endpoints();
        let query = issuer.iter().flat_map(|_| token.query_pairs());
        params.chain(query.filter(|(name, _)| is_target(name)))
    }
}
