//! A login at an API that says by itself who may issue its tokens: `--resource URL`, and nothing else.

use std::sync::Mutex;
use std::time::Duration;

use reqwest_oauth2::store::FileStore;
use reqwest_oauth2::{
    BoxError, BrowserLogin, ClientMetadata, OAuthClient, ResourceLogin, ResourceSession,
};

use crate::loopback::Loopback;
use crate::{Args, NoLogin, answered, show_code, show_url};

/// Logins, registrations and the clients that they belong to are here.
const DIRECTORY: &str = "tokens";
const NAME: &str = "reqwest-oauth2 login";

/// Whether the API answered as it should.
pub(crate) async fn run(args: &Args, resource: &str) -> Result<bool, BoxError> {
    let login = OAuthClient::for_resource(resource).client_name(NAME);
    let login =
        if args.device { login.on_device(show_code) } else { in_browser(args, login).await? };
    let login = match &args.scope {
        Some(scope) => login.scope(scope),
        None => login,
    };
    let session =
        login.session()?.store(FileStore::directory(DIRECTORY), "me").foreground().build();
    let outcome = tokio::select! {
        done = fetch(args, resource, &session) => done,
        Ok(()) = tokio::signal::ctrl_c() => Err(NoLogin::Interrupted.into()),
    };
    let saved = session.shutdown().await;
    let is_success = outcome?;
    saved?;
    Ok(is_success)
}

/// Registered without its port, which is another one each time
/// ([RFC 8252 §7.3](https://www.rfc-editor.org/rfc/rfc8252#section-7.3)).
async fn in_browser(args: &Args, login: ResourceLogin) -> Result<ResourceLogin, BoxError> {
    let loopback = Loopback::bind(args.port).await?;
    let redirect_uri = loopback.redirect_uri();
    let port = redirect_uri.parse::<reqwest::Url>()?.port().unwrap_or_default();
    let login = if args.port == 0 {
        let any_port = redirect_uri.replace(&format!(":{port}/"), "/");
        login.client_metadata(ClientMetadata::new(NAME).redirect_uri(any_port))
    } else {
        login
    };
    // A second login, for a wider scope, listens on the same port.
    let (ready, wait, opens) = (Mutex::new(Some(loopback)), args.wait, !args.no_browser);
    Ok(login.in_browser(redirect_uri, move |login: BrowserLogin| {
        let ready = ready.lock().ok().and_then(|mut ready| ready.take());
        async move {
            let loopback = match ready {
                Some(loopback) => loopback,
                None => Loopback::bind(port).await?,
            };
            show_url(login.url(), opens);
            let answer = loopback.answer(async |callback| Ok(login.finish(callback).await?));
            let answer = tokio::time::timeout(Duration::from_secs(wait), answer).await;
            answer.map_err(|_| BoxError::from(NoLogin::NobodyCame(wait)))?
        }
    }))
}

async fn fetch(args: &Args, resource: &str, session: &ResourceSession) -> Result<bool, BoxError> {
    let url: reqwest::Url = match &args.get {
        Some(url) => url.clone(),
        None => resource.parse()?,
    };
    let mut http = reqwest::Client::builder()
        .redirect(reqwest_oauth2::redirect_policy_within(session.origins().clone()));
    if url.host_str() == Some("127.0.0.1") {
        http = http.no_proxy();
    }
    let http = http.build()?;
    answered(session.execute(&http, http.get(url).build()?).await?).await
}
