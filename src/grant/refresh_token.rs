//! Refreshing an access token ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).

use std::time::Duration;

#[cfg(feature = "keys")]
use tokio::time::Instant;

use crate::client::{OAuthClient, RequestKind};
use crate::error::Error;
use crate::redact::escape_and_truncate;
use crate::token::{Token, TokenTarget};

/// Names of scopes that providers leave out of the scope that they grant, or write in another way,
/// and yet take at a refresh: those of
/// [OpenID Connect Core §5.4](https://openid.net/specs/openid-connect-core-1_0.html#ScopeClaims) and
/// [§11](https://openid.net/specs/openid-connect-core-1_0.html#OfflineAccess) (Google, Microsoft).
const OPENID_CONNECT: [&str; 6] =
    ["address", "email", "offline_access", "openid", "phone", "profile"];

/// Sends the refresh token once. `target`: the key of another target than the login's own. `left`: what is
/// left of the client's timeout.
///
/// The parameters of a target are in place of the client's with the same names
/// ([RFC 8707 §2.2](https://www.rfc-editor.org/rfc/rfc8707#section-2.2)). Its scope is not compared with
/// the granted one: Microsoft's refresh tokens give access to scopes of other resources, which the response
/// to the login does not name.
///
/// The new token is as it came; what the response leaves out is the caller's to fill in.
pub(crate) async fn refresh(
    client: &OAuthClient,
    old: &Token,
    refresh_token: &str,
    target: Option<&str>,
    left: Duration,
) -> Result<Token, Error> {
    let own = target.map(TokenTarget::params_of).unwrap_or_default();
    let is_replaced = |name: &str| own.iter().any(|(other, _)| other == name);
    let params = client.params_of(RequestKind::Refresh).filter(|(name, _)| !is_replaced(name));
    check_scope(params, old.granted_scope())?;
    let mut request = client.token_request("refresh_token").param("refresh_token", refresh_token);
    for (name, value) in &own {
        request = request.extra_param(name, value);
    }
    #[cfg(feature = "keys")]
    let (request, left) = match client.key_of(old)? {
        None => (request, left),
        Some(key) => {
            let began = Instant::now();
            client.get_nonce(&key, left).await?;
            (request.bound_to(Some(key)), left.saturating_sub(began.elapsed()))
        }
    };
    request.within(left).send().await
}

/// "The requested scope MUST NOT include any scope not originally granted by the resource owner"
/// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)). Where the provider named no
/// scope with the login, nothing is known of it.
fn check_scope<'a>(
    params: impl Iterator<Item = (&'a str, &'a str)>,
    granted: Option<&str>,
) -> Result<(), Error> {
    let Some(granted) = granted.filter(|granted| !granted.trim().is_empty()) else {
        return Ok(());
    };
    // GitHub puts commas between the names.
    let granted: Vec<&str> = granted.split([' ', ',']).collect();
    let requested = params.filter(|(name, _)| *name == "scope");
    let mut names = requested.flat_map(|(_, scope)| scope.split([' ', ',']));
    // Microsoft's `…/.default` stands for whatever was granted.
    let is_granted = |name: &str| {
        name.is_empty()
            || granted.contains(&name)
            || OPENID_CONNECT.contains(&name)
            || name.ends_with("/.default")
    };
    match names.find(|name| !is_granted(name)) {
        None => Ok(()),
        Some(wider) => Err(Error::config(format!(
            "the refresh asks for the scope {:?}, which the login was not granted; leave it out of OAuthClient::refresh_param, or log in again with that scope",
            escape_and_truncate(wider, 60)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(requested: &str, granted: Option<&str>) -> Result<(), Error> {
        check_scope([("scope", requested)].into_iter(), granted)
    }

    #[test]
    fn a_refresh_asks_for_no_more_than_was_granted() {
        for (requested, granted) in [
            ("read", Some("read write")),
            ("write read", Some("read write")),
            ("", Some("read")),
            ("read  write", Some("write read")),
            ("repo", Some("repo,user")),
            ("repo,user", Some("user repo")),
            ("read", None),
            ("read", Some("")),
            ("read offline_access openid", Some("read")),
            ("https://graph.example/.default", Some("https://graph.example/User.Read")),
        ] {
            assert!(check(requested, granted).is_ok(), "{requested:?} of {granted:?}");
        }
        for (requested, granted, wider) in [
            ("read write", "read", "write"),
            ("Read", "read", "Read"),
            ("rea", "read", "rea"),
            ("read", "readwrite", "read"),
        ] {
            let error = check(requested, Some(granted)).unwrap_err();
            assert!(error.is_config());
            assert_eq!(
                error.to_string(),
                format!(
                    "the refresh asks for the scope \"{wider}\", which the login was not granted; leave it out of OAuthClient::refresh_param, or log in again with that scope"
                )
            );
        }
    }
}
