/// The user's name.
pub(super) const NAME: &str = "johndoe";

const PASSWORD: &str = "A3ddj3w";

/// Whether these are the credentials of the user.
pub(super) fn is_user(name: &str, password: &str) -> bool {
    (name, password) == (NAME, PASSWORD)
}
