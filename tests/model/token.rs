//! The smallest token and the smallest error that the machine can work with.

use std::time::SystemTime;

use crate::machine::{Credential, Stage};
use crate::world::age_of;

/// A token says which it is: so the model sees at once what is presented, served or stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tok {
    pub login: u8,
    /// That of the refresh token.
    pub generation: u8,
    /// The generation that its access token came with.
    pub access: u8,
    /// Whether it has a refresh token.
    pub refresh: bool,
    /// When it was issued; `u8::MAX`: it never expires.
    pub born: u8,
}

/// Every error is the same to the machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Trouble;

impl Credential for Tok {
    fn stage(&self, wall: SystemTime) -> Stage {
        match age_of(wall).saturating_sub(self.born) {
            0 => Stage::Fresh,
            1 => Stage::Due,
            _ => Stage::Expired,
        }
    }

    fn can_refresh(&self) -> bool {
        self.refresh
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.login, self.access) == (other.login, other.access)
    }

    fn is_identical(&self, other: &Self) -> bool {
        self.is_same(other) && self.generation == other.generation
    }
}
