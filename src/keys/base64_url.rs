//! base64url without padding ([RFC 7515 §2](https://www.rfc-editor.org/rfc/rfc7515#section-2)), with the
//! instructions that the processor has for many bytes at once: each request with a bound token needs it.

use base64::Engine;

#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
mod engine {
    use std::sync::LazyLock;

    use base64::engine::Simd;
    use base64::engine::general_purpose::NO_PAD;

    pub(super) static ENGINE: LazyLock<Simd> = LazyLock::new(|| Simd::url_safe(NO_PAD));
}

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
mod engine {
    pub(super) use base64::prelude::BASE64_URL_SAFE_NO_PAD as ENGINE;
}

/// How long so many bytes are when they are encoded.
pub(super) const fn length(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// Appends the encoded bytes.
pub(crate) fn encode(bytes: &[u8], text: &mut Vec<u8>) {
    let begin = text.len();
    text.resize(begin + length(bytes.len()), 0);
    // There is room for all of it.
    let written = engine::ENGINE.encode_slice(bytes, &mut text[begin..]);
    text.truncate(begin + written.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    #[test]
    fn bytes_are_encoded_as_everywhere_else() {
        let bytes: Vec<u8> = (0..=255).cycle().take(700).collect();
        for length in 0..bytes.len() {
            let mut text = b"before.".to_vec();
            encode(&bytes[..length], &mut text);
            let expected = format!("before.{}", BASE64_URL_SAFE_NO_PAD.encode(&bytes[..length]));
            assert_eq!(String::from_utf8(text).unwrap(), expected);
            assert_eq!(self::length(length), expected.len() - 7);
        }
    }
}
