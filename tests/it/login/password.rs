//! Resource owner password credentials.

use super::world;

#[tokio::test]
async fn password_gets_a_token_and_forgets_the_password() {
    let world = world().await;
    let app = world.app();
    let request = app.password("johndoe", "A3ddj3w").scope("read");
    assert!(!format!("{request:?}").contains("A3ddj3w"));
    let token = request.send().await.unwrap();
    assert!(world.provider.accepts_access_token(token.access_token()));
    let requests = world.provider.token_requests();
    let pairs: Vec<_> = requests[0].params.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(
        pairs,
        [
            ("grant_type", "password"),
            ("username", "johndoe"),
            ("password", "A3ddj3w"),
            ("scope", "read")
        ]
    );
    let error = app.password("johndoe", "wr0ng").send().await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_grant"));
    assert!(!format!("{error:?}").contains("wr0ng"));
}
