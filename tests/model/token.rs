//! The smallest token and the smallest error that the machine can work with.

use std::time::SystemTime;

use crate::machine::{Credential, Stage, Target};
use crate::world::age_of;

/// A token says which it is: so the model sees at once what is presented, served or stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tok {
    pub login: u8,
    /// That of the refresh token.
    pub generation: u8,
    /// The generation that its access token came with.
    pub access: u8,
    /// The generation that the access token for the other target came with; `u8::MAX`: there is none.
    pub other: u8,
    /// Whether it has a refresh token.
    pub refresh: bool,
    /// When it was issued; `u8::MAX`: it never expires.
    pub born: u8,
    /// The same of the one for the other target.
    pub other_born: u8,
}

/// Every error is the same to the machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Trouble;

impl Tok {
    /// The generation that the access token for this target came with.
    pub fn access_for(&self, target: &Target) -> Option<u8> {
        let generation = if target.is_own() { self.access } else { self.other };
        (generation != u8::MAX).then_some(generation)
    }
}

impl Credential for Tok {
    fn stage(&self, target: &Target, wall: SystemTime) -> Stage {
        if self.access_for(target).is_none() {
            return Stage::Expired;
        }
        let born = if target.is_own() { self.born } else { self.other_born };
        match age_of(wall).saturating_sub(born) {
            0 => Stage::Fresh,
            1 => Stage::Due,
            _ => Stage::Expired,
        }
    }

    fn can_refresh(&self) -> bool {
        self.refresh
    }

    fn is_same(&self, target: &Target, other: &Self) -> bool {
        let access = self.access_for(target);
        self.login == other.login && access.is_some() && access == other.access_for(target)
    }

    fn is_identical(&self, other: &Self) -> bool {
        self.is_same(&Target::OWN, other) && self.generation == other.generation
    }
}
