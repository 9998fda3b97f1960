//! `Signature`, and the forms of an ECDSA signature.

use std::ops::Deref;

/// The bytes of a signature. Those of most algorithms need no allocation.
pub(super) enum Signature {
    Short([u8; 64]),
    Long(Vec<u8>),
}

impl Deref for Signature {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(bytes) => bytes,
            Self::Long(bytes) => bytes,
        }
    }
}

/// The signature as R and S, 32 bytes each
/// ([RFC 7518 §3.4](https://www.rfc-editor.org/rfc/rfc7518#section-3.4)), from the DER form:
/// `30 len 02 len R 02 len S`.
pub(super) fn es256_from_der(der: &[u8]) -> Option<Vec<u8>> {
    let rest = der.strip_prefix(&[0x30])?;
    let (&length, rest) = rest.split_first()?;
    if usize::from(length) != rest.len() {
        return None;
    }
    let (r, rest) = number(rest)?;
    let (s, rest) = number(rest)?;
    rest.is_empty().then(|| [r, s].concat())
}

/// A number of at most 32 bytes, and what is after it.
fn number(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (&length, rest) = der.strip_prefix(&[0x02])?.split_first()?;
    let (bytes, rest) = rest.split_at_checked(usize::from(length))?;
    // A zero before it says that the number is not negative.
    let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
    let mut number = [0; 32];
    let start = number.len().checked_sub(bytes.len())?;
    number[start..].copy_from_slice(bytes);
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_der_form_becomes_r_and_s() {
        let (long, short) = ([0x81; 32], [0x7f; 31]);
        let der = [&[0x30, 68, 2, 33, 0][..], &long, &[2, 31], &short].concat();
        assert_eq!(es256_from_der(&der), Some([&long[..], &[0], &short].concat()));
        for bad in [
            &der[..70 - 1],
            &[&der[..], &[0]].concat(),
            &[],
            &[0x30],
            &[0x30, 0],
            &[0x30, 2, 2, 9],
            &[&[0x30, 40, 2, 35][..], &[1; 35], &[2, 1, 1]].concat(),
        ] {
            assert_eq!(es256_from_der(bad), None, "{bad:?}");
        }
    }
}
