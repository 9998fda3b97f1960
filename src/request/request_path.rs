//! The request path of an [`Api`]: inject, send, and on a 401 renew and send again.
//!
//! With many users the request's user decides whose session it is: one look into the cache more.
//!
//! Hot path, per request: compare the URL with the origins, look for an `Authorization` header,
//! load the snapshot, read the clock, clone the request for a replay (a buffered body is a
//! reference count), clone the header value (another), insert it. No lock, no allocation of our
//! own, no formatting. Everything rarer is in futures that are boxed when they are needed.

use std::borrow::{Borrow, BorrowMut, Cow};
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, StatusCode};

use super::api::{Api, Source};
use super::deadline::Deadline;
use super::exchange::{Exchange, send_bare};
#[cfg(feature = "keys")]
use super::proofs::{Proved, prove, prove_here};
use super::request_error::RequestError;
use super::request_options::{Handling, TokenUse, target, user};
use super::sent::Sent;
use super::stack::{Stack, StackRequest, StackResponse, path_of_url};
use super::verdict::may_be_of_gateway;
use crate::error::{Error, Kind};
use crate::resource::ResourceSession;
use crate::session::{Driver, Provenance, Snapshot, Target, offer_update};

/// How often one request may have somebody log in.
const MOST_LOGINS: usize = 3;

impl Api {
    /// One request, under any stack.
    #[expect(clippy::manual_async_fn, reason = "its future would hold the request twice")]
    #[inline]
    pub(crate) fn run<S, E>(
        api: impl Borrow<Self>,
        mut request: S::Request,
        mut extensions: impl BorrowMut<Extensions>,
        mut send: S,
        into_error: impl Fn(RequestError<S::Error>) -> E,
    ) -> impl Future<Output = Result<S::Response, E>>
    where
        S: Stack,
    {
        async move {
            let (api, extensions) = (api.borrow(), extensions.borrow_mut());
            let handling = Handling::of(extensions);
            let gets_token = handling.token != TokenUse::Never
                && match api.allows(&send, &request) {
                    Ok(allows) => allows,
                    Err(error) => return Err(into_error(RequestError::Token(error))),
                };
            if !gets_token {
                let sent = send.send(request, extensions).await;
                return sent.map_err(|error| into_error(RequestError::Send(error)));
            }
            let mut deadline = Deadline::of(&request, &handling);
            if handling.token == TokenUse::IfAny
                && matches!(api.source, Source::Many(_))
                && user(extensions).is_none()
            {
                let bare = boxed(|| send_bare(request, extensions, &mut send));
                return bare.await.map_err(into_error);
            }
            let ready = match api.ready(extensions, &handling) {
                Some(ready) => ready,
                None => {
                    let wait = |limit| api.wait(extensions, &handling, limit);
                    let ready = boxed(|| deadline.wait(wait)).await;
                    // None is left if a renewal was waited for in vain and the token is still good: then the
                    // request has its time anew, for all its sendings.
                    match deadline.left() {
                        Some(left) if left.is_zero() => deadline.begin_anew(&request),
                        Some(left) => request.set_timeout(Some(left)),
                        None => {}
                    }
                    match ready {
                        Ok(Some(ready)) => ready,
                        Ok(None) => {
                            let waits = (handling, deadline);
                            let challenged =
                                boxed(|| api.until_challenged(request, waits, extensions, send));
                            return challenged.await.map_err(into_error);
                        }
                        Err(error) if handling.goes_bare_after(&error) => {
                            let bare = boxed(|| send_bare(request, extensions, &mut send));
                            return bare.await.map_err(into_error);
                        }
                        Err(error) => return Err(into_error(RequestError::Token(error))),
                    }
                }
            };
            let sent = Sent::of(&mut request, &send, extensions, handling.is_sent_once);
            api.placement.put(&mut request, &ready.snapshot);
            #[cfg(not(feature = "keys"))]
            let proved = ();
            #[cfg(feature = "keys")]
            let proved = match ready.snapshot.bound() {
                None => None,
                Some(bound) => {
                    let proved = match prove_here(bound, &send, &mut request) {
                        Some(proved) => proved,
                        None => {
                            let url = send.target(&request).map(Cow::into_owned);
                            boxed(|| prove(bound, url, &mut request, deadline)).await
                        }
                    };
                    match proved {
                        Ok(proved) => Some(proved),
                        Err(error) => return Err(into_error(RequestError::Token(error))),
                    }
                }
            };
            // The future is smaller if no response is alive where it waits.
            let after_asking = {
                send.prepare(&mut request, extensions);
                let mut response = match send.send_prepared(request, extensions).await {
                    Ok(response) => response,
                    Err(error) => {
                        let error = api.placement.hide_in_error(error);
                        return Err(into_error(RequestError::Send(error)));
                    }
                };
                #[cfg(feature = "keys")]
                if let (Some(bound), Some(proved)) = (ready.snapshot.bound(), &proved) {
                    proved.hear(bound, &response, || sent.url());
                }
                if api.placement.is_in_url() {
                    response = api.placement.hide(response);
                }
                if !api.verdict.may_ask(&response) {
                    if !may_be_of_gateway(&response) {
                        mark_accepted(&response, &ready.snapshot, || sent.path(&send));
                    }
                    api.show_update(&mut response, &ready.snapshot, &ready.session, extensions);
                    return Ok(response);
                }
                let waits = (handling, deadline);
                let sent = (sent, proved);
                boxed(|| api.after_asking(response, ready, sent, waits, extensions, send))
            };
            after_asking.await.map_err(into_error)
        }
    }

