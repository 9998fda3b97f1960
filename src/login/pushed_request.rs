//! Pushed authorization requests ([RFC 9126](https://www.rfc-editor.org/rfc/rfc9126)).

use serde_json::Value;

use super::pending_login::{Choices, LoginState};
use super::pkce::random;
use crate::client::{Endpoint, Form, RequestKind};
use crate::error::Error;
use crate::wire::{HttpResponse, ResponseRules, malformed, read_members};

/// Longer than any `request_uri`, in bytes.
const LONGEST: usize = 2048;

impl Choices {
    /// Pushes the request in that form, and gives the URL that names it
    /// ([RFC 9126 §4](https://www.rfc-editor.org/rfc/rfc9126#section-4)).
    pub(super) async fn push(
        &self,
        response_type: &str,
        more: &[(&'static str, &str)],
        mut form: Form,
    ) -> Result<LoginState, Error> {
        self.check_names(more)?;
        let Some(url) = &self.client.endpoints().pushed_authorization else {
            return Err(Error::config(
                "no endpoint for pushed authorization requests is known; set it with OAuthClient::pushed_authorization_request_endpoint, or use OAuthClient::discover",
            ));
        };
        let params = self.params();
        // "The client MUST NOT provide the "request_uri" authorization request parameter in this case."
        // https://www.rfc-editor.org/rfc/rfc9126#section-2.1
        if params.iter().any(|(name, _)| *name == "request_uri") {
            return Err(Error::config(
                "request_uri is a parameter of the authorization request, and cannot be pushed; leave it out, or call begin",
            ));
        }
        let state = random();
        for (name, value) in params {
            form.extra(name, value);
        }
        for (name, value) in self.of_protocol(response_type, &state, more) {
            form.own(name, value);
        }
        let endpoint = Endpoint { kind: RequestKind::PushedAuthorization, url };
        let request_uri = self.client.post(endpoint, &form, read).await?;

        let renames = self.client.renames_of(RequestKind::Authorization);
        let mut url = self.url()?;
        let id = self.client.client_id();
        url.query_pairs_mut()
            .extend_pairs((!id.is_empty()).then_some((renames.sent_as("client_id"), id)))
            .append_pair(renames.sent_as("request_uri"), &request_uri);
        Ok(self.state(url, state))
    }
}

/// Reads the response ([RFC 9126 §2.2](https://www.rfc-editor.org/rfc/rfc9126#section-2.2)).
fn read(response: &HttpResponse<'_>) -> Result<String, Error> {
    let members = read_members(response, &ResponseRules::default())?;
    let is_uri = |text: &String| {
        !text.is_empty() && text.len() <= LONGEST && text.bytes().all(|b| b.is_ascii_graphic())
    };
    match members.get("request_uri") {
        Some(Value::String(uri)) if is_uri(uri) => Ok(uri.clone()),
        Some(_) => Err(malformed(
            response,
            "its request_uri is empty, too long, not a string, or has characters that are not allowed in a URI"
                .to_owned(),
        )),
        None => Err(malformed(response, "request_uri is missing".to_owned())),
    }
}
