//! The token, and its proof if it is bound to a key, for requests that something else sends.

#[cfg(feature = "keys")]
use http::StatusCode;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Uri};
use url::Url;

#[cfg(feature = "keys")]
use super::proofs::may_a_newer_proof_help;
use crate::error::Error;
use crate::origin::may_carry_token;
use crate::session::Session;

/// A request that [`Session::authorize`] can give a token: a `reqwest::Request`, an `http::Request` with any
/// body, or its `http::request::Parts`.
pub trait AuthorizableRequest: sealed::Parts {}

impl<R: sealed::Parts> AuthorizableRequest for R {}

mod sealed {
    use super::{HeaderMap, Method, Url};

    pub trait Parts {
        fn url(&self) -> Option<Url>;
        fn method(&self) -> &Method;
        fn headers_mut(&mut self) -> &mut HeaderMap;
    }
}

impl sealed::Parts for reqwest::Request {
    fn url(&self) -> Option<Url> {
        Some(self.url().clone())
    }

    fn method(&self) -> &Method {
        self.method()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }
}

impl<B> sealed::Parts for http::Request<B> {
    fn url(&self) -> Option<Url> {
        url_of(self.uri())
    }

    fn method(&self) -> &Method {
        self.method()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }
}

impl sealed::Parts for http::request::Parts {
    fn url(&self) -> Option<Url> {
        url_of(&self.uri)
    }

    fn method(&self) -> &Method {
        &self.method
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }
}

fn url_of(uri: &Uri) -> Option<Url> {
    uri.scheme()?;
    Url::parse(&uri.to_string()).ok()
}

/// The URL that HTTP has of it: the handshake of a `wss` URL is a request to an `https` one.
fn url_of_handshake(mut url: Url) -> Url {
    let scheme = match url.scheme() {
        "ws" => "http",
        "wss" => "https",
        _ => return url,
    };
    // Which is an error only between schemes that have nothing in common.
    let _ = url.set_scheme(scheme);
    url
}

impl Session {
    /// Puts the token on a request that something else sends, such as the handshake of a WebSocket. A token
    /// that is bound to a key needs a proof too, which this adds. A proof can be used once, so call this for
    /// each sending ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1),
    /// [RFC 9449 §7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1)).
    ///
    /// An expired token is renewed first. Handle a 401 yourself: call
    /// [`renew_rejected`](Self::renew_rejected), and for proofs `Session::learn_from_response`.
    ///
    /// ```
    /// # async fn f(session: reqwest_oauth2::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut handshake = http::Request::get("wss://api.example/events").body(())?;
    /// session.authorize(&mut handshake).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the renewal; [`Error::is_config`] if the URL has no host, is neither TLS nor to loopback, or
    /// has user info; [`Error::is_signing`] if no proof can be made. After an error the request is
    /// unchanged.
    ///
    /// # Cancellation
    ///
    /// Safe: a renewal goes on without the caller.
    pub async fn authorize(&self, request: &mut impl AuthorizableRequest) -> Result<(), Error> {
        #[cfg_attr(not(feature = "keys"), expect(unused_variables))]
        let url = request.url().map(url_of_handshake).filter(may_carry_token).ok_or_else(|| {
            Error::config(
                "the request's URL must not carry a token: it has no host, is neither TLS nor to loopback, or it has user info",
            )
        })?;
        let snapshot = self.0.usable(&self.1, None).await?;
        #[cfg(feature = "keys")]
        if let Some(bound) = snapshot.bound() {
            let (proof, _) = bound.prove(request.method(), &url).await?;
            request.headers_mut().insert(crate::dpop::PROOF, proof);
        }
        let header = snapshot.header.clone();
        let headers = request.headers_mut();
        #[cfg(feature = "keys")]
        if snapshot.bound().is_none() {
            // That of another token, from an earlier call.
            headers.remove(crate::dpop::PROOF);
        }
        header.into_iter().for_each(|header| drop(headers.insert(AUTHORIZATION, header)));
        Ok(())
    }

    /// Takes from a response what the proofs of [`authorize`](Self::authorize) need: the server's nonce, and
    /// after a 401 its time. Returns true if the server did not accept the proof and may accept another one:
    /// send the request once more, with a new proof. No more than once: what follows may be refused for the
    /// same reason, and return true again. `url` is where the response came from,
    /// for a WebSocket also the `wss` URL of the handshake
    /// ([RFC 9449 §8.2](https://www.rfc-editor.org/rfc/rfc9449#section-8.2),
    /// [§9](https://www.rfc-editor.org/rfc/rfc9449#section-9)).
    #[cfg(feature = "keys")]
    #[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
    pub fn learn_from_response(&self, url: &Url, status: StatusCode, headers: &HeaderMap) -> bool {
        let published = self.0.published.load();
        let Some(bound) = published.of(&self.1).and_then(|snapshot| snapshot.bound()) else {
            return false;
        };
        let is_refusal = status == StatusCode::UNAUTHORIZED;
        let url = url_of_handshake(url.clone());
        bound.hear(&url, headers, is_refusal);
        is_refusal && may_a_newer_proof_help(bound, &url, headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_websocket_is_that_of_its_handshake() {
        for (uri, url) in [
            ("wss://api.example/events?a=b", Some("https://api.example/events?a=b")),
            ("ws://127.0.0.1:80/x", Some("http://127.0.0.1/x")),
            ("https://wss.example", Some("https://wss.example/")),
            ("/events", None),
            ("api.example:443", None),
        ] {
            let parsed = url_of(&uri.parse().unwrap()).map(url_of_handshake);
            assert_eq!(parsed.as_ref().map(Url::as_str), url, "{uri}");
        }
    }
}
