use std::collections::HashMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::config::Config;
use super::refusal::Refusal;

/// What one successful grant gave to the client.
#[derive(Clone)]
pub(super) struct Issued {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) scope: String,
}

/// Every token issued so far.
#[derive(Default)]
pub(super) struct Store {
    families: Vec<Family>,
    access: HashMap<String, AccessToken>,
    refresh: HashMap<String, RefreshToken>,
    serial: u64,
}

/// The tokens that descend from one log-in.
struct Family {
    /// The refresh token that is not retired.
    current: Option<String>,
    scope: String,
    revoked: bool,
}

struct AccessToken {
    family: usize,
    /// `None` if the lifetime is beyond what the clock can tell.
    expires: Option<SystemTime>,
}

struct RefreshToken {
    family: usize,
    retired: Option<SystemTime>,
}

impl Store {
    /// Starts a family, as an authorization or a client credentials grant does.
    pub(super) fn begin(
        &mut self,
        scope: &str,
        with_refresh: bool,
        config: &Config,
        now: SystemTime,
    ) -> Issued {
        let family = self.families.len();
        let current = with_refresh.then(|| self.new_refresh(family));
        self.families.push(Family {
            current: current.clone(),
            scope: scope.to_owned(),
            revoked: false,
        });
        Issued {
            access_token: self.new_access(family, config, now),
            refresh_token: current,
            scope: scope.to_owned(),
        }
    }

    /// The refresh token grant (RFC 6749 §6).
    pub(super) fn refresh(
        &mut self,
        token: &str,
        scope: Option<&str>,
        config: &Config,
        now: SystemTime,
    ) -> Result<Issued, Refusal> {
        let entry = self.refresh.get_mut(token).ok_or(Refusal::InvalidGrant)?;
        let index = entry.family;
        let family = self.families.get_mut(index).ok_or(Refusal::InvalidGrant)?;
        if family.revoked {
            return Err(Refusal::InvalidGrant);
        }
        if let Some(retired) = entry.retired {
            let age = now.duration_since(retired).unwrap_or_default();
            if age >= config.grace {
                if !config.reuse_detection {
                    return Err(Refusal::InvalidGrant);
                }
                family.revoked = true;
                return Err(Refusal::ReuseDetected);
            }
        }
        let scope = narrowed(&family.scope, scope)?.to_owned();
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
        Ok(Issued { access_token: self.new_access(index, config, now), refresh_token, scope })
    }

    pub(super) fn accepts_access(&self, token: &str, now: SystemTime) -> bool {
        self.access.get(token).is_some_and(|entry| {
            let expired = entry.expires.is_some_and(|expires| expires <= now);
            !expired && self.is_live(entry.family)
        })
    }

    pub(super) fn accepts_refresh(&self, token: &str) -> bool {
        let entry = self.refresh.get(token);
        entry.is_some_and(|entry| entry.retired.is_none() && self.is_live(entry.family))
    }

    pub(super) fn revoke_access_tokens(&mut self) {
        self.access.clear();
    }

    pub(super) fn revoke_families(&mut self) {
        for family in &mut self.families {
            family.revoked = true;
        }
        self.access.clear();
    }

    fn is_live(&self, family: usize) -> bool {
        self.families.get(family).is_some_and(|family| !family.revoked)
    }

    fn new_access(&mut self, family: usize, config: &Config, now: SystemTime) -> String {
        let token = self.new_token("at");
        let expires = now.checked_add(config.lifetime);
        self.access.insert(token.clone(), AccessToken { family, expires });
        token
    }

    fn new_refresh(&mut self, family: usize) -> String {
        let token = self.new_token("rt");
        let entry = RefreshToken { family, retired: None };
        self.refresh.insert(token.clone(), entry);
        token
    }

    fn new_token(&mut self, kind: &str) -> String {
        self.serial += 1;
        let random = fastrand::u128(..).to_be_bytes();
        let random = URL_SAFE_NO_PAD.encode(random);
        format!("{kind}-{}-{random}", self.serial)
    }
}

/// The requested scope, which must be within the granted one.
fn narrowed<'a>(granted: &'a str, requested: Option<&'a str>) -> Result<&'a str, Refusal> {
    let Some(requested) = requested else {
        return Ok(granted);
    };
    let within = |scope| granted.split(' ').any(|other| other == scope);
    if requested.split(' ').all(within) { Ok(requested) } else { Err(Refusal::InvalidScope) }
}
