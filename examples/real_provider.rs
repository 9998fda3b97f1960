//! One request to the API of a real provider: `cargo run --example real_provider --features reqwest/rustls`.
//!
//! Everything comes from the environment; run it without, and it says what it needs. It prints no
//! secret.

#[path = "support/report.rs"]
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use reqwest::Url;
use reqwest::header::WWW_AUTHENTICATE;
use reqwest_middleware::ClientBuilder;
use reqwest_oauth2::store::FileStore;
use reqwest_oauth2::{
    BoxError, ClientAuthentication, ClientCredentials, Error, OAuthClient, Session, Token,
};

use report::report;

const USAGE: &str = "\
One GET request with a token of a real provider. For https run it with

  cargo run --example real_provider --features reqwest/rustls

Set in the environment:

  OAUTH_TOKEN_URL      the provider's token endpoint
  OAUTH_CLIENT_ID      what the provider knows this application by
  OAUTH_API_URL        what to GET; its origin is the only one that sees the token
  OAUTH_CLIENT_SECRET  (optional) not for a public client
  OAUTH_AUTH_METHOD    (optional) basic, post, none or detect; by default detect with a secret,
                       none without
  OAUTH_TOKEN_FILE     (optional) a token as requests-oauthlib stores it, in JSON; each new token
                       is written back to it
  OAUTH_REFRESH_TOKEN  (optional) where the file does not exist yet, or none is given
  OAUTH_SCOPE          (optional) the scope to ask for

Without OAUTH_TOKEN_FILE and OAUTH_REFRESH_TOKEN the client acts for itself (client credentials).";

#[tokio::main]
async fn main() -> ExitCode {
    let settings = match Settings::from_environment() {
        Ok(settings) => settings,
        Err(faults) => {
            eprintln!("{USAGE}\n\n{}", faults.join("\n"));
            return ExitCode::from(2);
        }
    };
    match run(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            advise(&error);
            ExitCode::FAILURE
        }
    }
}

/// What an application does.
async fn run(settings: Settings) -> Result<(), BoxError> {
    let mut app = OAuthClient::new(settings.client_id, settings.token_url)?;
    app = app.authentication(settings.authentication);
    if let Some(secret) = settings.client_secret {
        app = app.secret(secret);
    }
    let mut grant = ClientCredentials::new();
    if let Some(scope) = settings.scope {
        grant = grant.scope(&scope);
        app = app.refresh_param("scope", scope);
    }

    let mut builder = Session::builder(app);
    builder = match (&settings.token_file, settings.refresh_token) {
        (None, None) => builder.grant(grant),
        // What is in the file counts, once there is something.
        (_, Some(refresh_token)) => builder.refresh_token(refresh_token),
        (Some(_), None) => builder,
    };
    if let Some(path) = &settings.token_file {
        builder = builder.store(FileStore::file(path), "");
    }
    let session = builder.foreground().build();
    let outcome = request(&session, &settings.api_url).await;
    let saved = session.shutdown().await; // also when something has failed
    let token = outcome?;
    saved?;
    match token.expires_at() {
        Some(deadline) => {
            let left = deadline - chrono::DateTime::from(SystemTime::now());
            let (date, left) = (deadline.format("%Y-%m-%d %H:%M:%S"), left.num_seconds());
            println!("the token expires at {date} UTC, in {left} s");
        }
        None => println!("when the token expires, the provider did not say"),
    }
    match settings.token_file {
        Some(path) => println!("it is in {}", path.display()),
        None if token.refresh_token().is_none() => println!("it is not saved"),
        None => println!(
            "it is not saved; if its refresh token is new, that is lost now: set OAUTH_TOKEN_FILE"
        ),
    }
    Ok(())
}

/// One request to the API. Returns the token that it was made with.
async fn request(session: &Session, api_url: &Url) -> Result<Token, BoxError> {
    let api = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .redirect(reqwest_oauth2::redirect_policy())
        .build()?;
    let http = ClientBuilder::new(api).with(session.middleware(api_url)?).build();
    let response = http.get(api_url.clone()).send().await;
    let response = response.map_err(reqwest_middleware::Error::without_url)?;
    println!("{} answered {}", api_url.origin().ascii_serialization(), response.status());
    if let Some(challenge) = response.headers().get(WWW_AUTHENTICATE) {
        println!("it challenged: {challenge:?}");
    }
    Ok(session.token().await?)
}

