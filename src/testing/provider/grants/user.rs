/// The user's name.
pub(crate) const NAME: &str = "johndoe";

const PASSWORD: &str = "A3ddj3w";

/// Whether these are the credentials of the user.
pub(crate) fn is_user(name: &str, password: &str) -> bool {
    (name, password) == (NAME, PASSWORD)
}
