//! `Content`: what the body of a response is, without any of its text.

use std::fmt;

use crate::redact::redact;

/// The media type and the length of a body. A body that nobody asked for may hold a token, so this is all
/// that is ever shown of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// Such as `text/html`; `None` where the header is missing, is no media type, or repeats a secret.
    pub(crate) media_type: Option<String>,
    /// In bytes.
    pub(crate) length: usize,
    /// It begins as a page does, whatever its type says.
    pub(crate) is_page: bool,
}

impl Content {
    /// The longest media type that is shown, in bytes.
    const LONGEST: usize = 64;

    /// `secrets`: what the request held.
    pub(crate) fn new(content_type: Option<&str>, body: &[u8], secrets: &[&str]) -> Self {
        let media_type = content_type.and_then(media_type);
        let begins = body.iter().find(|byte| !byte.is_ascii_whitespace() && byte.is_ascii());
        let is_page = begins == Some(&b'<') || media_type.as_deref() == Some("text/html");
        let media_type = media_type.filter(|text| redact(text, Self::LONGEST, secrets) == *text);
        Self { media_type, length: body.len(), is_page }
    }
}

/// The part before the parameters, in lower case, where it has the form of a media type
/// ([RFC 9110 §8.3.1](https://www.rfc-editor.org/rfc/rfc9110#section-8.3.1)).
fn media_type(header: &str) -> Option<String> {
    let text = header.split(';').next()?.trim().to_ascii_lowercase();
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    let (kind, subtype) = text.split_once('/')?;
    (text.len() <= Content::LONGEST && is_name(kind) && is_name(subtype)).then_some(text)
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.media_type, self.length) {
            (_, 0) => f.write_str("an empty body"),
            (Some(media_type), length) => write!(f, "{media_type}, {length} bytes"),
            (None, length) => write!(f, "{length} bytes of unknown type"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_length_and_nothing_else() {
        for (header, body, shown, is_page) in [
            (Some("text/html; charset=utf-8"), "nope", "text/html, 4 bytes", true),
            (Some("TEXT/Plain"), " <html>", "text/plain, 7 bytes", true),
            (Some("application/problem+json"), "{}", "application/problem+json, 2 bytes", false),
            (Some("s3cret"), "x", "1 bytes of unknown type", false),
            (Some("text/s3cReT+json"), "x", "1 bytes of unknown type", false),
            (Some("a/b c"), "x", "1 bytes of unknown type", false),
            (None, "xy", "2 bytes of unknown type", false),
            (Some("text/plain"), "", "an empty body", false),
        ] {
            let content = Content::new(header, body.as_bytes(), &["s3cREt"]);
            assert_eq!(content.to_string(), shown);
            assert_eq!(content.is_page, is_page, "{header:?} {body}");
        }
    }
}
