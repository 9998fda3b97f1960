//! Endpoints and quirks of known providers: only the client id is missing.
//!
//! | provider | credentials | what else makes it work |
//! |---|---|---|
//! | [`lokalise`] | body | a refresh brings no refresh token: the old one is kept |
//! | [`google`] | body | `access_type=offline` asks for a refresh token; it comes with the first consent only, so ask with `prompt=consent` if it was lost |
//! | [`github`] | body | errors come with status 200; `bad_refresh_token` ends a login; OAuth apps get no refresh token and no lifetime |
//! | [`microsoft`] | body | the scope `offline_access` asks for a refresh token; `interaction_required`, `login_required` and `consent_required` end a login |
//! | [`tiktok`] | body | the client id is called `client_key` |
//! | [`slack`] | body | the type is `bot` or `user`; a person's token comes nested; errors come with status 200; `token_expired`, `token_revoked`, `invalid_refresh_token` and `account_inactive` end a login |
//!
//! For providers that publish metadata, [`OAuthClient::discover`] finds the same.

use serde_json::{Map, Value};

use crate::client::{ClientAuthentication, OAuthClient, RequestKinds};
use crate::error::Error;

/// Lokalise: its SDKs' `auth` is [`OAuthClient::authorization_code`], their `token(code)` is
/// [`PendingLogin::finish_with_code`](crate::PendingLogin::finish_with_code), their `refresh` a
/// [`Session`](crate::Session)'s own.
///
/// # Errors
///
/// None in practice: the URLs are constants.
pub fn lokalise(client_id: impl Into<String>) -> Result<OAuthClient, Error> {
    preset(
        client_id.into(),
        "https://app.lokalise.com/oauth2/auth",
        "https://app.lokalise.com/oauth2/token",
    )
}

/// Google.
///
/// # Errors
///
/// None in practice: the URLs are constants.
pub fn google(client_id: impl Into<String>) -> Result<OAuthClient, Error> {
    let client = preset(
        client_id.into(),
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://oauth2.googleapis.com/token",
    )?;
    Ok(client
        .device_authorization_endpoint("https://oauth2.googleapis.com/device/code")?
        .revocation_endpoint("https://oauth2.googleapis.com/revoke")?
        .issuer("https://accounts.google.com")
        .authorization_param("access_type", "offline"))
}

/// GitHub: OAuth apps, and GitHub apps acting for a person.
///
/// # Errors
///
/// None in practice: the URLs are constants.
pub fn github(client_id: impl Into<String>) -> Result<OAuthClient, Error> {
    let client = preset(
        client_id.into(),
        "https://github.com/login/oauth/authorize",
        "https://github.com/login/oauth/access_token",
    )?;
    client.device_authorization_endpoint("https://github.com/login/device/code")
}

/// Microsoft's identity platform; the tenant is `common`, `organizations`, `consumers`, a domain or
/// an id.
///
/// # Errors
///
/// [`Error::is_config`] if the tenant has other characters than letters, digits, `-` and `.`.
pub fn microsoft(tenant: &str, client_id: impl Into<String>) -> Result<OAuthClient, Error> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    if tenant.is_empty() || !tenant.bytes().all(plain) {
        return Err(Error::config(
            "the tenant is `common`, `organizations`, `consumers`, a domain or an id",
        ));
    }
    let base = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0");
    let client = preset(client_id.into(), &format!("{base}/authorize"), &format!("{base}/token"))?;
    client.device_authorization_endpoint(format!("{base}/devicecode"))
}

/// Slack, version 2. If the answer has no bot token, the person's token (`authed_user`) is used.
///
/// # Errors
///
/// None in practice: the URLs are constants.
pub fn slack(client_id: impl Into<String>) -> Result<OAuthClient, Error> {
    let client = preset(
        client_id.into(),
        "https://slack.com/oauth/v2/authorize",
        "https://slack.com/api/oauth.v2.access",
    )?;
    Ok(client
        .accept_token_type("bot")
        .accept_token_type("user")
        // The person or the workspace is gone, and with it the refresh token.
        .ends_login("account_inactive")
        .map_response(unnest_slack_user))
}

