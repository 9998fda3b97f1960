use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::OAuthError;
use crate::testing::provider::config::{DEFAULT_INTERVAL, DeviceFlow};

/// What "slow down" adds to the interval (RFC 8628 §3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// Characters that make no words and are not mistaken (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// Every device code issued so far.
#[derive(Default)]
pub(crate) struct DeviceCodes(HashMap<String, Device>);

struct Device {
    client_id: String,
    user_code: String,
    scope: String,
    progress: Progress,
    expires: Option<SystemTime>,
    interval: Duration,
    polled: Option<SystemTime>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Pending,
    Approved,
    Denied,
    Redeemed,
}

impl DeviceCodes {
    /// Adds a pending device and gives its user code.
    pub(crate) fn insert(
        &mut self,
        device_code: String,
        client_id: &str,
        scope: &str,
        flow: &DeviceFlow,
        now: SystemTime,
    ) -> String {
        let user_code = new_user_code();
        let device = Device {
            client_id: client_id.to_owned(),
            user_code: user_code.clone(),
            scope: scope.to_owned(),
            progress: Progress::Pending,
            expires: now.checked_add(flow.lifetime),
            interval: flow.interval.unwrap_or(DEFAULT_INTERVAL),
            polled: None,
        };
        self.0.insert(device_code, device);
        user_code
    }

    /// Takes the user's decision; whether somebody was waiting for it.
    pub(crate) fn decide(&mut self, user_code: &str, approved: bool, now: SystemTime) -> bool {
        let user_code = normalized(user_code);
        let mut waiting = self
            .0
            .values_mut()
            .filter(|device| device.progress == Progress::Pending && !device.is_expired(now));
        let Some(device) = waiting.find(|device| normalized(&device.user_code) == user_code) else {
            return false;
        };
        device.progress = if approved { Progress::Approved } else { Progress::Denied };
        true
    }

    /// Answers a poll; what the user approved is given out once, as its scope.
    pub(crate) fn poll(
        &mut self,
        device_code: &str,
        client_id: &str,
        slow_downs: &mut u32,
        flow: &DeviceFlow,
        now: SystemTime,
    ) -> Result<&str, OAuthError> {
        let device = self.0.get_mut(device_code).ok_or(OAuthError::InvalidGrant)?;
        if device.progress == Progress::Redeemed || device.client_id != client_id {
            return Err(OAuthError::InvalidGrant);
        }
        if device.is_expired(now) {
            return Err(OAuthError::ExpiredToken);
        }
        let too_fast = flow.enforce_interval && device.is_polled_too_fast(now);
        device.polled = Some(now);
        if too_fast || *slow_downs > 0 {
            *slow_downs = slow_downs.saturating_sub(1);
            device.interval += SLOWER;
            return Err(OAuthError::SlowDown);
        }
        match device.progress {
            Progress::Pending => Err(OAuthError::AuthorizationPending),
            Progress::Denied => Err(OAuthError::AccessDenied),
            Progress::Approved | Progress::Redeemed => {
                device.progress = Progress::Redeemed;
                Ok(&device.scope)
            }
        }
    }
}

impl Device {
    fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn is_polled_too_fast(&self, now: SystemTime) -> bool {
        let next = self.polled.and_then(|polled| polled.checked_add(self.interval));
        next.is_some_and(|next| now < next)
    }
}

fn new_user_code() -> String {
    let mut code: String =
        (0..8).map(|_| char::from(LETTERS[fastrand::usize(..LETTERS.len())])).collect();
    code.insert(4, '-');
    code
}

/// As a user may type it: in any case, with or without the dash (RFC 8628 §6.1).
fn normalized(user_code: &str) -> String {
    user_code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
}
