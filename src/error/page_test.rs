//! The page in `docs` names each kind of error, and how its text begins.

use std::time::Duration;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};

use super::recorded_error::RecordedError;
use super::{Error, ErrorCode, ErrorResponse, Kind, RetryClass, StoreError};
use crate::step_up::StepUp;

const PAGE: &str = include_str!("../../docs/errors.md");
const SHAPER: &str = "the closure of OAuthClient::shape_requests";

/// An error of each kind.
fn samples() -> Vec<Error> {
    let endpoint = "token endpoint";
    let source = || "cause".into();
    let unusable = || Kind::Malformed {
        endpoint,
        status: StatusCode::OK,
        reason: "it is a page".to_owned(),
        retry_after: None,
        of_token: false,
    };
    let refused = Kind::Refused(ErrorResponse {
        endpoint,
        status: Some(StatusCode::BAD_REQUEST),
        code: Some(ErrorCode::known("invalid_client")),
        description: None,
        uri: None,
        retry_after: None,
        content: None,
        class: RetryClass::Misconfigured,
        of_refresh: false,
    });
    let recorded = Error::recorded(RecordedError::default());
    let kinds = [
        Kind::Config("the client has no secret".to_owned()),
        refused,
        unusable(),
        Kind::Discovery {
            of: "this issuer",
            absent: false,
            answers: "at /: nothing".to_owned(),
            transient: false,
            decisive: Error::new(unusable()),
        },
        Kind::Unreachable { endpoint, source: source() },
        Kind::ResponseLost { endpoint, source: source() },
        Kind::Timeout { endpoint, limit: Duration::from_secs(30) },
        Kind::Closure { name: SHAPER, source: source() },
        Kind::ClosureTimeout { name: SHAPER, limit: Duration::from_secs(30) },
        Kind::Callback("the state does not match".into()),
        Kind::Reauthorization { why: "signed out", lost: false, cause: None },
        Kind::StepUp(step_up()),
        Kind::Expired,
        Kind::Save(source()),
        Kind::CannotSave(source()),
        Kind::Delete(source()),
        Kind::SaveTimeout(Duration::from_secs(5)),
        Kind::Store(StoreError::unavailable("down")),
    ];
    let rest = [
        Kind::WaitTimeout(Duration::from_secs(5)),
        Kind::Busy(Duration::from_secs(30)),
        Kind::Grant { permanent: false, source: source() },
        Kind::GrantTimeout(Duration::from_secs(30)),
        Kind::Signing { why: "".into(), is_timeout: false, source: None },
        Kind::Panicked("the saver"),
        Kind::Runtime,
    ];
    kinds.into_iter().map(Error::new).chain([recorded]).chain(rest.map(Error::new)).collect()
}

fn step_up() -> StepUp {
    let field = "Bearer error=insufficient_scope, scope=write".parse().unwrap();
    let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, field)]);
    StepUp::asked_by(StatusCode::FORBIDDEN, &headers, None).unwrap()
}

/// A new kind does not compile here before it has a name; then it needs a sample and a row.
fn name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Config(_) => "Config",
        Kind::Refused(_) => "Refused",
        Kind::Malformed { .. } => "Malformed",
        Kind::Discovery { .. } => "Discovery",
        Kind::StepUp(_) => "StepUp",
        Kind::Unreachable { .. } => "Unreachable",
        Kind::ResponseLost { .. } => "ResponseLost",
        Kind::Timeout { .. } => "Timeout",
        Kind::Closure { .. } => "Closure",
        Kind::ClosureTimeout { .. } => "ClosureTimeout",
        Kind::Callback(_) => "Callback",
        Kind::Reauthorization { .. } => "Reauthorization",
        Kind::Expired => "Expired",
        Kind::Save(_) => "Save",
        Kind::CannotSave(_) => "CannotSave",
        Kind::Delete(_) => "Delete",
        Kind::SaveTimeout(_) => "SaveTimeout",
        Kind::Store(_) => "Store",
        Kind::Recorded(_) => "Recorded",
        Kind::WaitTimeout(_) => "WaitTimeout",
        Kind::Busy(_) => "Busy",
        Kind::Grant { .. } => "Grant",
        Kind::GrantTimeout(_) => "GrantTimeout",
        Kind::Signing { .. } => "Signing",
        Kind::Panicked(_) => "Panicked",
        Kind::Runtime => "Runtime",
    }
}

/// The first two cells of each row under "All kinds".
fn rows() -> Vec<(&'static str, &'static str)> {
    let (_, section) = PAGE.split_once("\n## All kinds\n").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| {
        let mut cells = row.split('|').skip(1).map(str::trim);
        (cells.next().unwrap(), cells.next().unwrap())
    })
    .collect()
}

#[test]
fn the_page_has_each_kind_with_its_text() {
    let samples = samples();
    let rows = rows();
    let names: Vec<_> = samples.iter().map(|error| name(error.kind())).collect();
    assert_eq!(rows.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    for (error, (name, text)) in samples.iter().zip(&rows) {
        match text.strip_prefix('`') {
            Some(text) => {
                let text = text.trim_end_matches('`');
                assert!(error.to_string().starts_with(text), "{name}: {error}");
            }
            None => assert_eq!((*name, *text), ("Config", "(what is wrong)")),
        }
        assert!(format!("{error:?}").starts_with(&format!("Error({name}")), "{error:?}");
    }
}

#[test]
fn the_page_has_each_method_that_tells_kinds_apart() {
    let source = include_str!("mod.rs");
    let methods = source.split("pub fn is_").skip(1);
    for method in methods.map(|rest| rest.split('(').next().unwrap()) {
        assert!(PAGE.contains(&format!("`is_{method}`")), "is_{method}");
    }
}
