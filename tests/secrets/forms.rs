//! The forms in which a secret may be shown: as it is, escaped, percent-encoded, in base64, as bytes.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A part of a secret that is this long is one.
const WINDOW: usize = 12;

pub fn of(secret: &str) -> Vec<String> {
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let escaped = secret.escape_debug().to_string();
    let bytes = secret.as_bytes();
    let list = format!("{:?}", &bytes[..bytes.len().min(WINDOW)]);
    let mut forms = vec![
        secret.to_owned(),
        escaped.escape_debug().to_string(),
        escaped,
        percent.to_lowercase(),
        list.trim_matches(['[', ']']).to_owned(),
    ];
    for text in [secret, &form, &percent] {
        let credentials = format!("foo:{text}");
        for text in [text, &credentials] {
            forms.extend([STANDARD_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(text)]);
        }
    }
    forms.extend([form, percent]);
    forms
}

pub fn windows(form: &str) -> impl Iterator<Item = &[u8]> {
    // A list of bytes has few different windows: as a whole.
    let length = if form.contains(", ") { form.len() } else { form.len().min(WINDOW) };
    form.as_bytes().windows(length)
}
