//! A browser for logins at the server, of the tests `interop` and `fapi`.

use std::collections::BTreeMap;

use reqwest::Url;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};

/// Where the server sends a browser when somebody has logged in.
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:4711/cb";

/// Goes where a browser goes, until it comes back to us. `http` follows no redirect.
pub(crate) async fn browse(http: &reqwest::Client, url: &str) -> String {
    let mut url = Url::parse(url).unwrap();
    let mut cookies = BTreeMap::new();
    for _ in 0..5 {
        let cookie: Vec<String> =
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = http.get(url.clone()).header(COOKIE, cookie.join("; "));
        let response = request.send().await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
        url = url.join(response.headers()[LOCATION].to_str().unwrap()).unwrap();
        if url.as_str().starts_with(REDIRECT_URI) {
            return url.into();
        }
    }
    panic!("the login did not come to an end: {url}");
}

/// Agrees to a login on another device.
pub(crate) async fn agree(http: &reqwest::Client, issuer: &str, user_code: &str) {
    let url = format!("{issuer}/device-decision?user_code={user_code}");
    assert_eq!(http.post(url).send().await.unwrap().status(), 204);
}
