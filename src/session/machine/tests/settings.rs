//! What follows from the settings, and what a token need not say.

use super::*;

#[test]
fn patience_covers_an_attempt_a_save_and_three_leases_of_other_sessions() {
    let shared = Settings { grant_limit: Duration::from_secs(40), ..settings(Home::Store) };
    assert_eq!(shared.attempt_limit(), Duration::from_secs(40));
    assert_eq!(shared.patience(), Duration::from_secs(40 + 5 + 30));
    assert_eq!(settings(Home::Saver).patience(), Duration::from_secs(30 + 5));
    assert_eq!(shared.moment(), Duration::from_secs(1));
}

/// The first and the second are the same access token.
#[derive(Clone)]
struct Plain(u8);

impl Credential for Plain {
    fn stage(&self, _: &Target, _: SystemTime) -> Stage {
        Stage::Fresh
    }

    fn can_refresh(&self) -> bool {
        false
    }

    fn is_same(&self, _: &Target, other: &Self) -> bool {
        self.0.max(2) == other.0.max(2)
    }
}

#[test]
fn a_token_that_says_no_more_has_no_end_and_is_identical_by_its_access_token() {
    let token = Plain(1);
    assert!(token.has(&Target::OWN));
    assert!(token.is_identical(&Plain(2)));
    assert!(!token.is_identical(&Plain(3)));
    assert!(!token.is_renewed(&Target::OWN));
    assert_eq!(token.login_expires_at(), None);
    assert!(!token.login_expires_soon(UNIX_EPOCH));
}

#[test]
fn the_text_of_a_target_tells_it_from_others() {
    assert_eq!(Target::OWN.key(), None);
    assert_eq!(Target::other("a").key(), Some("a"));
    assert!(Target::OWN.is_own());
    assert!(!Target::other("").is_own());
}
