use http::{Response, StatusCode};
use url::form_urlencoded::Serializer;

use crate::testing::provider::http::{ResponseBody, response};

/// The parameters of an authorization response.
pub(crate) type Params = Vec<(String, String)>;

/// Where the response to an authorization request goes (RFC 6749 §3.1.2).
pub(crate) struct Callback {
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    /// Whether the parameters go into the fragment (RFC 6749 §4.2.2).
    pub(crate) fragment: bool,
}

impl Callback {
    /// The redirect with these parameters.
    pub(crate) fn redirect(&self, status: StatusCode, params: &Params) -> Response<ResponseBody> {
        let mut response = response::redirect(status, &self.location(params));
        response::not_stored(&mut response);
        response
    }

    fn location(&self, params: &Params) -> String {
        let uri = &self.redirect_uri;
        if params.is_empty() {
            return uri.clone();
        }
        let separator = match (self.fragment, uri.contains('?')) {
            (true, _) => '#',
            (false, false) => '?',
            (false, true) => '&',
        };
        let params = Serializer::new(String::new()).extend_pairs(params).finish();
        format!("{uri}{separator}{params}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_the_redirect_uri_is_kept() {
        let location = |uri: &str, fragment| {
            let callback = Callback { redirect_uri: uri.to_owned(), state: None, fragment };
            callback.location(&vec![("a b".to_owned(), "&#".to_owned())])
        };
        assert_eq!(location("https://a.test/cb", false), "https://a.test/cb?a+b=%26%23");
        assert_eq!(location("https://a.test/cb?x=1", false), "https://a.test/cb?x=1&a+b=%26%23");
        assert_eq!(location("https://a.test/cb?x=1", true), "https://a.test/cb?x=1#a+b=%26%23");
        assert_eq!(location("app.test:/cb", false), "app.test:/cb?a+b=%26%23");
    }
}
