/// Whose access a token gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    User,
    /// The client itself.
    Client,
}
