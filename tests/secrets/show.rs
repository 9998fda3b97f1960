//! `Show`: all that was shown or logged, and the secrets that must not be in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::io::Write;
use std::sync::{Arc, Mutex};

use reqwest_oauth2::testing::Provider;
use reqwest_oauth2::{Error, Token};
use tracing_subscriber::util::SubscriberInitExt;

use crate::forms;

/// Parameters of requests to the provider whose values are secrets.
const SECRET_PARAMS: [&str; 11] = [
    "access_token",
    "actor_token",
    "assertion",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "password",
    "refresh_token",
    "subject_token",
    "token",
];

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub struct Show {
    log: Log,
    /// Each with what it is.
    secrets: Mutex<BTreeMap<String, String>>,
    types: Mutex<BTreeSet<String>>,
}

impl Show {
    /// Collects every line of every crate, those of the `log` facade too.
    pub fn new() -> Self {
        let log = Log::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_writer(move || writer.clone())
            .finish()
            .init();
        Self { log, secrets: Mutex::default(), types: Mutex::default() }
    }

    pub fn secret(&self, what: &str, secret: &str) {
        self.secrets.lock().unwrap().insert(secret.to_owned(), what.to_owned());
    }

    /// What a value shows of itself.
    pub fn note<T: Debug>(&self, value: &T) {
        self.types.lock().unwrap().insert(name::<T>());
        write!(self.log.clone(), "{value:?}\n{value:#?}\n").unwrap();
    }

    pub fn token(&self, token: &Token) {
        self.secret("access token", token.access_token());
        if let Some(refresh_token) = token.refresh_token() {
            self.secret("refresh token", refresh_token);
        }
        self.note(token);
    }

    /// What an error and each of its causes say.
    pub fn error(&self, error: &Error) {
        self.note(error);
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = cause {
            write!(self.log.clone(), "{error}\n{error:?}\n{error:#?}\n").unwrap();
            cause = error.source();
        }
        let parts = (error.code(), error.description(), error.error_uri());
        write!(self.log.clone(), "{parts:?}\n").unwrap();
        let theirs: reqwest_middleware::Error = error.clone().into();
        write!(self.log.clone(), "{theirs}\n{theirs:?}\n{theirs:#?}\n").unwrap();
    }

    pub fn outcome(&self, outcome: &Result<Token, Error>) {
        match outcome {
            Ok(token) => self.token(token),
            Err(error) => self.error(error),
        }
    }

    /// What the provider was sent is secret.
    pub fn provider(&self, provider: &Provider) {
        for request in provider.token_requests() {
            for (name, value) in &request.params {
                if SECRET_PARAMS.contains(&&**name) && !value.is_empty() {
                    self.secret(name, value);
                }
            }
            self.note(&request);
        }
        for request in provider.api_requests_seen() {
            self.note(&request);
        }
        self.note(provider);
    }

    /// The types of ours that were shown.
    pub fn types(&self) -> BTreeSet<String> {
        self.types.lock().unwrap().clone()
    }

    /// Finds every window of every form of every secret.
    pub fn check(&self) {
        let log = self.log.0.lock().unwrap().clone();
        let text = String::from_utf8_lossy(&log);
        for crate_name in ["reqwest_oauth2", "hyper", "reqwest::connect"] {
            assert!(text.contains(crate_name), "nothing of {crate_name} is in the log");
        }
        let secrets = self.secrets.lock().unwrap();
        let mut windows: HashMap<&[u8], (&str, &str)> = HashMap::new();
        let all: Vec<_> = secrets
            .iter()
            .flat_map(|(secret, what)| forms::of(secret).into_iter().map(move |form| (form, what)))
            .collect();
        let mut lengths = BTreeSet::new();
        for (form, what) in &all {
            for window in forms::windows(form) {
                lengths.insert(window.len());
                windows.insert(window, (what, form));
            }
        }
        let mut found = BTreeSet::new();
        for line in text.lines() {
            for length in &lengths {
                for window in line.as_bytes().windows(*length) {
                    if let Some((what, form)) = windows.get(window) {
                        let line: String = line.chars().take(600).collect();
                        found.insert(format!("{what} ({form}) in: {line}"));
                    }
                }
            }
        }
        assert!(secrets.len() > 50, "{} secrets", secrets.len());
        let first: Vec<_> = found.iter().take(8).collect();
        assert!(found.is_empty(), "{} places, such as {first:#?}", found.len());
    }
}

/// The type's own name; those of the module `testing` with it.
fn name<T>() -> String {
    let full = std::any::type_name::<T>();
    let path = full.split('<').next().unwrap().trim_start_matches('&');
    let name = path.rsplit("::").next().unwrap();
    if path.contains("::testing::") { format!("testing::{name}") } else { name.to_owned() }
}
