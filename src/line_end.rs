//! Text that was read from a file or a terminal.

/// The text without the line end that editors, `echo` and mounted secrets leave behind it. Client ids, secrets and
/// tokens have none ([RFC 6749 appendix A](https://www.rfc-editor.org/rfc/rfc6749#appendix-A)).
pub(crate) fn without_line_end(mut text: String) -> String {
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_line_ends_behind_the_text_are_removed() {
        for (text, expected) in [
            ("potato\n", "potato"),
            ("potato\r\n", "potato"),
            ("potato\n\n", "potato"),
            ("potato", "potato"),
            ("\npot ato ", "\npot ato "),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(without_line_end(text.to_owned()), expected, "{text:?}");
        }
    }
}
