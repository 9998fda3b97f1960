//! `PresentLogin`: a session, and the client that its token was issued to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::client::OAuthClient;
use crate::error::Error;
use crate::session::{Driver, Session, Snapshot, Target};

/// A token of the current login.
pub(crate) type Usable = (Arc<Driver>, Arc<Snapshot>);

pub(super) struct PresentLogin {
    pub(super) session: Session,
    pub(super) client: OAuthClient,
    /// See [`KeptClient`](super::kept::KeptClient).
    pub(super) issued_for: Vec<(String, String)>,
    /// Where the resource has said that its metadata is.
    pub(super) metadata: Option<String>,
    /// The provider does not know the client any more.
    is_unknown: AtomicBool,
    /// The client is from the store, and may lack what the application adds to it.
    is_restored: bool,
}

impl PresentLogin {
    pub(super) fn new(
        session: Session,
        client: OAuthClient,
        issued_for: Vec<(String, String)>,
        metadata: Option<String>,
    ) -> Self {
        let (is_unknown, is_restored) = (AtomicBool::new(false), false);
        Self { session, client, issued_for, metadata, is_unknown, is_restored }
    }

    /// From the store.
    pub(super) fn restored(self) -> Self {
        Self { is_restored: true, ..self }
    }

    /// A token that may be used; `None` if only a new login brings one.
    pub(super) async fn usable(
        &self,
        target: &Target,
        limit: Option<Duration>,
    ) -> Result<Option<Usable>, Error> {
        let driver = &self.session.0;
        match driver.usable(target, limit).await {
            Ok(snapshot) => Ok(Some((driver.clone(), snapshot))),
            Err(error) if self.is_over(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether only a new login helps after this error. That includes a record that cannot be read, which the
    /// new login replaces; a registered client that the provider no longer knows: its secret has expired,
    /// or the registration is gone; and one from the store that lacks the application's own secret.
    pub(super) fn is_over(&self, error: &Error) -> bool {
        let lacks_secret = self.is_restored && self.client.is_public();
        let may_be_unknown = lacks_secret || self.client.registration().is_some();
        let is_unknown = may_be_unknown && error.names_client();
        if is_unknown {
            self.is_unknown.store(true, Ordering::Relaxed);
        }
        is_unknown || is_over(error)
    }

    /// The id of its client, if the provider does not know that any more.
    pub(super) fn unknown_client(&self) -> Option<String> {
        let is_unknown = self.is_unknown.load(Ordering::Relaxed);
        is_unknown.then(|| self.client.client_id().to_owned())
    }

    /// Whether the same provider knows both as the same application, and their tokens are issued for the same.
    /// Some providers give every registration the same id, with another secret. A client from the store may lack
    /// the application's own secret or key.
    pub(super) fn is_of(&self, client: &OAuthClient, issued_for: &[(String, String)]) -> bool {
        let lacks_key = self.client.is_public() && !client.is_public();
        !lacks_key
            && self.issued_for == issued_for
            && self.client.identity() == client.identity()
            && self.client.client_id() == client.client_id()
            && self.client.has_secret_of(client)
            && self.client.resources() == client.resources()
    }
}

/// Whether only a new login helps after this error, whatever the client.
pub(super) fn is_over(error: &Error) -> bool {
    error.is_reauthorization_required() || error.is_replaceable()
}

/// Whether these are two tokens.
pub(super) fn differ(one: &Snapshot, other: &Snapshot) -> bool {
    let text = |snapshot: &Snapshot| snapshot.token().map(|token| token.access_token().to_owned());
    text(one) != text(other)
}