    /// Offers the token's update with the response. That of another target is its login's.
    #[inline(always)]
    fn show_update(
        &self,
        response: &mut impl StackResponse,
        snapshot: &Arc<Snapshot>,
        session: &Option<Arc<Driver>>,
        extensions: &mut Extensions,
    ) {
        if snapshot.has_update() {
            offer_update(response.extensions_mut(), snapshot, extensions);
        } else if !snapshot.target().is_own() {
            self.show_update_of_login(response.extensions_mut(), session, extensions);
        }
    }

    #[cold]
    fn show_update_of_login(
        &self,
        of_response: &mut Extensions,
        session: &Option<Arc<Driver>>,
        extensions: &mut Extensions,
    ) {
        let Some(driver) = self.driver(session) else { return };
        let login = driver.published.load_full();
        if login.has_update() {
            offer_update(of_response, &login, extensions);
        }
    }

    /// The session that a request's token is of: the one that was selected for it, or the only one.
    fn driver<'a>(&'a self, selected: &'a Option<Arc<Driver>>) -> Option<&'a Arc<Driver>> {
        match (selected, &self.source) {
            (Some(driver), _) => Some(driver),
            (None, Source::One(session)) => Some(&session.0),
            (None, Source::Many(_) | Source::Resource(_)) => None,
        }
    }

    /// Whether the request gets a token.
    #[inline]
    fn allows<S: Stack>(&self, stack: &S, request: &S::Request) -> Result<bool, Error> {
        Ok(!self.placement.is_taken(request) && stack.is_for(request, self.origins.as_ref())?)
    }

    /// The hot path: a fresh token, at once.
    #[inline(always)]
    fn ready(&self, extensions: &Extensions, handling: &Handling) -> Option<SelectedToken> {
        if self.is_foreground {
            return None;
        }
        if handling.has_target {
            return self.ready_for_chosen(extensions, handling);
        }
        self.ready_for(self.own_target(), extensions)
    }

    // Not in line: requests rarely choose.
    #[inline(never)]
    fn ready_for_chosen(
        &self,
        extensions: &Extensions,
        handling: &Handling,
    ) -> Option<SelectedToken> {
        self.ready_for(&self.target(extensions, handling), extensions)
    }

    #[inline(always)]
    fn ready_for(&self, target: &Target, extensions: &Extensions) -> Option<SelectedToken> {
        match &self.source {
            Source::One(session) => {
                let snapshot = session.0.fresh_for(target)?;
                Some(SelectedToken { snapshot, session: None })
            }
            Source::Many(sessions) => {
                let session = sessions.cached(user(extensions)?)?;
                let snapshot = session.fresh_for(target)?;
                Some(SelectedToken { snapshot, session: Some(session) })
            }
            Source::Resource(resource) => {
                let session = resource.present()?;
                let snapshot = session.fresh_for(target)?;
                Some(SelectedToken { snapshot, session: Some(session) })
            }
        }
    }

    /// What tokens are for, unless a request chooses.
    #[inline]
    fn own_target(&self) -> &Target {
        match &self.source {
            Source::One(session) => &session.1,
            Source::Many(sessions) => sessions.target(),
            Source::Resource(resource) => resource.target(),
        }
    }

