//! Records that other programs wrote, or other versions of this crate.

use reqwest_oauth2::store::{FileStore, TokenKey};
use reqwest_oauth2::{ClientCredentials, Token};
use serde_json::{Map, Value, json};

use super::fleet::Fleet;
use crate::support::{World, pass};

/// A token as requests-oauthlib keeps it.
fn plain(world: &World, expires_in: i64) -> Value {
    let issued = world.provider.log_in();
    let now = world.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    json!({
        "access_token": issued["access_token"],
        "refresh_token": issued["refresh_token"],
        "token_type": "Bearer",
        "expires_in": expires_in.max(1),
        "expires_at": now + expires_in as f64,
        "scope": ["read", "write"],
        "instance_url": "https://eu1.example",
    })
}

/// The members of a JSON object in order, with none of them twice.
#[track_caller]
fn members(text: &str) -> Vec<String> {
    struct Names(Vec<String>);
    impl<'de> serde::Deserialize<'de> for Names {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Names;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Names, A::Error> {
                    let mut names = Vec::new();
                    while let Some((name, _)) = map.next_entry::<String, Value>()? {
                        assert!(!names.contains(&name), "{name} twice");
                        names.push(name);
                    }
                    Ok(Names(names))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    serde_json::from_str::<Names>(text).unwrap().0
}

#[tokio::test]
async fn a_token_file_of_requests_oauthlib_is_renewed_and_stays_a_token_file() {
    let world = World::new().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token.json");
    std::fs::write(&file, plain(&world, -10).to_string()).unwrap();
    let session = world.session().store(FileStore::file(&file), "alice").build();
    let token = session.token().await.unwrap();
    session.shutdown().await.unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let names = members(&text);
    for name in ["access_token", "token_type", "refresh_token", "expires_at", "expires_in"] {
        assert!(names.iter().any(|other| other == name), "{name} is missing: {names:?}");
    }
    let read: Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(read["access_token"], token.access_token());
    assert_eq!(read["token_type"], "Bearer");
    assert_eq!(read["instance_url"], "https://eu1.example", "what a refresh leaves out stays");
    let now = world.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert_eq!(read["expires_at"].as_f64().unwrap(), now + 3600.0);
    assert!(read.get("mark").is_none() && read["reqwest_oauth2"].is_object());

    // An application reads it by itself, and gives it to a session as a token.
    let own: Token = serde_json::from_str(&text).unwrap();
    assert!(own.extra().get("reqwest_oauth2").is_none());
    session.set_token(own.clone()).await.unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(members(&text), names);
    let again = world.session().store(FileStore::file(&file), "alice").build();
    assert_eq!(again.token().await.unwrap().access_token(), own.access_token());
    world.clock.forward(3600.0);
    again.token().await.unwrap();
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (2, 0));
}

#[tokio::test]
async fn a_token_file_with_half_an_emoji_and_more_is_renewed_and_every_reader_takes_it() {
    let world = World::new().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token.json");
    let plain = plain(&world, -10);
    let deep = "[".repeat(500) + &"]".repeat(500);
    let strange = format!(r#"{{"name":"Bob \ud83d","\ude00":[1e400],"x":{deep},"#);
    std::fs::write(&file, plain.to_string().replacen('{', &strange, 1)).unwrap();
    let session = world.session().store(FileStore::file(&file), "alice").build();
    let token = session.token().await.unwrap();
    session.shutdown().await.unwrap();
    let presented = world.provider.token_requests().pop().unwrap();
    assert_eq!(presented.param("refresh_token"), plain["refresh_token"].as_str());
    let stored: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(stored["refresh_token"].as_str(), token.refresh_token());
    assert_eq!(stored["name"], "Bob \u{fffd}");
    assert_eq!(stored["\u{fffd}"], json!(["1e400"]));
}

#[tokio::test]
async fn a_token_file_that_another_program_rewrote_is_a_new_login() {
    for keeps_bookkeeping in [false, true] {
        let fleet = Fleet::new().await;
        fleet.store.put(&fleet.key(), &plain(&fleet.world, 3600).to_string());
        let (session, sibling) = (fleet.sibling(), fleet.sibling());
        session.token().await.unwrap();
        session.refresh().await.unwrap();
        sibling.token().await.unwrap();
        let before = fleet.bookkeeping();
        // The program may keep the members that it does not know, or drop them.
        let mut rewritten = plain(&fleet.world, 3600);
        if keeps_bookkeeping {
            rewritten["reqwest_oauth2"] = before.clone();
        }
        fleet.store.put(&fleet.key(), &rewritten.to_string());
        fleet.world.clock.forward(3600.0);
        for reader in [&session, &sibling] {
            let token = fleet.meanwhile(reader.token()).await.unwrap();
            fleet.assert_stored(&token);
        }
        fleet.assert_renewals(2);
        assert_ne!(fleet.bookkeeping()["login"], before["login"]);
        assert_eq!(fleet.bookkeeping()["generation"], 1);
        let presented = fleet.world.provider.token_requests().pop().unwrap();
        assert_eq!(presented.param("refresh_token"), rewritten["refresh_token"].as_str());
    }
}

#[tokio::test]
async fn a_file_that_is_rewritten_amid_a_renewal_is_a_new_login_and_the_old_answer_is_dropped() {
    let fleet = Fleet::new().await;
    fleet.store.put(&fleet.key(), &plain(&fleet.world, -10).to_string());
    let session = fleet.sibling();
    let hold = fleet.world.provider.pause_token_requests();
    let waiting = fleet.ask(&session);
    fleet.world.provider.wait_for_token_requests(1).await;
    let rewritten = plain(&fleet.world, 3600);
    fleet.store.put(&fleet.key(), &rewritten.to_string());
    drop(hold);
    let token = fleet.meanwhile(waiting).await.unwrap().unwrap();
    assert_eq!(token.access_token(), rewritten["access_token"].as_str().unwrap());
    fleet.meanwhile(session.shutdown()).await.unwrap();
    fleet.assert_stored(&token);
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn a_program_that_writes_the_same_token_again_amid_a_renewal_loses_no_login() {
    let fleet = Fleet::new().await;
    let before = plain(&fleet.world, -10);
    fleet.store.put(&fleet.key(), &before.to_string());
    let session = fleet.sibling();
    let hold = fleet.world.provider.pause_token_requests();
    let waiting = fleet.ask(&session);
    fleet.world.provider.wait_for_token_requests(1).await;
    fleet.store.put(&fleet.key(), &before.to_string());
    drop(hold);
    let token = fleet.meanwhile(waiting).await.unwrap().unwrap();
    fleet.meanwhile(session.shutdown()).await.unwrap();
    fleet.assert_stored(&token);
    // The same for a token that this session has renewed since.
    fleet.world.clock.forward(3600.0);
    let copy: Token = fleet.stored().unwrap();
    let hold = fleet.world.provider.pause_token_requests();
    let waiting = fleet.ask(&session);
    fleet.world.provider.wait_for_token_requests(2).await;
    fleet.store.put(&fleet.key(), &serde_json::to_string(&copy).unwrap());
    drop(hold);
    let token = fleet.meanwhile(waiting).await.unwrap().unwrap();
    fleet.meanwhile(session.shutdown()).await.unwrap();
    fleet.assert_stored(&token);
    fleet.assert_renewals(2);
}

#[tokio::test]
async fn bookkeeping_of_an_unknown_form_is_an_error_and_stays_as_it_is() {
    let fleet = Fleet::new().await;
    for kept in [json!(5), json!("x"), json!([]), json!({}), json!({"login": 7}), json!(null)] {
        let mut document = plain(&fleet.world, -10);
        document["reqwest_oauth2"] = kept.clone();
        fleet.store.put(&fleet.key(), &document.to_string());
        let session = fleet.sibling();
        for _ in 0..2 {
            let error = session.token().await.unwrap_err();
            assert!(error.is_store() && !error.is_transient(), "{kept}: {error}");
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("reqwest_oauth2 has an unknown form"), "{source}");
            pass(30).await;
        }
        assert_eq!(fleet.store.stored(&fleet.key()).unwrap().json(), document.to_string());
    }
    assert_eq!((fleet.token_requests(), fleet.store.swaps()), (0, 0));
}

#[tokio::test]
async fn bookkeeping_of_a_later_version_with_more_members_is_read() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    fleet.edit(|kept| {
        kept["added_later"] = json!({"x": [1, 2]});
        kept["mark"] = json!(null);
        kept["pause"] = json!(null);
    });
    let token = fleet.sibling().token().await.unwrap();
    fleet.assert_stored(&token);
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn numbers_at_their_limits_are_no_panic_and_lose_no_login() {
    for (name, value) in [
        ("number", json!(u64::MAX)),
        ("number", json!(u64::MAX - 1)),
        ("number", json!(0)),
        ("generation", json!(u64::MAX)),
        ("generation", json!(u64::MAX - 1)),
        (
            "pause",
            json!({"until_ms": 0, "wait_ms": u64::MAX, "attempts": u32::MAX, "error": {"message": ""}}),
        ),
        ("mark", json!({"holder": null, "at_ms": 0, "lease_ms": u64::MAX})),
    ] {
        let fleet = Fleet::new().await;
        fleet.signed_in(fleet.world.expired_token()).await;
        fleet.edit(|kept| kept[name] = value.clone());
        let (one, other) = (fleet.sibling(), fleet.sibling());
        for renewals in 1..=3 {
            let token = fleet.meanwhile(one.token()).await.unwrap();
            assert_eq!(
                fleet.meanwhile(other.token()).await.unwrap().access_token(),
                token.access_token(),
                "{name} {value}"
            );
            fleet.assert_stored(&token);
            fleet.assert_renewals(renewals);
            fleet.world.clock.forward(3600.0);
        }
        // A sign-in and a sign-out still count as the newest.
        let new = fleet.world.token();
        one.set_token(new.clone()).await.unwrap();
        let token = fleet.meanwhile(other.token()).await.unwrap();
        assert_eq!(token.access_token(), new.access_token(), "{name} {value}");
        let newer = fleet.world.token();
        other.set_token(newer.clone()).await.unwrap();
        let taken = fleet.meanwhile(one.refresh()).await.unwrap();
        fleet.assert_stored(&taken);
        other.sign_out().await.unwrap();
        fleet.world.clock.forward(3600.0);
        let error = fleet.meanwhile(one.token()).await.unwrap_err();
        assert!(error.is_reauthorization_required(), "{name} {value}: {error}");
    }
}

#[tokio::test]
async fn a_record_without_a_token_and_with_a_generation_at_its_limit_is_no_panic_and_no_loop() {
    for state in ["live", "ended", "signed_out"] {
        let fleet = Fleet::new().await;
        fleet.signed_in(fleet.world.expired_token()).await;
        let mut kept = fleet.bookkeeping();
        (kept["state"], kept["generation"]) = (json!(state), json!(u64::MAX));
        fleet.store.put(&fleet.key(), &json!({"reqwest_oauth2": kept}).to_string());
        let service = || fleet.builder().grant(ClientCredentials::new()).build();
        let (one, other) = (service(), service());
        if state == "signed_out" {
            let error = fleet.meanwhile(one.token()).await.unwrap_err();
            assert!(error.is_reauthorization_required(), "{error}");
            one.set_token(fleet.world.token()).await.unwrap();
            assert_eq!(fleet.token_requests(), 0);
            continue;
        }
        for renewals in 1..=3 {
            let token = fleet.meanwhile(one.token()).await.unwrap();
            let taken = fleet.meanwhile(other.token()).await.unwrap();
            assert_eq!(taken.access_token(), token.access_token(), "{state}");
            fleet.assert_renewals(renewals);
            fleet.world.clock.forward(3600.0);
        }
    }
}

#[tokio::test]
async fn a_backoff_of_a_clock_that_was_far_ahead_is_not_believed() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    fleet.edit(|kept| {
        let error = json!({"message": "the disk is full"});
        kept["pause"] =
            json!({"until_ms": u64::MAX, "wait_ms": u64::MAX, "attempts": 1, "error": error});
    });
    fleet.sibling().token().await.unwrap();
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn a_huge_lease_is_an_error_in_time_and_a_takeover_after_an_hour() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let at = fleet.millis();
    fleet.edit(|kept| {
        kept["mark"] = json!({"holder": "00000000000000aa", "at_ms": at, "lease_ms": u64::MAX});
    });
    let session = fleet.sibling();
    let waiting = fleet.ask(&session);
    fleet.pass_slowly(81.0).await;
    assert!(waiting.is_finished(), "a bounded wait");
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("another process"), "{error}");
    pass(3600).await;
    fleet.meanwhile(session.token()).await.unwrap();
    fleet.assert_renewals(1);
}

