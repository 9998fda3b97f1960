//! A login from the command line, then a request with the token:
//! `cargo run --example login -- --issuer https://accounts.example --client-id ID --get https://api.example/me`.
//!
//! For https add `--features reqwest/rustls` before the `--`: this crate brings no TLS of its own.
//! Without a provider: `cargo run --example login -- --try`.
//!
//! An API that names its authorization server (RFC 9728) needs its URL and nothing else:
//! `cargo run --example login -- --resource https://api.example/x`.
//!
//! Opens the browser and listens on loopback for its return; asks for a code on another device where
//! that cannot work. The token goes into a file, or with `--features keyring` and `--keyring` into the
//! keychain of the system. Run again, it goes on with the saved token, refreshing it as needed; when
//! the login has ended it asks for a new one.

mod loopback;
#[path = "../support/report.rs"]
mod report;
mod resource;
#[path = "../support/testing.rs"]
mod testing;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Parser, ValueEnum};
use reqwest::{Response, Url};
use reqwest_middleware::ClientBuilder;
use reqwest_oauth2::store::{FileStore, MemoryStore, TokenStore};
use reqwest_oauth2::{BoxError, Error, OAuthClient, PendingDeviceLogin, Session, presets};

use loopback::Loopback;
use report::report;
use testing::{Provider, ResourceDocument};

/// How much of the API's answer is shown.
const SHOWN: usize = 2000;

/// The features that put TLS into this example.
const FOR_HTTPS: &str = "\
for https run it as
  cargo run --example login --features reqwest/rustls -- OPTIONS";

const WITHOUT_A_PROVIDER: &str = "\
without a provider
  cargo run --example login -- --try";

/// Logs in with OAuth 2, saves the token, and GETs a URL with it.
#[derive(Parser)]
#[command(after_help = FOR_HTTPS)]
struct Args {
    /// Start a provider inside this program, log in there, and save nothing
    #[arg(long = "try", conflicts_with_all = ["client_secret_env", "token_file", "device", "port", "resource"])]
    trial: bool,
    /// The provider, by its issuer URL: its metadata names the endpoints
    #[arg(long, value_name = "URL", required_unless_present_any = ["preset", "resource", "trial"], conflicts_with_all = ["preset", "trial"])]
    issuer: Option<String>,
    /// The API, if it names its authorization server by itself; the tokens go into the folder tokens
    #[arg(long, value_name = "URL", conflicts_with_all = ["issuer", "preset", "client_id", "client_secret_env", "token_file", "params"])]
    resource: Option<String>,
    /// The provider, by name
    #[arg(long, conflicts_with = "trial")]
    preset: Option<Preset>,
    /// What the provider knows this application by
    #[arg(long, value_name = "ID", required_unless_present_any = ["resource", "trial"], conflicts_with = "trial")]
    client_id: Option<String>,
    /// The environment variable that holds the client secret, if there is one
    #[arg(long, value_name = "VARIABLE")]
    client_secret_env: Option<String>,
    /// The scope to ask for, names separated by spaces
    #[arg(long)]
    scope: Option<String>,
    /// An extra parameter of the authorization request, such as prompt=consent
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    params: Vec<(String, String)>,
    /// What to GET with the token; its origin is the only one that sees it
    #[arg(long, value_name = "URL", conflicts_with = "trial")]
    get: Option<Url>,
    /// Where the token is saved [default: token-PROVIDER.json]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Save the token in the keychain of the system, not in a file
    #[cfg(feature = "keyring")]
    #[arg(long, conflicts_with_all = ["token_file", "trial"])]
    keyring: bool,
    /// Log in on another device: shows a code to type in there
    #[arg(long)]
    device: bool,
    /// Print the URL only
    #[arg(long)]
    no_browser: bool,
    /// The port of http://127.0.0.1:PORT/cb, for providers that know only registered redirect URIs
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// How long the person may take
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    wait: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Preset {
    Github,
    Google,
    Lokalise,
    Microsoft,
    Slack,
}

/// Why there was no login, where neither the provider nor the network is to blame.
#[derive(Debug, thiserror::Error)]
enum NoLogin {
    #[error("nobody logged in within {0} seconds; run this again to begin anew")]
    NobodyCame(u64),
    #[error("interrupted; run this again to begin anew")]
    Interrupted,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::try_parse().unwrap_or_else(|error| {
        _ = error.print();
        if error.kind() == ErrorKind::MissingRequiredArgument {
            eprintln!("\n{WITHOUT_A_PROVIDER}");
        }
        std::process::exit(error.exit_code())
    });
    let outcome = match (args.trial, &args.resource) {
        (true, _) => try_out(args).await,
        (false, Some(resource)) => resource::run(&args, resource).await,
        (false, None) => run(&args).await,
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report(&error);
            if wants_tls(&error) {
                eprintln!("{FOR_HTTPS}");
            }
            ExitCode::FAILURE
        }
    }
}