    /// What the token is to be for.
    fn target<'a>(&'a self, extensions: &'a Extensions, handling: &Handling) -> Cow<'a, Target> {
        let own = self.own_target();
        if !handling.has_target {
            return Cow::Borrowed(own);
        }
        match target(extensions) {
            Some(target) if own.is_own() => Cow::Borrowed(target),
            Some(target) => Cow::Owned(own.with(target)),
            None => Cow::Borrowed(own),
        }
    }

    /// The token for a request that has none ready: of a user who is not in memory, or renewed first. `None`:
    /// nobody is logged in at a resource, so the request goes there without one.
    async fn wait(
        &self,
        extensions: &Extensions,
        handling: &Handling,
        limit: Option<Duration>,
    ) -> Result<Option<SelectedToken>, Error> {
        let target = &*self.target(extensions, handling);
        let sessions = match &self.source {
            Source::One(session) => {
                let snapshot = session.0.usable(target, limit).await?;
                return Ok(Some(SelectedToken { snapshot, session: None }));
            }
            Source::Many(sessions) => sessions,
            Source::Resource(resource) => {
                let found = resource.usable(target, limit).await?;
                return Ok(found.map(|(session, snapshot)| SelectedToken {
                    snapshot,
                    session: Some(session),
                }));
            }
        };
        let user = user(extensions).ok_or_else(|| {
            Error::config(
                "the request names no user; add one with .with_extension(UserId::from(id)), or with RequestOptions::user",
            )
        })?;
        let (session, snapshot) = sessions.usable(user, target, limit).await?;
        Ok(Some(SelectedToken { snapshot, session: Some(session) }))
    }

    /// Sends a request without a token, to see what the resource asks for.
    async fn until_challenged<S: Stack>(
        &self,
        mut request: S::Request,
        waits: (Handling, Deadline),
        extensions: &mut Extensions,
        mut send: S,
    ) -> Result<S::Response, RequestError<S::Error>> {
        let sent = Sent::of(&mut request, &send, extensions, waits.0.is_sent_once);
        let response = send_bare(request, extensions, &mut send).await?;
        if !self.verdict.may_ask(&response) {
            return Ok(response);
        }
        let none = SelectedToken { snapshot: Arc::new(Snapshot::empty()), session: None };
        let sent = (sent, LastProof::default());
        self.after_asking(response, none, sent, waits, extensions, send).await
    }

    /// After a response that may ask for something: another token, or more than this one gives. Sends the
    /// request again where that may help.
    async fn after_asking<S: Stack>(
        &self,
        response: S::Response,
        SelectedToken { snapshot, session }: SelectedToken,
        (sent, _proved): (Sent<S>, LastProof),
        (handling, deadline): (Handling, Deadline),
        extensions: &mut Extensions,
        send: S,
    ) -> Result<S::Response, RequestError<S::Error>> {
        let (address, replay) = sent.into_parts();
        let (path, asked) = (send.path(&address), S::url(address));
        let (origins, verdict, redirects) = (self.origins.as_ref(), &self.verdict, 0);
        let mut exchange = Exchange {
            origins,
            verdict,
            placement: &self.placement,
            asked,
            start: None,
            path,
            replay,
            snapshot,
            deadline,
            extensions,
            send,
            redirects,
            #[cfg(feature = "keys")]
            proved: _proved,
            #[cfg(feature = "keys")]
            has_second_proof: false,
        };
        let response = exchange.follow(response).await?;
        let (response, is_done) = match self.driver(&session) {
            Some(driver) => self.renewed(driver, handling, &mut exchange, response).await?,
            None => (response, false),
        };
        if is_done {
            return Ok(response);
        }
        let mut response = match &self.source {
            Source::Resource(resource) => {
                self.authorized(resource, handling, &mut exchange, response).await?
            }
            Source::One(_) | Source::Many(_) => match exchange.step_up(&response) {
                Some(asked) => return Err(Error::new(Kind::StepUp(asked)).into()),
                None => response,
            },
        };
        if self.verdict.is_acceptance(&response) {
            mark_accepted(&response, &exchange.snapshot, || exchange.path);
        }
        self.show_update(&mut response, &exchange.snapshot, &session, exchange.extensions);
        Ok(response)
    }