/// A program that moves a login to another name, or from the store to a saver and back.
#[tokio::test]
async fn a_record_that_is_read_as_a_token_begins_a_login_of_its_own_elsewhere() {
    let fleet = Fleet::new().await;
    let resource = "https://a.example/";
    fleet.signed_in(fleet.world.token()).await;
    let _ = fleet.sibling().for_resource(resource).unwrap().token().await.unwrap();
    let alice = fleet.document();

    let session = |user: &str| fleet.world.session().store(fleet.store.clone(), user).build();
    let bob = session("bob");
    bob.set_token(serde_json::from_value(alice.clone()).unwrap()).await.unwrap();
    let key = TokenKey::new(&fleet.world.provider.token_url(), "foo", "bob");
    let stored = || fleet.store.stored(&key).unwrap().json().to_owned();
    assert_eq!(stored().matches("\"reqwest_oauth2\"").count(), 1);
    let login = |document: &Value| document["reqwest_oauth2"]["login"].clone();
    assert_ne!(login(&serde_json::from_str(&stored()).unwrap()), login(&alice));
    fleet.world.clock.forward(3600.0);
    bob.token().await.unwrap();

    let saving = fleet.world.saving().build();
    saving.set_token(serde_json::from_str(&stored()).unwrap()).await.unwrap();
    fleet.world.clock.forward(3600.0);
    saving.token().await.unwrap();
    let saved = serde_json::to_string(&fleet.world.saved.last()).unwrap();

    let carol = session("carol");
    carol.set_token(serde_json::from_str(&saved).unwrap()).await.unwrap();
    fleet.world.clock.forward(3600.0);
    carol.token().await.unwrap();
    // That of the resource, and one of each holder.
    fleet.assert_renewals(4);
}
