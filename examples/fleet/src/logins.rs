//! The logins of one side, in the store.

use std::sync::Arc;

use futures_util::future::try_join_all;
use reqwest_oauth2::store::{TokenKey, TokenStore};
use reqwest_oauth2::{BoxError, Token, UserId, UserSessions};

use crate::provider::FleetProvider;
use crate::worker;

pub(crate) struct Logins<'a> {
    pub(crate) provider: &'a FleetProvider,
    pub(crate) users: Vec<UserId>,
    sessions: UserSessions,
    store: Arc<dyn TokenStore>,
}

impl<'a> Logins<'a> {
    /// Logs all of them in.
    pub(crate) async fn begin(
        provider: &'a FleetProvider,
        store: Arc<dyn TokenStore>,
        users: Vec<UserId>,
    ) -> Result<Self, BoxError> {
        let sessions = UserSessions::builder(provider.app()?).store(store.clone()).build();
        let logins = Self { provider, users, sessions, store };
        try_join_all(logins.users.iter().map(|user| logins.again(user))).await?;
        Ok(logins)
    }

    /// Logs this one in, whatever there was before.
    pub(crate) async fn again(&self, user: &UserId) -> Result<(), BoxError> {
        let token = self.provider.log_in().await?;
        Ok(self.sessions.sign_in(user.clone(), token).await?)
    }

    /// The stored token; `None` where the login has ended.
    pub(crate) async fn stored(&self, user: &UserId) -> Result<Option<Token>, BoxError> {
        let FleetProvider { token_url, client_id, .. } = self.provider;
        let key = TokenKey::new(token_url, client_id, user.as_str());
        let Some(record) = self.store.load(&key).await? else { return Ok(None) };
        let document: serde_json::Value = serde_json::from_str(record.json())?;
        // After its end a login has a record without a token.
        let has_token = document.get("access_token").is_some();
        Ok(if has_token { Some(serde_json::from_value(document)?) } else { None })
    }

    /// Whether a request of each of them is answered with 200.
    pub(crate) async fn all_serve(&self) -> Result<bool, BoxError> {
        let api = &self.provider.api_url;
        let http = worker::client(&self.sessions, api)?;
        for user in &self.users {
            let response = http.get(api).with_extension(user.clone()).send().await?;
            if response.status() != 200 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