/// With a provider of its own, which ends when this returns.
async fn try_out(mut args: Args) -> Result<bool, BoxError> {
    let provider = Provider::builder()
        .public_client("login")
        .redirect_uri("http://127.0.0.1/cb")
        .login_page(true)
        // So `--resource` can be tried with it too.
        .protected_resource([ResourceDocument::InChallenge])
        .registration(true)
        .start()
        .await?;
    args.issuer = Some(provider.issuer());
    args.client_id = Some("login".to_owned());
    args.get = Some(provider.api_url().parse()?);
    println!("the provider knows one person: johndoe, with the password A3ddj3w");
    run(&args).await
}

/// Whether it was built without TLS, and https was asked for.
fn wants_tls(error: &BoxError) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
    while let Some(error) = next {
        let text = error.to_string();
        if text.contains("TLS feature") || text.ends_with("scheme is not http") {
            return true;
        }
        next = error.source();
    }
    false
}

/// Whether the API answered as it should.
async fn run(args: &Args) -> Result<bool, BoxError> {
    let app = args.client().await?;
    let session = Session::builder(app.clone())
        .store(args.store(), "me")
        .store_timeout(Duration::from_secs(args.wait)) // a keychain may ask for a password
        .lease_ttl(args.lease())
        .foreground() // nothing is left to run when a call returns
        .strict_saving() // saved, or it is an error: the page at the end says that the login worked
        .build();
    let outcome = use_token(args, &app, &session).await;
    let saved = session.shutdown().await; // also when something has failed
    let is_success = outcome?;
    saved?;
    Ok(is_success)
}

/// The request, after a login if need be.
async fn use_token(args: &Args, app: &OAuthClient, session: &Session) -> Result<bool, BoxError> {
    let outcome = fetch(session, args.get.as_ref()).await;
    if !outcome.as_ref().is_err_and(asks_for_login) {
        return outcome;
    }
    logged_in(args, app, session).await?;
    println!("logged in; the token is in {}", args.place());
    fetch(session, args.get.as_ref()).await
}

/// There is no saved token yet, or its login has ended.
fn asks_for_login(error: &BoxError) -> bool {
    Error::find_in(&**error).is_some_and(Error::is_reauthorization_required)
}

/// Waits for a person to log in, but not for ever.
async fn logged_in(args: &Args, app: &OAuthClient, session: &Session) -> Result<(), BoxError> {
    tokio::select! {
        done = tokio::time::timeout(Duration::from_secs(args.wait), log_in(args, app, session)) => {
            done.map_err(|_| NoLogin::NobodyCame(args.wait))?
        }
        Ok(()) = tokio::signal::ctrl_c() => Err(NoLogin::Interrupted.into()),
    }
}

async fn log_in(args: &Args, app: &OAuthClient, session: &Session) -> Result<(), BoxError> {
    if args.device {
        return log_in_elsewhere(args, app, session).await;
    }
    // Bound before the browser is sent off. Where that cannot be, or the provider knows no browser,
    // there is still the other device.
    let ready = Loopback::bind(args.port).await.map_err(BoxError::from).and_then(|loopback| {
        let request = app.authorization_code(loopback.redirect_uri())?;
        Ok((loopback, request))
    });
    let (loopback, mut request) = match ready {
        Ok(ready) => ready,
        Err(why) => {
            eprintln!("no login with a browser here: {why}");
            return log_in_elsewhere(args, app, session).await;
        }
    };
    if let Some(scope) = &args.scope {
        request = request.scope(scope);
    }
    for (name, value) in &args.params {
        request = request.extra_param(name, value);
    }
    let login = request.lifetime(Duration::from_secs(args.wait)).begin()?;
    show_url(login.url(), !args.no_browser);
    // Saved before the page says so.
    loopback
        .answer(async |callback| {
            Ok(session.set_token(login.clone().finish(app, callback).await?).await?)
        })
        .await
}

/// The device flow: the person logs in elsewhere, with a code.
async fn log_in_elsewhere(
    args: &Args,
    app: &OAuthClient,
    session: &Session,
) -> Result<(), BoxError> {
    let mut request = app.device_authorization();
    if let Some(scope) = &args.scope {
        request = request.scope(scope);
    }
    let mut login = request.begin().await?;
    show_code(&login);
    Ok(session.set_token(login.wait().await?).await?)
}

