//! `Renames`: what a provider calls the protocol's parameters.

/// Parameters that a request sends under another name, such as TikTok's `client_key` for `client_id`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Renames(Vec<(String, String)>);

impl Renames {
    pub(super) fn add(&mut self, name: impl Into<String>, sent_as: impl Into<String>) {
        self.0.push((name.into(), sent_as.into()));
    }

    /// The name that a parameter is sent under. Of several that it was given, the last one counts.
    pub(crate) fn sent_as<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.iter().rfind(|(from, _)| from == name).map_or(name, |(_, to)| to)
    }
}
