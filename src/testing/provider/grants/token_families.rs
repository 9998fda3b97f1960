use std::collections::HashMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::OAuthError;
use crate::testing::provider::config::Config;

/// Whose access a token gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    User,
    /// The client itself.
    Client,
}

/// What a refresh asks for (RFC 6749 §6 and RFC 8707 §2.2).
pub(crate) struct Asked<'a> {
    pub(crate) scope: Option<&'a str>,
    pub(crate) resources: Vec<&'a str>,
}

/// What one successful grant gave to the client.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    pub(crate) scope: String,
    /// Which family the tokens belong to.
    pub(crate) family: usize,
    /// Whether this answers a token exchange (RFC 8693).
    pub(crate) exchanged: bool,
    /// The thumbprint of the key that they are bound to (RFC 9449 §6).
    pub(crate) jkt: Option<String>,
    /// Whether the response says so.
    pub(crate) shows_key: bool,
}

/// A token that is accepted now.
pub(crate) struct Live<'a> {
    pub(crate) is_access: bool,
    pub(crate) client_id: &'a str,
    pub(crate) family: usize,
    pub(crate) scope: &'a str,
    pub(crate) owner: Owner,
    pub(crate) expires: Option<SystemTime>,
    /// The thumbprint of the key that it is bound to.
    pub(crate) jkt: Option<&'a str>,
}

/// Every token issued so far.
#[derive(Default)]
pub(crate) struct TokenFamilies {
    families: Vec<Family>,
    access: HashMap<String, AccessToken>,
    refresh: HashMap<String, RefreshToken>,
    serial: u64,
}

/// The tokens that descend from one log-in.
struct Family {
    /// The client that they were issued to.
    client_id: String,
    /// The refresh token that is not retired.
    current: Option<String>,
    scope: String,
    owner: Owner,
    /// The thumbprint of the key that its refresh tokens are bound to, for a public client.
    jkt: Option<String>,
    revoked: bool,
}

struct AccessToken {
    family: usize,
    scope: String,
    /// What a refresh asked for.
    resources: Vec<String>,
    /// `None` if the lifetime is beyond what the clock can tell.
    expires: Option<SystemTime>,
    jkt: Option<String>,
}

struct RefreshToken {
    family: usize,
    retired: Option<SystemTime>,
}

impl RefreshToken {
    /// Whether it is the current one, or was until a moment ago.
    fn is_answered(&self, config: &Config, now: SystemTime) -> bool {
        self.retired.is_none_or(|retired| {
            now.duration_since(retired).unwrap_or_default() < config.grace_period
        })
    }
}

impl TokenFamilies {
    /// Starts a family, as an authorization or a client credentials grant does.
    pub(crate) fn begin(
        &mut self,
        client_id: &str,
        scope: &str,
        owner: Owner,
        with_refresh: bool,
        config: &Config,
        now: SystemTime,
    ) -> Issued {
        let family = self.families.len();
        let current = with_refresh.then(|| self.new_refresh(family));
        self.families.push(Family {
            client_id: client_id.to_owned(),
            current: current.clone(),
            scope: scope.to_owned(),
            owner,
            jkt: None,
            revoked: false,
        });
        Issued {
            access_token: self.new_access(family, scope, &[], config, now),
            refresh_token: current,
            scope: scope.to_owned(),
            family,
            exchanged: false,
            jkt: None,
            shows_key: false,
        }
    }

    /// The refresh token grant (RFC 6749 §6).
    pub(crate) fn refresh(
        &mut self,
        client_id: &str,
        token: &str,
        asked: &Asked<'_>,
        config: &Config,
        now: SystemTime,
    ) -> Result<Issued, OAuthError> {
        let entry = self.refresh.get_mut(token).ok_or(OAuthError::InvalidGrant)?;
        let index = entry.family;
        let family = self.families.get_mut(index).ok_or(OAuthError::InvalidGrant)?;
        if family.revoked || family.client_id != client_id {
            return Err(OAuthError::InvalidGrant);
        }
        if !entry.is_answered(config, now) {
            if !config.reuse_detection {
                return Err(OAuthError::InvalidGrant);
            }
            family.revoked = true;
            return Err(OAuthError::ReuseDetected);
        }
        let scope = config.targets.judge(asked, &family.scope)?.to_owned();
        let mut refresh_token = None;
        if entry.retired.is_some() {
            refresh_token.clone_from(&family.current);
        } else if config.rotation {
            entry.retired = Some(now);
            let next = self.new_refresh(index);
            if let Some(family) = self.families.get_mut(index) {
                family.current = Some(next.clone());
            }
            refresh_token = Some(next);
        }
        let access_token = self.new_access(index, &scope, &asked.resources, config, now);
        Ok(Issued {
            access_token,
            refresh_token,
            scope,
            family: index,
            exchanged: false,
            jkt: None,
            shows_key: false,
        })
    }

