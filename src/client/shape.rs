//! `Shape`: one change of requests to the provider. A client has a list of them; each request goes through
//! the list, in order, after its client authentication is in it. Parameters, headers, renames, JSON bodies
//! and closures of the application are all shapes.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::limit::Limit;
use super::renames::Renames;
use super::{ProviderRequest, RequestKind, RequestKinds};
use crate::error::{BoxError, Error};
use crate::redact::{error_tells, redact};

/// The longest text that is kept of a closure's error that repeats a secret, in characters.
const LONGEST_ERROR: usize = 300;

/// Changes requests of these kinds.
#[derive(Clone)]
pub(super) struct Shape {
    pub(super) kinds: RequestKinds,
    pub(super) edit: Edit,
}

#[derive(Clone)]
pub(super) enum Edit {
    Param(String, SecretString),
    Header(HeaderName, HeaderValue),
    Rename(String, String),
    Json,
    Closure(Arc<Closure>),
}

pub(super) type Closure =
    dyn Fn(ProviderRequest) -> BoxFuture<'static, Result<ProviderRequest, BoxError>> + Send + Sync;

/// Whether a parameter says what a token is issued for. A store keeps tokens for different ones apart, so it
/// must know them before there is a request.
pub(crate) fn is_target(name: &str) -> bool {
    ["scope", "resource", "audience"].contains(&name)
}

/// The request, changed. Closures are asked each time.
pub(super) async fn apply(
    shapes: &[Shape],
    mut request: ProviderRequest,
    limit: Limit,
) -> Result<ProviderRequest, Error> {
    let given: Vec<String> = request.form.extras().map(|(name, _)| name.to_owned()).collect();
    let kind = request.kind;
    for shape in shapes.iter().filter(|shape| shape.kinds.contains(kind)) {
        request = match &shape.edit {
            // One that this request has of its own is in place of it.
            Edit::Param(name, _) if given.contains(name) => request,
            Edit::Param(name, value) => request.param(name, value.expose_secret()),
            Edit::Header(name, value) => {
                request.headers.insert(name, value.clone());
                request
            }
            Edit::Rename(name, sent_as) => request.rename(name, sent_as),
            Edit::Json => request.json(),
            Edit::Closure(closure) => ask(&**closure, request, limit).await?,
        };
    }
    Ok(request)
}

async fn ask(
    closure: &Closure,
    request: ProviderRequest,
    limit: Limit,
) -> Result<ProviderRequest, Error> {
    let targets = |request: &ProviderRequest| {
        request.form.extras().filter(|(name, _)| is_target(name)).count()
    };
    let is_stored = request.kind.is_stored();
    let before = targets(&request);
    let secrets: Vec<SecretString> = request.secrets().map(SecretString::from).collect();
    // The closure may panic before it has made its future.
    let call = async { closure(request).await.map_err(|error| without_secrets(error, &secrets)) };
    let shaped = limit.closure("the closure of OAuthClient::shape_requests", call).await?;
    if is_stored && targets(&shaped) != before {
        return Err(Error::config(
            "a closure of OAuthClient::shape_requests added scope, resource or audience, which a store has to know beforehand; give them with OAuthClient::request_param",
        ));
    }
    Ok(shaped)
}

/// The closure's error as it is, unless it repeats a secret of the request, whose body the closure has seen: then
/// its text without it.
fn without_secrets(error: BoxError, secrets: &[SecretString]) -> BoxError {
    let secrets: Vec<&str> = secrets.iter().map(ExposeSecret::expose_secret).collect();
    if error_tells(&*error, &secrets) {
        return redact(&error.to_string(), LONGEST_ERROR, &secrets).into();
    }
    error
}

/// The parameters that every request of this kind has.
pub(super) fn params(shapes: &[Shape], kind: RequestKind) -> impl Iterator<Item = (&str, &str)> {
    shapes.iter().filter(move |shape| shape.kinds.contains(kind)).filter_map(|shape| {
        match &shape.edit {
            Edit::Param(name, value) => Some((name.as_str(), value.expose_secret())),
            _ => None,
        }
    })
}

/// What the tokens of refreshes are issued for, and those of a grant beside what it says itself: its own
/// parameters are sent in place of these.
pub(super) fn issued_for<'a>(
    shapes: &'a [Shape],
    of_grant: &'a [(String, String)],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let of_grants = params(shapes, RequestKind::OtherGrant);
    let beside = of_grants.filter(move |(name, _)| of_grant.iter().all(|(own, _)| own != *name));
    params(shapes, RequestKind::Refresh).chain(beside).filter(|(name, _)| is_target(name))
}

/// The renames of requests of this kind.
pub(super) fn renames(shapes: &[Shape], kind: RequestKind) -> Renames {
    let mut renames = Renames::default();
    for shape in shapes.iter().filter(|shape| shape.kinds.contains(kind)) {
        if let Edit::Rename(name, sent_as) = &shape.edit {
            renames.add(name, sent_as);
        }
    }
    renames
}
