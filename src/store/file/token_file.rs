//! The token file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use secrecy::zeroize::Zeroizing;
use serde::de::IgnoredAny;

use super::io_error::failure;
use super::paths::Place;
use super::platform;
use super::temp_file::Temporary;
use crate::error::BoxError;
use crate::store::{Record, StoreError};

/// No token is as large; what is, is something else, and not worth the memory.
const LIMIT: usize = 1024 * 1024;

/// What is in the file; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Record>, StoreError> {
    let file = match platform::open(path, OpenOptions::new().read(true)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failure)?,
    };
    let metadata = file.metadata().map_err(failure)?;
    if !metadata.is_file() {
        return Err(StoreError::corrupt("there is something else in place of the token file"));
    }
    // As large as it will get: what a growing buffer leaves behind is not wiped.
    let length = usize::try_from(metadata.len()).unwrap_or(LIMIT).min(LIMIT);
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
    file.take(LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(failure)?;
    text(&bytes).map(|json| Some(Record::new(json))).map_err(StoreError::corrupt)
}

/// Whether the document is one that [`read`] will read again: better known before it is stored.
pub(super) fn check(record: &Record) -> Result<(), StoreError> {
    text(record.json().as_bytes()).map(drop).map_err(StoreError::config)
}

/// Puts the document in the place of the file, in one step and durably. For who holds the lock.
pub(super) fn replace(place: &Place, record: &Record) -> Result<(), StoreError> {
    let mut temporary = Temporary::create(&place.temporary)?;
    temporary.write(record.json())?;
    temporary.rename(&place.document)?;
    platform::sync_directory(&place.directory)
}

/// The bytes as JSON text. The error says where it went wrong, and no more: the text of the
/// parser's own error may repeat what is in the file.
fn text(bytes: &[u8]) -> Result<&str, BoxError> {
    if bytes.len() > LIMIT {
        return Err(format!("a document of more than {LIMIT} bytes is no token").into());
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("no UTF-8 after {} bytes", error.valid_up_to()))?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| {
        format!("no JSON text (line {}, column {})", error.line(), error.column())
    })?;
    Ok(text)
}