fn unnest_slack_user(mut members: Map<String, Value>) -> Map<String, Value> {
    let has_bot =
        members.get("access_token").and_then(Value::as_str).is_some_and(|t| !t.is_empty());
    if !has_bot && let Some(Value::Object(user)) = members.remove("authed_user") {
        members.extend(user);
    }
    members
}

/// TikTok. Its "client key" is the client id. Its scopes are separated by commas:
/// `scope("user.info.basic,video.list")`.
///
/// # Errors
///
/// None in practice: the URLs are constants.
pub fn tiktok(client_key: impl Into<String>) -> Result<OAuthClient, Error> {
    let client = preset(
        client_key.into(),
        "https://www.tiktok.com/v2/auth/authorize/",
        "https://open.tiktokapis.com/v2/oauth/token/",
    )?;
    Ok(client.revocation_endpoint("https://open.tiktokapis.com/v2/oauth/revoke/")?.rename_param(
        RequestKinds::ALL,
        "client_id",
        "client_key",
    ))
}

fn preset(client_id: String, authorization: &str, token: &str) -> Result<OAuthClient, Error> {
    let client = OAuthClient::new(client_id, token)?.authorization_endpoint(authorization)?;
    Ok(client.default_authentication(ClientAuthentication::ClientSecretPost))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_preset_has_its_endpoints() {
        for (client, authorization, token, device, revocation) in [
            (
                lokalise("id"),
                "https://app.lokalise.com/oauth2/auth",
                "https://app.lokalise.com/oauth2/token",
                None,
                None,
            ),
            (
                google("id"),
                "https://accounts.google.com/o/oauth2/v2/auth",
                "https://oauth2.googleapis.com/token",
                Some("https://oauth2.googleapis.com/device/code"),
                Some("https://oauth2.googleapis.com/revoke"),
            ),
            (
                github("id"),
                "https://github.com/login/oauth/authorize",
                "https://github.com/login/oauth/access_token",
                Some("https://github.com/login/device/code"),
                None,
            ),
            (
                microsoft("common", "id"),
                "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
                "https://login.microsoftonline.com/common/oauth2/v2.0/token",
                Some("https://login.microsoftonline.com/common/oauth2/v2.0/devicecode"),
                None,
            ),
            (
                slack("id"),
                "https://slack.com/oauth/v2/authorize",
                "https://slack.com/api/oauth.v2.access",
                None,
                None,
            ),
            (
                tiktok("id"),
                "https://www.tiktok.com/v2/auth/authorize/",
                "https://open.tiktokapis.com/v2/oauth/token/",
                None,
                Some("https://open.tiktokapis.com/v2/oauth/revoke/"),
            ),
        ] {
            let client = client.unwrap();
            let endpoints = client.endpoints();
            let text = |url: &Option<url::Url>| url.as_ref().map(|url| url.as_str().to_owned());
            assert_eq!(text(&endpoints.authorization).as_deref(), Some(authorization));
            assert_eq!(endpoints.token.as_str(), token);
            assert_eq!(text(&endpoints.device_authorization).as_deref(), device);
            assert_eq!(text(&endpoints.revocation).as_deref(), revocation);
        }
        for tenant in ["", "a/b", "a b", "x?y", "x#y", "../evil"] {
            assert!(microsoft(tenant, "id").unwrap_err().is_config(), "{tenant}");
        }
    }

    #[test]
    fn slack_has_a_code_of_its_own_for_the_end_of_a_login() {
        assert_eq!(slack("id").unwrap().rules().ends_login, ["account_inactive"]);
    }

    #[test]
    fn slacks_person_is_unnested_only_where_there_is_no_bot() {
        let members = |value: Value| match value {
            Value::Object(members) => unnest_slack_user(members),
            _ => Map::new(),
        };
        let person = members(
            json!({"ok": true, "authed_user": {"access_token": "xoxp", "token_type": "user"}}),
        );
        assert_eq!(person["access_token"], "xoxp");
        for none in [Value::Null, "".into()] {
            let person = json!({"access_token": none, "authed_user": {"access_token": "xoxp"}});
            assert_eq!(members(person)["access_token"], "xoxp");
        }
        let bot = members(json!({"access_token": "xoxb", "authed_user": {"access_token": "xoxp"}}));
        assert_eq!(bot["access_token"], "xoxb");
        assert_eq!(bot["authed_user"]["access_token"], "xoxp");
    }
}
