//! What an error says at the end of a command.

use reqwest_oauth2::BoxError;

/// The error with everything it came from.
pub(crate) fn report(error: &BoxError) {
    eprintln!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
}
