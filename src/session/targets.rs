//! Several resources, one login: the handles for other targets of a session's login.

use super::Config;
use super::handle::Session;
use super::machine::Target;
use crate::error::Error;
use crate::observe::TargetFields;
use crate::token::TokenTarget;

impl Session {
    /// The same login for another resource: a handle whose access tokens are for that one, from the same
    /// refresh token ([RFC 8707 §2.2](https://www.rfc-editor.org/rfc/rfc8707#section-2.2)). `resource` is
    /// an absolute URI, as the provider's documentation has it. It replaces a resource that this handle
    /// has; the scope stays.
    ///
    /// Each resource has an access token of its own, with its own deadline and its own 401s. They share the
    /// login: one token request at a time, each with the newest refresh token; one record or saved token
    /// with all access tokens; one backoff. If the provider refuses a resource (`invalid_target`), requests
    /// for that one get the error, and it is asked for again after 1 to 10 minutes. The login and the other
    /// resources go on. `set_token`, `sign_out`, `shutdown` and `subscribe` are about the login, through
    /// any handle.
    ///
    /// A login keeps at most 32 access tokens beside its own. With more, the one that expires first makes
    /// room.
    ///
    /// ```no_run
    /// # async fn f(session: reqwest_oauth2::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// let http = reqwest::Client::new();
    /// let calendar = session.for_resource("https://calendar.example")?;
    /// let contacts = session.for_resource("https://contacts.example")?;
    /// calendar.execute(&http, http.get("https://calendar.example/today").build()?).await?;
    /// contacts.execute(&http, http.get("https://contacts.example/all").build()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it is no absolute URI or has a fragment, and in a session with a
    /// [`grant`](crate::SessionBuilder::grant): there each resource has a session of its own.
    pub fn for_resource(&self, resource: impl AsRef<str>) -> Result<Self, Error> {
        self.for_resources([resource])
    }

    /// As [`for_resource`](Self::for_resource), for access tokens that several resources take at once. Their
    /// order does not matter.
    ///
    /// # Errors
    ///
    /// As [`for_resource`](Self::for_resource); also where there is none.
    pub fn for_resources<R: AsRef<str>>(
        &self,
        resources: impl IntoIterator<Item = R>,
    ) -> Result<Self, Error> {
        self.with_target(self.1.with_resources(resources)?)
    }

    /// As [`for_resource`](Self::for_resource), for access tokens with another scope: names separated by
    /// spaces, whose order does not matter
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)). It replaces a scope that this
    /// handle has; the resource stays.
    ///
    /// Use it to ask for less than was granted, or for Microsoft, which names the resource in the scope:
    /// `https://graph.microsoft.com/Mail.Read` is for another resource than the one that the login began
    /// with. So this crate does not compare the scope with the granted one; a provider that refuses it
    /// answers `invalid_scope`.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it is empty or has characters that no scope has, and in a session with a
    /// [`grant`](crate::SessionBuilder::grant).
    pub fn with_scope(&self, scope: impl AsRef<str>) -> Result<Self, Error> {
        self.with_target(self.1.with_scope(scope.as_ref())?)
    }

    fn with_target(&self, target: Target) -> Result<Self, Error> {
        self.0.config().check_target(&target)?;
        Ok(Self(self.0.clone(), target))
    }
}

impl Target {
    pub(crate) fn with_resources<R: AsRef<str>>(
        &self,
        resources: impl IntoIterator<Item = R>,
    ) -> Result<Self, Error> {
        TokenTarget::with_resources(self.key(), resources)
            .map(|target| Self::other(target.into_key()))
    }

    pub(crate) fn with_scope(&self, scope: &str) -> Result<Self, Error> {
        TokenTarget::with_scope(self.key(), scope).map(|target| Self::other(target.into_key()))
    }

    /// This target, with what another one names in place of what it has.
    pub(crate) fn with(&self, other: &Self) -> Self {
        let Some(named) = other.key() else { return self.clone() };
        Self::other(TokenTarget::with_those_of(self.key(), named).into_key())
    }

    /// Whether it says which scope the token has.
    pub(crate) fn names_scope(&self) -> bool {
        let params = self.key().map(TokenTarget::params_of).unwrap_or_default();
        params.iter().any(|(name, _)| name == "scope")
    }

    /// What operators are told of it.
    pub(super) fn fields(&self) -> TargetFields {
        let params = self.key().map(TokenTarget::params_of).unwrap_or_default();
        let of = |name: &str| {
            let values = params.iter().filter(|(other, _)| other == name);
            let values: Vec<&str> = values.map(|(_, value)| &**value).collect();
            (!values.is_empty()).then(|| values.join(" "))
        };
        TargetFields { resource: of("resource"), scope: of("scope") }
    }
}

impl Config {
    /// Whether there can be access tokens for this target.
    pub(crate) fn check_target(&self, target: &Target) -> Result<(), Error> {
        if target.is_own() || self.grant.is_none() {
            return Ok(());
        }
        Err(Error::config(
            "a session with a grant has tokens for one resource and scope; make a session for each, with a grant that asks for it (such as ClientCredentials::extra_param(\"resource\", …))",
        ))
    }
}