fn show_url(url: &str, opens: bool) {
    println!("to log in, open\n  {url}");
    if opens && let Err(error) = open::that_detached(url) {
        eprintln!(
            "no browser could be opened ({error}); --device asks for a code on another device"
        );
    }
}

fn show_code(login: &PendingDeviceLogin) {
    println!("to log in, open\n  {}", login.verification_uri());
    println!("and type in\n  {}", login.user_code());
    if let Some(url) = login.verification_uri_complete() {
        println!("or open\n  {url}");
    }
}

/// One request to the API, if there is one to be made; else the token by itself.
async fn fetch(session: &Session, url: Option<&Url>) -> Result<bool, BoxError> {
    let Some(url) = url else {
        let token = session.token().await?;
        match token.expires_at() {
            Some(deadline) => {
                println!("it expires at {} UTC", deadline.format("%Y-%m-%d %H:%M:%S"))
            }
            None => println!("when it expires, the provider did not say"),
        }
        return Ok(true);
    };
    let mut api = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .redirect(reqwest_oauth2::redirect_policy());
    if url.host_str() == Some("127.0.0.1") {
        api = api.no_proxy();
    }
    let api = api.build()?;
    let http = ClientBuilder::new(api).with(session.middleware(url)?).build();
    answered(http.get(url.clone()).send().await.map_err(reqwest_middleware::Error::without_url)?)
        .await
}

/// Shows what the API answered; whether it is as it should be.
async fn answered(mut response: Response) -> Result<bool, BoxError> {
    let status = response.status();
    println!("the API answered {status}");
    let mut body = Vec::new();
    while body.len() < SHOWN
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(SHOWN);
    let text = String::from_utf8_lossy(&body);
    println!("{}", text.replace(|c: char| c.is_control() && c != '\n', " "));
    Ok(status.is_success())
}

impl Args {
    async fn client(&self) -> Result<OAuthClient, BoxError> {
        let id = self.client_id.as_deref().unwrap_or_default();
        let client = match (&self.issuer, self.preset) {
            (Some(issuer), _) => OAuthClient::discover(issuer, id).await?,
            (None, Some(Preset::Github)) => presets::github(id)?,
            (None, Some(Preset::Google)) => presets::google(id)?,
            (None, Some(Preset::Lokalise)) => presets::lokalise(id)?,
            (None, Some(Preset::Microsoft)) => presets::microsoft("common", id)?,
            (None, Some(Preset::Slack)) => presets::slack(id)?,
            (None, None) => return Err("give --issuer or --preset".into()),
        };
        let Some(variable) = &self.client_secret_env else { return Ok(client) };
        let secret = std::env::var(variable).map_err(|error| format!("{variable}: {error}"))?;
        Ok(client.secret(secret))
    }

    fn in_keychain(&self) -> bool {
        #[cfg(feature = "keyring")]
        return self.keyring;
        #[cfg(not(feature = "keyring"))]
        false
    }

    /// Where the token is saved.
    fn store(&self) -> Arc<dyn TokenStore> {
        #[cfg(feature = "keyring")]
        if self.keyring {
            return Arc::new(reqwest_oauth2::store::KeyringStore::new("reqwest-oauth2 login"));
        }
        if self.trial {
            return Arc::new(MemoryStore::new());
        }
        Arc::new(FileStore::file(self.token_file()))
    }

    /// The writes of a renewal may take half of it, and a keychain may ask then too.
    fn lease(&self) -> Duration {
        Duration::from_secs(if self.in_keychain() { 2 * self.wait } else { 10 })
    }

    fn place(&self) -> String {
        match (self.trial, self.in_keychain()) {
            (true, _) => "memory".to_owned(),
            (false, true) => "the keychain".to_owned(),
            (false, false) => self.token_file().display().to_string(),
        }
    }

    /// A file for each provider: no refresh token is shown to another.
    fn token_file(&self) -> PathBuf {
        let provider =
            match (&self.issuer, self.preset.and_then(|preset| preset.to_possible_value())) {
                (Some(issuer), _) => {
                    issuer.split_once("://").map_or(&**issuer, |(_, rest)| rest).to_owned()
                }
                (None, preset) => {
                    preset.map(|preset| preset.get_name().to_owned()).unwrap_or_default()
                }
            };
        let plain = provider
            .trim_end_matches('/')
            .replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
        let default = || format!("token-{plain}.json").into();
        self.token_file.clone().unwrap_or_else(default)
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not of the form NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
