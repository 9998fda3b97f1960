//! What must be the case when nothing more happens.

use crate::machine::{Home, State as Login};
use crate::world::*;

impl State {
    /// The property that does not hold, now that nothing more happens; and what is wrong.
    pub fn at_rest(&self, world: &World) -> Result<(), (Property, String)> {
        for (i, session) in self.sessions[..world.sessions].iter().enumerate() {
            let me = ["A", "B", "C"][i];
            if session.waits() {
                return Err((Property::LeftWaiting, format!("somebody waits at {me} for ever")));
            }
            let wrong = |what: &str| Err((Property::NotConverged, format!("{me} {what}")));
            if session.real.is_busy() {
                return wrong("is busy for ever");
            }
            if session.real.wake_at(&world.settings()).is_some() {
                return wrong("goes on to wake");
            }
            if !session.is_at_rest() {
                return wrong("has something under way for ever");
            }
            if session.real.is_quiet(&self.now(std::time::Duration::ZERO)) {
                // It looks again when it renews next; another session may have renewed once more meanwhile.
                continue;
            }
            self.check_tokens(world, session).map_err(|(p, what)| (p, format!("{me} {what}")))?;
        }
        if world.home == Home::Store {
            self.check_store(world)?;
        }
        self.check_revoked(world)
    }

    fn check_tokens(&self, world: &World, session: &Session) -> Result<(), (Property, String)> {
        let newest = match world.home {
            Home::Store => self.store.as_ref().map(|(record, _)| record),
            _ => session.real.known(),
        };
        let served = session.real.in_use();
        let right = match newest.map(|newest| (newest, &newest.state)) {
            None => served.is_none(),
            Some((newest, Login::Live(Some(_)))) => {
                served == Some((newest.login, newest.generation))
            }
            Some((_, Login::SignedOut)) => served.is_none(),
            Some((newest, _)) => served.is_none_or(|(login, _)| login == newest.login),
        };
        if !right {
            return Err((Property::NotConverged, format!("serves {served:?}")));
        }
        let has_ended = newest.is_some_and(|newest| matches!(newest.state, Login::Ended(_)));
        if world.home == Home::Saver && !has_ended {
            let newest = newest.and_then(|newest| newest.token()).copied();
            let lasting = session.saved.map(|saved| (saved.login, saved.generation));
            let given =
                newest.is_some_and(|t| (t.login, t.generation) == (1, 0)) && lasting.is_none();
            if lasting != newest.map(|token| (token.login, token.generation)) && !given {
                return Err((Property::SavedNotNewest, format!("has saved {lasting:?}")));
            }
        }
        Ok(())
    }

    fn check_store(&self, world: &World) -> Result<(), (Property, String)> {
        let wrong = |what: &str| Err((Property::NotConverged, what.to_owned()));
        if self.late_swap.is_some() || self.late_request.is_some() {
            return wrong("something is under way for ever");
        }
        let Some((record, _)) = &self.store else { return Ok(()) };
        if record.mark.is_some() {
            return wrong("the mark stays in the store");
        }
        let login = record.login as usize;
        match &record.state {
            Login::Live(Some(token)) if token.refresh => {
                let lost = world.without.contains(&Property::LoginLost);
                if u64::from(self.provider.current[login]) != record.generation && !lost {
                    return wrong("the provider has gone further than the store");
                }
            }
            Login::Ended(_) if self.provider.ended >> login & 1 == 0 => {
                return wrong("the store takes the login for ended, the provider does not");
            }
            _ => {}
        }
        Ok(())
    }

    /// Who is signed out is signed out at the provider. After another sign-in nobody knows any more who
    /// still had a request under way: then the provider may know of a token that nobody has.
    fn check_revoked(&self, world: &World) -> Result<(), (Property, String)> {
        if !world.can_revoke || world.without.contains(&Property::NotRevoked) {
            return Ok(());
        }
        let is_out = |record: &Rec| matches!(record.state, Login::SignedOut);
        if world.home == Home::Store && !self.store.as_ref().is_some_and(|(r, _)| is_out(r)) {
            return Ok(());
        }
        for login in 1..usize::from(OUTS) {
            if self.seen.gone >> login & 1 == 1 && self.provider.ended >> login & 1 == 0 {
                let what = format!("login {login} was signed out, and is still good");
                return Err((Property::NotRevoked, what));
            }
        }
        Ok(())
    }
}
