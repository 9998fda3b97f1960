//! Tokens of the `oauth2` crate, and of `openidconnect`, which uses its types.

use oauth2::{ExtraTokenFields, StandardTokenResponse, TokenType};

use serde_json::{Map, Value};

use crate::error::Error;
use crate::token::Token;

/// A token that the `oauth2` or `openidconnect` crate obtained. Its `expires_in` counts from this
/// conversion, for the response does not say when it came: convert it at once
/// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)). So does the lifetime of the refresh
/// token, where the response has one among its extra fields.
///
/// ```
/// use oauth2::basic::BasicTokenResponse;
/// use reqwest_oauth2::Token;
///
/// let response: BasicTokenResponse =
///     serde_json::from_str(r#"{"access_token": "abc", "token_type": "bearer", "expires_in": 3600}"#)?;
/// let token = Token::try_from(&response)?;
/// assert_eq!(token.access_token(), "abc");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Error::is_config`] if the token is not a bearer token, or has characters that are not allowed in a header.
impl<EF, TT> TryFrom<&StandardTokenResponse<EF, TT>> for Token
where
    EF: ExtraTokenFields,
    TT: TokenType,
{
    type Error = Error;

    fn try_from(response: &StandardTokenResponse<EF, TT>) -> Result<Self, Error> {
        // Its serialised form is the response of RFC 6749 §5.1, extra members included.
        let unfit =
            |error| Error::config(format!("the token of the oauth2 crate cannot be used: {error}"));
        let members = serde_json::to_value(response).and_then(serde_json::from_value);
        let members: Map<String, Value> = members.map_err(unfit)?;
        let token = Self::just_issued::<serde_json::Error>(members).map_err(unfit)?;
        if !token.token_type().eq_ignore_ascii_case("bearer") {
            return Err(Error::config(
                "the token of the oauth2 crate cannot be used: its type is not Bearer; if the provider means Bearer by it, make the token with Token::new",
            ));
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta, Utc};
    use oauth2::basic::BasicTokenType;
    use serde::{Deserialize, Serialize};
    use serde_json::json;
    use std::time::SystemTime;

    #[derive(Debug, Serialize, Deserialize)]
    struct Extra(Map<String, Value>);

    impl ExtraTokenFields for Extra {}

    /// The token of a response with these members, and between which moments it was converted.
    fn converted(members: Value) -> (Token, [DateTime<Utc>; 2]) {
        let mut whole =
            json!({"access_token": "at", "token_type": "bearer", "refresh_token": "rt"});
        whole.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let response: StandardTokenResponse<Extra, BasicTokenType> =
            serde_json::from_value(whole).unwrap();
        let now = || DateTime::<Utc>::from(SystemTime::now());
        let before = now();
        let token = Token::try_from(&response).unwrap();
        (token, [before, now()])
    }

    #[test]
    fn a_token_that_has_just_been_issued_is_not_expired_by_a_date_of_another_clock() {
        for members in [
            json!({"expires_in": 3600, "expires_on": "5"}),
            json!({"expires_in": 3600, "expires_at": 5}),
            json!({"expires_in": 3600}),
        ] {
            let (token, [before, after]) = converted(members);
            let [earliest, latest] = [before, after].map(|at| at + TimeDelta::seconds(3600));
            let expires_at = token.expires_at().unwrap();
            assert!((earliest..=latest).contains(&expires_at), "{expires_at}");
            assert_eq!(token.lifetime().unwrap().as_secs(), 3600);
        }
        for members in [json!({}), json!({"expires_at": 5})] {
            let (token, _) = converted(members);
            assert_eq!((token.expires_at(), token.lifetime()), (None, None));
        }
    }

    #[test]
    fn the_refresh_tokens_lifetime_counts_from_the_conversion_too() {
        let (token, [before, after]) = converted(json!({"refresh_token_expires_in": 86_400}));
        let [earliest, latest] = [before, after].map(|at| at + TimeDelta::seconds(86_399));
        let expires_at = token.refresh_token_expires_at().unwrap();
        // It is kept to the microsecond.
        assert!(earliest < expires_at && expires_at <= latest + TimeDelta::seconds(2));
    }
}
