//! `reqwest_methods`: what reqwest's two kinds of requests, responses and clients have in common as a
//! [`Stack`](super::stack::Stack). Their types are different, and their methods have the same names.

/// The methods of an implementation of [`Stack`](super::stack::Stack),
/// [`StackRequest`](super::stack::StackRequest) or [`StackResponse`](super::stack::StackResponse), but for
/// sending and for bodies.
macro_rules! reqwest_methods {
    (Stack) => {
        #[inline]
        fn is_for(&self, request: &Request, origins: Option<&Origins>) -> Result<bool, Error> {
            is_url_for(request.url(), origins)
        }

        fn path(&self, address: &Url) -> NonZeroU64 {
            path_of_url(address)
        }

        fn url(address: Url) -> Option<Url> {
            Some(address)
        }

        #[cfg(feature = "keys")]
        fn target<'r>(&self, request: &'r Request) -> Option<Cow<'r, Url>> {
            Some(Cow::Borrowed(request.url()))
        }

        #[inline]
        fn try_clone(&self, request: &Request) -> Option<Request> {
            request.try_clone()
        }
    };
    (StackRequest) => {
        type Address = Url;

        fn method(&self) -> &Method {
            self.method()
        }

        #[inline]
        fn headers(&self) -> &HeaderMap {
            self.headers()
        }

        #[inline]
        fn headers_mut(&mut self) -> &mut HeaderMap {
            self.headers_mut()
        }

        fn address(&self) -> Url {
            self.url().clone()
        }

        fn query(&self) -> Option<&str> {
            self.url().query()
        }

        fn append_query_pair(&mut self, name: &str, value: &str) {
            self.url_mut().query_pairs_mut().append_pair(name, value);
        }

        #[inline]
        fn timeout(&self) -> Option<Duration> {
            self.timeout().copied()
        }

        fn set_timeout(&mut self, timeout: Option<Duration>) {
            *self.timeout_mut() = timeout;
        }

        fn redirect(&mut self, url: &Url) -> bool {
            if url.origin() != self.url().origin() {
                remove_credentials(self.headers_mut());
            }
            *self.url_mut() = url.clone();
            true
        }

        fn probe(&self, url: &Url) -> Option<Self> {
            let mut probe = Self::new(Method::HEAD, url.clone());
            *probe.headers_mut() = head_of(self.headers());
            Some(probe)
        }
    };
    (StackResponse) => {
        #[inline]
        fn status(&self) -> StatusCode {
            self.status()
        }

        fn headers(&self) -> &HeaderMap {
            self.headers()
        }

        fn extensions_mut(&mut self) -> &mut Extensions {
            self.extensions_mut()
        }

        /// A response that was not made by reqwest may have none; then it has this one.
        #[inline]
        fn url(&self) -> Option<&Url> {
            Some(self.url()).filter(|url| url.host_str() != Some("no.url.provided.local"))
        }
    };
}

pub(crate) use reqwest_methods;
