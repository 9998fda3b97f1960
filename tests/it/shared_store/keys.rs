//! A login is identified by all that it was issued for.

use reqwest_oauth2::store::FileStore;
use reqwest_oauth2::{
    ClientCredentials, Error, JwtBearer, OAuthClient, RequestKind, Session, SessionBuilder,
    TokenExchange, TypedToken,
};

use super::fleet::Fleet;
use crate::support::World;

#[tokio::test]
async fn grants_with_another_scope_audience_or_resource_share_no_token() {
    let fleet = Fleet::of(World::with(|p| p.accept_assertions(|_| true)).await);
    let exchange = || TokenExchange::new(|| async { Ok::<_, Error>(TypedToken::jwt("a.b.c")) });
    let service = ClientCredentials::new;
    let signed = || JwtBearer::new(|| async { Ok::<_, Error>("a.b.c".to_owned()) });
    let build = || -> Vec<SessionBuilder> {
        let builder = || fleet.builder();
        vec![
            builder().grant(service()),
            builder().grant(service().scope("read")),
            builder().grant(service().scope("read write")),
            builder().grant(service().extra_param("audience", "backend")),
            builder().grant(service().extra_param("resource", "https://a.example/")),
            builder().grant(exchange().audience("backend").resource("https://a.example/")),
            builder().grant(exchange().resource("https://b.example/")),
            builder().grant(service().extra_param("scope", "write")),
            builder().grant(exchange().audience("backend").extra_param("scope", "read")),
            builder().grant(signed().extra_param("scope", "read").extra_param("resource", "urn:x")),
        ]
    };
    let mut tokens = std::collections::BTreeSet::new();
    for builder in build() {
        tokens.insert(builder.build().token().await.unwrap().access_token().to_owned());
    }
    assert_eq!((tokens.len(), fleet.token_requests()), (10, 10));
    // Each of them is shared with those that ask for the same.
    for builder in build() {
        assert!(tokens.contains(builder.build().token().await.unwrap().access_token()));
    }
    for same in [service().scope("write read read"), service().extra_param("scope", "read write")] {
        fleet.builder().grant(same).build().token().await.unwrap();
    }
    assert_eq!(fleet.token_requests(), 10);
}

#[tokio::test]
async fn a_parameter_that_is_replaced_before_it_is_sent_is_no_part_of_the_key() {
    let fleet = Fleet::of(World::with(|p| p.accept_assertions(|_| true)).await);
    let service = || ClientCredentials::new().scope("read");
    let exchange = || TokenExchange::new(|| async { Ok::<_, Error>(TypedToken::jwt("a.b.c")) });
    let app = || fleet.world.app().request_param(RequestKind::OtherGrant, "scope", "write");
    let of_app = |app: OAuthClient| {
        let session = Session::builder(app).clock(fleet.world.clock.reader());
        session.store(fleet.store.clone(), "alice")
    };
    let sent = || {
        let request = fleet.world.provider.token_requests().pop().unwrap();
        let params = request.params.into_iter();
        params.filter(|(name, _)| name == "scope" || name == "audience").collect::<Vec<_>>()
    };
    let scope = |scope: &str| vec![("scope".to_owned(), scope.to_owned())];
    let audience = |audience: &str| ("audience".to_owned(), audience.to_owned());
    // The first of each row sends what the second one does, and not what the third one does.
    for (requests, builders, expected) in [
        (
            2,
            [
                fleet.builder().grant(service().extra_param("scope", "write")),
                of_app(app()).grant(service()),
                fleet.builder().grant(ClientCredentials::new().scope("read write")),
            ],
            [scope("read"), scope("read write")],
        ),
        (
            4,
            [
                fleet.builder().grant(exchange().audience("a").extra_param("audience", "b")),
                fleet.builder().grant(exchange().audience("a")),
                fleet.builder().grant(exchange().audience("a").audience("b")),
            ],
            [vec![audience("a")], vec![audience("a"), audience("b")]],
        ),
    ] {
        let [first, second, third] = builders.map(SessionBuilder::build);
        let token = first.token().await.unwrap();
        assert_eq!(sent(), expected[0]);
        assert_eq!(second.token().await.unwrap().access_token(), token.access_token());
        assert_ne!(third.token().await.unwrap().access_token(), token.access_token());
        assert_eq!((sent(), fleet.token_requests()), (expected[1].clone(), requests));
    }
}

#[tokio::test]
async fn an_audience_in_the_endpoints_query_is_part_of_the_key() {
    let fleet = Fleet::new().await;
    let session = |query: &str| {
        let url = fleet.world.provider.token_url() + query;
        let app = OAuthClient::new("foo", url).unwrap().secret("potato").issuer("urn:issuer");
        let session = Session::builder(app).clock(fleet.world.clock.reader());
        session.store(fleet.store.clone(), "alice").grant(ClientCredentials::new()).build()
    };
    let queries = ["", "?audience=a", "?audience=b", "?resource=a"];
    let mut tokens = std::collections::BTreeSet::new();
    for query in queries.into_iter().chain(queries) {
        tokens.insert(session(query).token().await.unwrap().access_token().to_owned());
    }
    assert_eq!((tokens.len(), fleet.token_requests()), (4, 4));
}

#[tokio::test]
async fn one_file_serves_no_second_login_of_another_process() {
    let world = World::new().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token.json");
    let issuer = world.provider.origin();
    let of = |issuer: &str, user: &str| {
        let session = Session::builder(world.app().issuer(issuer)).clock(world.clock.reader());
        session.store(FileStore::file(&file), user).build()
    };
    let token = world.token();
    of(&issuer, "alice").set_token(token.clone()).await.unwrap();
    let before = std::fs::read_to_string(&file).unwrap();
    // Another process: a `FileStore` of its own, which does not know the first key.
    for second in [of(&issuer, "bob"), of("https://other.example", "alice")] {
        let error = second.token().await.unwrap_err();
        assert!(error.is_store() && !error.is_transient(), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("belongs to another login"), "{source}");
        assert!(source.contains("in a file of its own"), "it says what to do: {source}");
        let _ = second.set_token(world.token()).await;
        assert!(second.save_error().unwrap().is_save());
        assert!(second.sign_out().await.is_err());
        assert_eq!(world.provider.counts().token_requests, 0);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before, "the first one's is untouched");
    assert_eq!(of(&issuer, "alice").token().await.unwrap().access_token(), token.access_token());
}

#[tokio::test]
async fn a_record_that_was_copied_to_another_key_is_refused() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let text = fleet.store.stored(&fleet.key()).unwrap().json().to_owned();
    let other =
        reqwest_oauth2::store::TokenKey::new(&fleet.world.provider.token_url(), "foo", "bob");
    fleet.store.put(&other, &text);
    let bob = fleet.world.session().store(fleet.store.clone(), "bob").build();
    let error = bob.token().await.unwrap_err();
    assert!(error.is_store() && !error.is_transient(), "{error}");
    assert_eq!(fleet.store.stored(&other).unwrap().json(), text);
}
