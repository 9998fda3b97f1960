//! PEM: a block of base64 between two lines ([RFC 7468](https://www.rfc-editor.org/rfc/rfc7468)).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::zeroize::Zeroizing;

use crate::error::Error;
use crate::redact::escape_and_truncate;

/// The longest text that is read, in bytes. A key of 8192 bits has less than 7,000.
const LONGEST: usize = 64 * 1024;

/// A key in one of the forms that programs write.
pub(super) enum Der {
    /// `PRIVATE KEY` ([RFC 5208](https://www.rfc-editor.org/rfc/rfc5208)).
    Pkcs8(Zeroizing<Vec<u8>>),
    /// `RSA PRIVATE KEY` ([RFC 8017](https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.2)).
    Rsa(Zeroizing<Vec<u8>>),
    /// `EC PRIVATE KEY` ([RFC 5915](https://www.rfc-editor.org/rfc/rfc5915)).
    Ec(Zeroizing<Vec<u8>>),
}

/// The one private key in the text.
pub(super) fn read(pem: &[u8]) -> Result<Der, Error> {
    let Some(text) = std::str::from_utf8(pem).ok().filter(|text| text.len() <= LONGEST) else {
        return Err(Error::config("the key is not PEM: it is not text, or too long"));
    };
    let mut blocks = blocks(text)?;
    // `openssl ecparam -genkey` writes the name of the curve before the key.
    blocks.retain(|(label, _)| *label != "EC PARAMETERS");
    let (label, body) = match &*blocks {
        [block] => *block,
        [] => return Err(Error::config("the key is not PEM: it has no -----BEGIN line")),
        _ => {
            return Err(Error::config(format!(
                "the PEM has {} blocks; pass the one with the private key",
                blocks.len()
            )));
        }
    };
    let is_encrypted = label == "ENCRYPTED PRIVATE KEY" || body.contains("ENCRYPTED");
    if is_encrypted {
        return Err(Error::config(
            "the key in the PEM is encrypted; decrypt it first, for example with `openssl pkey`",
        ));
    }
    let form = match label {
        "PRIVATE KEY" => Der::Pkcs8,
        "RSA PRIVATE KEY" => Der::Rsa,
        "EC PRIVATE KEY" => Der::Ec,
        other => {
            return Err(Error::config(format!(
                "the PEM has no usable private key, only: {}",
                escape_and_truncate(other, 40)
            )));
        }
    };
    let base64: Zeroizing<Vec<u8>> =
        Zeroizing::new(body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
    let der = BASE64_STANDARD.decode(&*base64);
    let der =
        der.map_err(|_| Error::config("the text between the lines of the PEM is not base64"))?;
    Ok(form(Zeroizing::new(der)))
}

/// Label and body of each block.
fn blocks(text: &str) -> Result<Vec<(&str, &str)>, Error> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let block = after.split_once("-----").and_then(|(label, after)| {
            let (body, after) = after.split_once("-----END ")?;
            Some((label, body, after.strip_prefix(label)?.strip_prefix("-----")?))
        });
        let Some((label, body, after)) = block else {
            return Err(Error::config(
                "the PEM is cut off: a block has no -----END line of its own",
            ));
        };
        blocks.push((label, body));
        rest = after;
    }
    Ok(blocks)
}

/// The key as a block `PRIVATE KEY`.
pub(super) fn write(pkcs8: &[u8]) -> String {
    let base64 = Zeroizing::new(BASE64_STANDARD.encode(pkcs8));
    // With room for all of it: a text that grows leaves copies behind that are not wiped.
    let mut pem = String::with_capacity(base64.len() * 66 / 64 + 100);
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    for line in base64.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}