/// What to do about it.
fn advise(error: &BoxError) {
    if let Some(ours) = Error::find_in(&**error) {
        eprintln!("what to do: {}", remedy(ours));
    } else if error.is::<reqwest_middleware::Error>() {
        eprintln!("what to do: check OAUTH_API_URL and the network");
    }
}

fn remedy(error: &Error) -> &'static str {
    match error.error_code() {
        Some("invalid_client" | "unauthorized_client") => {
            "check OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET and OAUTH_AUTH_METHOD"
        }
        Some("invalid_scope") => "check OAUTH_SCOPE",
        Some("invalid_request") => "check OAUTH_TOKEN_URL and OAUTH_AUTH_METHOD",
        _ if error.is_reauthorization_required() => {
            "log in at the provider; then put the new token into OAUTH_TOKEN_FILE, or remove the file and set OAUTH_REFRESH_TOKEN"
        }
        _ if error.is_save() || error.is_store() => {
            "see that OAUTH_TOKEN_FILE can be read and written to"
        }
        _ if error.is_malformed_response() => "check that OAUTH_TOKEN_URL is the token endpoint",
        _ if error.is_config() => "change the setting that the error names",
        _ if error.is_transient() => "check the network and OAUTH_TOKEN_URL, or try again later",
        _ => "ask the provider what this answer means",
    }
}

struct Settings {
    token_url: String,
    client_id: String,
    client_secret: Option<String>,
    authentication: ClientAuthentication,
    token_file: Option<PathBuf>,
    refresh_token: Option<String>,
    scope: Option<String>,
    api_url: Url,
}

impl Settings {
    /// The settings, or what is wrong with them.
    fn from_environment() -> Result<Self, Vec<String>> {
        let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let required = ["OAUTH_TOKEN_URL", "OAUTH_CLIENT_ID", "OAUTH_API_URL"];
        let missing = required.into_iter().filter(|name| get(name).is_none());
        let mut faults: Vec<String> = missing.map(|name| format!("missing: {name}")).collect();
        let client_secret = get("OAUTH_CLIENT_SECRET");
        let renewable = ["OAUTH_CLIENT_SECRET", "OAUTH_TOKEN_FILE", "OAUTH_REFRESH_TOKEN"];
        if renewable.into_iter().all(|name| get(name).is_none()) {
            faults.push(format!("missing: one of {}", renewable.join(", ")));
        }
        let authentication = match get("OAUTH_AUTH_METHOD").as_deref() {
            Some("basic") => ClientAuthentication::ClientSecretBasic,
            Some("post") => ClientAuthentication::ClientSecretPost,
            Some("detect") => ClientAuthentication::Detect,
            None if client_secret.is_some() => ClientAuthentication::Detect,
            None | Some("none") => ClientAuthentication::None,
            Some(_) => {
                faults.push("wrong: OAUTH_AUTH_METHOD is not basic, post, none or detect".into());
                ClientAuthentication::None
            }
        };
        let api_url = get("OAUTH_API_URL").unwrap_or_default();
        match Url::parse(&api_url) {
            Ok(api_url) if faults.is_empty() => Ok(Self {
                token_url: get("OAUTH_TOKEN_URL").unwrap_or_default(),
                client_id: get("OAUTH_CLIENT_ID").unwrap_or_default(),
                client_secret,
                authentication,
                token_file: get("OAUTH_TOKEN_FILE").map(PathBuf::from),
                refresh_token: get("OAUTH_REFRESH_TOKEN"),
                scope: get("OAUTH_SCOPE"),
                api_url,
            }),
            Err(error) if !api_url.is_empty() => {
                faults.push(format!("wrong: OAUTH_API_URL is no URL ({error})"));
                Err(faults)
            }
            _ => Err(faults),
        }
    }
}