    /// Renews while the response says that a new token may help, and sends the request again. Whether
    /// nothing more is to be done for it.
    async fn renewed<S: Stack>(
        &self,
        driver: &Arc<Driver>,
        handling: Handling,
        exchange: &mut Exchange<'_, S>,
        mut response: S::Response,
    ) -> Result<(S::Response, bool), RequestError<S::Error>> {
        // What the store brings may have been rejected before; what a renewal brings is tried once.
        let mut is_last = false;
        while exchange.is_token_rejected(&response) {
            if is_last {
                break;
            }
            let path = exchange.path(&response);
            let (sent, can_replay) = (&exchange.snapshot, exchange.replay.is_some());
            let wait = |limit| driver.rejected(sent, path, can_replay, limit);
            let another = match exchange.deadline.wait(wait).await {
                Err(error) if handling.goes_bare_after(&error) => {
                    return Ok((exchange.replay_bare(response).await?, true));
                }
                Err(error) if self.is_login_over(driver, &error) => break,
                another => another?,
            };
            let Some(another) = another else { break };
            is_last = another.provenance != Provenance::Adopted;
            exchange.snapshot = another;
            response = exchange.replay(response).await?;
            let is_rejected = exchange.is_token_rejected(&response);
            if is_rejected || self.verdict.is_acceptance(&response) {
                driver.replayed(&exchange.snapshot, exchange.path(&response), is_rejected);
            }
        }
        Ok((response, false))
    }

    /// Whether another login may help after this error of one.
    fn is_login_over(&self, login: &Arc<Driver>, error: &Error) -> bool {
        matches!(&self.source, Source::Resource(resource) if resource.is_over(login, error))
    }

    /// Has somebody log in for what the resource asks, and sends the request again; a few times.
    async fn authorized<S: Stack>(
        &self,
        resource: &ResourceSession,
        handling: Handling,
        exchange: &mut Exchange<'_, S>,
        mut response: S::Response,
    ) -> Result<S::Response, RequestError<S::Error>> {
        let target = self.target(exchange.extensions, &handling).into_owned();
        let mut asked_before = None;
        for _ in 0..MOST_LOGINS {
            let may_log_in = handling.token != TokenUse::IfAny && exchange.replay.is_some();
            if !may_log_in || !exchange.has_seen_token(&response) {
                break;
            }
            let sent = exchange.snapshot.clone();
            let mut asked =
                resource.asked_by(response.status(), response.headers(), &target, &sent);
            // What the application's rule names is as good as a 401.
            if asked.is_none() && self.verdict.is_refusal(&response) {
                let status = StatusCode::UNAUTHORIZED;
                asked = resource.asked_by(status, response.headers(), &target, &sent);
            }
            let Some(asked) = asked else { break };
            // A login for the same has not helped.
            if asked_before.as_ref() == Some(&asked) {
                resource.was_in_vain(asked);
                break;
            }
            let wait = |limit| resource.authorize(&asked, &target, &sent, limit);
            let Some(((session, snapshot), is_for_this)) = exchange.deadline.wait(wait).await?
            else {
                break;
            };
            if is_for_this {
                asked_before = Some(asked);
            }
            exchange.snapshot = snapshot;
            response = exchange.replay(response).await?;
            if exchange.is_token_rejected(&response)
                && exchange.snapshot.provenance != Provenance::Given
            {
                (response, _) = self.renewed(&session, handling, exchange, response).await?;
            }
        }
        Ok(response)
    }
}

/// A future that few requests need, made where it takes no room on the stack of all others.
#[cold]
#[inline(never)]
fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::pin(make())
}

/// What the last proof was made of, where there was one.
#[cfg(feature = "keys")]
type LastProof = Option<Proved>;
#[cfg(not(feature = "keys"))]
type LastProof = ();

/// A token to send.
struct SelectedToken {
    snapshot: Arc<Snapshot>,
    /// Whose it is; `None`: the one session's.
    session: Option<Arc<Driver>>,
}

/// Leaves the mark of an answer: the token was accepted. `asked`: the path that was asked, which answered
/// unless redirects were followed.
#[inline(always)]
fn mark_accepted(
    response: &impl StackResponse,
    snapshot: &Snapshot,
    asked: impl FnOnce() -> NonZeroU64,
) {
    snapshot.mark_accepted(|| response.url().map_or_else(asked, path_of_url));
}
