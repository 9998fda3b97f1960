//! A new refresh token in a response that is otherwise unusable, in a store that others share.

use reqwest_oauth2::Token;
use reqwest_oauth2::testing::Fault;
use serde_json::json;

use super::fleet::Fleet;
use crate::faulty_store::{Calls, Fault as StoreFault};
use crate::support::pass;

/// A response with nothing of use but this refresh token.
fn unusable(refresh_token: &str) -> Fault {
    Fault::Reply {
        status: 200,
        content_type: "application/json".to_owned(),
        body: json!({"access_token": "", "refresh_token": refresh_token}).to_string(),
    }
}

fn new_refresh_token(fleet: &Fleet) -> String {
    fleet.world.token().refresh_token().unwrap().to_owned()
}

fn presented(fleet: &Fleet) -> Vec<String> {
    let requests = fleet.world.provider.token_requests();
    requests.iter().map(|r| r.param("refresh_token").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_new_refresh_token_is_stored_with_the_backoff_and_the_next_process_presents_it() {
    for is_expired in [true, false] {
        let fleet = Fleet::new().await;
        let old = fleet.world.token();
        fleet.signed_in(old.clone()).await;
        let (before, new) = (old.refresh_token().unwrap().to_owned(), new_refresh_token(&fleet));
        let (session, sibling) = (fleet.sibling(), fleet.sibling());
        session.token().await.unwrap();
        sibling.token().await.unwrap();
        fleet.world.clock.forward(if is_expired { 3600.0 } else { 1800.0 });
        fleet.world.provider.fail_next(unusable(&new));
        assert!(session.refresh().await.unwrap_err().is_malformed_response());
        session.shutdown().await.unwrap();
        let stored = fleet.stored().unwrap();
        assert_eq!(stored.access_token(), old.access_token());
        assert_eq!(stored.refresh_token(), Some(&*new));
        assert_eq!(stored.expires_at(), old.expires_at());
        let kept = fleet.bookkeeping();
        assert_eq!((&kept["generation"], &kept["state"]), (&json!(1), &json!("live")));
        assert_eq!((&kept["pause"]["attempts"], &kept["mark"]), (&json!(1), &json!(null)));
        // Nobody asks before the backoff is over, in this process or another.
        let later = fleet.sibling();
        for session in [&session, &sibling, &later] {
            match fleet.meanwhile(session.token()).await {
                Ok(token) => assert!(!is_expired && token.access_token() == old.access_token()),
                Err(error) => {
                    assert!(is_expired, "{error}");
                    assert!(error.to_string().contains("the new refresh token in it is kept"));
                }
            }
        }
        assert_eq!(presented(&fleet), [&*before]);
        pass(2).await;
        fleet.world.clock.forward(2.0);
        let token = fleet.meanwhile(sibling.refresh()).await.unwrap();
        assert_eq!(presented(&fleet), [before, new]);
        for session in [&session, &later] {
            let other = fleet.meanwhile(session.refresh()).await.unwrap();
            assert_eq!(other.access_token(), token.access_token());
        }
        fleet.assert_stored(&token);
        fleet.assert_renewals(2);
    }
}

#[tokio::test]
async fn a_store_that_fails_meanwhile_has_it_as_soon_as_it_is_back() {
    let fleet = Fleet::new().await;
    let old = fleet.world.expired_token();
    fleet.signed_in(old.clone()).await;
    let new = new_refresh_token(&fleet);
    let session = fleet.sibling();
    let hold = fleet.world.provider.pause_token_requests();
    fleet.world.provider.fail_next(unusable(&new));
    let waiting = fleet.ask(&session);
    fleet.world.provider.wait_for_token_requests(1).await;
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    drop(hold);
    fleet.meanwhile(waiting).await.unwrap().unwrap_err();
    fleet.pass_slowly(3.0).await;
    assert_eq!(fleet.stored().unwrap().refresh_token(), old.refresh_token());
    fleet.store.heal();
    fleet.world.clock.forward(60.0);
    fleet.pass_slowly(60.0).await;
    let token = fleet.meanwhile(session.token()).await.unwrap();
    assert_eq!(presented(&fleet), [old.refresh_token().unwrap().to_owned(), new]);
    fleet.assert_stored(&token);
    fleet.assert_renewals(2);
}

#[tokio::test]
async fn a_record_with_a_refresh_token_alone_is_loaded_and_renewed() {
    let fleet = Fleet::new().await;
    let (before, new) = (new_refresh_token(&fleet), new_refresh_token(&fleet));
    let session = fleet.builder().refresh_token(before.clone()).build();
    fleet.world.provider.fail_next(unusable(&new));
    fleet.meanwhile(session.token()).await.unwrap_err();
    session.shutdown().await.unwrap();
    let stored: Token = fleet.stored().unwrap();
    assert_eq!((stored.access_token(), stored.refresh_token()), ("", Some(&*new)));
    pass(2).await;
    fleet.world.clock.forward(2.0);
    let later = fleet.sibling();
    let token = fleet.meanwhile(later.token()).await.unwrap();
    assert_eq!(presented(&fleet), [before, new]);
    fleet.assert_stored(&token);
}
