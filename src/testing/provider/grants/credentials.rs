use super::{AuthorizationCodes, DeviceCodes, PushedRequests, TokenFamilies};

/// All that has been issued so far.
#[derive(Default)]
pub(crate) struct Credentials {
    pub(crate) families: TokenFamilies,
    pub(crate) codes: AuthorizationCodes,
    pub(crate) devices: DeviceCodes,
    pub(crate) pushed: PushedRequests,
}
