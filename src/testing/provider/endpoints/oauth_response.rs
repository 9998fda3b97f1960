//! The responses of the endpoints that take forms.

use http::header::WWW_AUTHENTICATE;
use http::{Response, StatusCode};

use crate::testing::provider::config::Config;
use crate::testing::provider::grants::{Issued, OAuthError, token_json};
use crate::testing::provider::http::{ResponseBody, response};

/// The response to a token request (RFC 6749 §5).
pub(crate) fn token(
    outcome: Result<Issued, OAuthError>,
    config: &Config,
) -> Response<ResponseBody> {
    match outcome {
        Ok(issued) => {
            let mut response = response::json(StatusCode::OK, &token_json(issued, config));
            response::not_stored(&mut response);
            response
        }
        Err(error) => refused(error),
    }
}

/// The error response to a form (RFC 6749 §5.2).
pub(crate) fn refused(error: OAuthError) -> Response<ResponseBody> {
    let mut response = response::error(error.status(), error.code());
    if error == OAuthError::InvalidClient {
        response::set(&mut response, WWW_AUTHENTICATE, r#"Basic realm="provider""#);
    }
    response
}
