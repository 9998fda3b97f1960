use std::collections::HashMap;
use std::time::SystemTime;

/// How a user logged in.
#[derive(Clone)]
pub(crate) struct LogIn {
    /// What the authorization request asked for (OpenID Connect Core §3.1.2.1).
    pub(crate) acr_values: Vec<String>,
    pub(crate) at: SystemTime,
}

impl LogIn {
    /// With a password and nothing else.
    pub(crate) fn plain(at: SystemTime) -> Self {
        Self { acr_values: Vec::new(), at }
    }
}

/// How the users of the families logged in.
#[derive(Default)]
pub(crate) struct LogIns {
    codes: HashMap<String, LogIn>,
    families: HashMap<usize, LogIn>,
}

impl LogIns {
    pub(crate) fn began_code(&mut self, code: &str, log_in: LogIn) {
        self.codes.insert(code.to_owned(), log_in);
    }

    /// The code was exchanged for tokens of this family.
    pub(crate) fn redeemed(&mut self, code: &str, family: usize) {
        self.families.extend(self.codes.remove(code).map(|log_in| (family, log_in)));
    }

    /// The user logged in, and this family was begun at once.
    pub(crate) fn began_family(&mut self, family: usize, log_in: LogIn) {
        self.families.insert(family, log_in);
    }

    pub(crate) fn of_family(&self, family: usize) -> Option<&LogIn> {
        self.families.get(&family)
    }
}