    /// Binds what was issued to the key with this thumbprint.
    pub(crate) fn bind(&mut self, issued: &mut Issued, jkt: Option<String>) {
        if let Some(token) = self.access.get_mut(&issued.access_token) {
            token.jkt.clone_from(&jkt);
        }
        if let Some(family) = self.families.get_mut(issued.family) {
            family.jkt.clone_from(&jkt);
        }
        issued.jkt = jkt;
    }

    /// The thumbprint of the key that a refresh token is bound to.
    pub(crate) fn key_of_refresh(&self, token: &str) -> Option<&str> {
        self.families.get(self.refresh.get(token)?.family)?.jkt.as_deref()
    }

    pub(crate) fn accepts_access(&self, token: &str, now: SystemTime) -> bool {
        self.live(token, now).is_some_and(|live| live.is_access)
    }

    /// Which resources an access token was asked for.
    pub(crate) fn resources(&self, token: &str) -> Vec<String> {
        self.access.get(token).map(|entry| entry.resources.clone()).unwrap_or_default()
    }

    pub(crate) fn accepts_refresh(&self, token: &str) -> bool {
        self.live_refresh(token).is_some()
    }

    /// What is known of an access or a refresh token that is accepted now.
    pub(crate) fn live(&self, token: &str, now: SystemTime) -> Option<Live<'_>> {
        let Some(AccessToken { family, scope, expires, jkt, .. }) = self.access.get(token) else {
            return self.live_refresh(token);
        };
        if expires.is_some_and(|expires| expires <= now) {
            return None;
        }
        let Family { client_id, owner, .. } = self.live_family(*family)?;
        let (family, owner, jkt) = (*family, *owner, jkt.as_deref());
        Some(Live { is_access: true, client_id, family, scope, owner, expires: *expires, jkt })
    }

    /// Revokes a refresh token with its family, or an access token alone; of this client only
    /// (RFC 7009 §2.1).
    pub(crate) fn revoke(
        &mut self,
        client_id: &str,
        token: &str,
        config: &Config,
        now: SystemTime,
    ) -> Result<(), OAuthError> {
        let of_refresh = self.refresh.get(token).map(|entry| entry.family);
        let family = of_refresh.or_else(|| Some(self.access.get(token)?.family));
        let family = family.and_then(|family| self.families.get(family));
        if family.is_some_and(|family| family.client_id != client_id) {
            return Err(OAuthError::InvalidGrant);
        }
        match self.refresh.get(token) {
            Some(entry) if entry.is_answered(config, now) => self.revoke_family(entry.family),
            // That token is not good any more: what the request is for is done (RFC 7009 §2.2).
            Some(_) => {}
            None => _ = self.access.remove(token),
        }
        Ok(())
    }

    pub(crate) fn revoke_family(&mut self, family: usize) {
        if let Some(family) = self.families.get_mut(family) {
            family.revoked = true;
        }
    }

    pub(crate) fn revoke_access_tokens(&mut self) {
        self.access.clear();
    }

    pub(crate) fn revoke_families(&mut self) {
        for family in &mut self.families {
            family.revoked = true;
        }
        self.access.clear();
    }

    fn live_refresh(&self, token: &str) -> Option<Live<'_>> {
        let entry = self.refresh.get(token).filter(|entry| entry.retired.is_none())?;
        let family = self.live_family(entry.family)?;
        let Family { client_id, scope, owner, jkt, .. } = family;
        let (family, owner, jkt) = (entry.family, *owner, jkt.as_deref());
        Some(Live { is_access: false, client_id, family, scope, owner, expires: None, jkt })
    }

    fn live_family(&self, family: usize) -> Option<&Family> {
        self.families.get(family).filter(|family| !family.revoked)
    }

    fn new_access(
        &mut self,
        family: usize,
        scope: &str,
        resources: &[&str],
        config: &Config,
        now: SystemTime,
    ) -> String {
        let token = self.new_token("at");
        let expires = now.checked_add(config.lifetime);
        let resources = resources.iter().map(|resource| (*resource).to_owned()).collect();
        let entry = AccessToken { family, scope: scope.to_owned(), resources, expires, jkt: None };
        self.access.insert(token.clone(), entry);
        token
    }

    fn new_refresh(&mut self, family: usize) -> String {
        let token = self.new_token("rt");
        let entry = RefreshToken { family, retired: None };
        self.refresh.insert(token.clone(), entry);
        token
    }

    /// A random text that was not there before.
    pub(crate) fn new_token(&mut self, kind: &str) -> String {
        self.serial += 1;
        let random = fastrand::u128(..).to_be_bytes();
        let random = URL_SAFE_NO_PAD.encode(random);
        format!("{kind}-{}-{random}", self.serial)
    }
}
