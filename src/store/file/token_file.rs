//! Reads and replaces a token file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use secrecy::zeroize::Zeroizing;

use super::io_error::store_error;
use super::paths::Paths;
use super::platform;
use super::temp_file::TempFile;
use crate::store::document::{self, MAX_BYTES};
use crate::store::{Record, StoreError};

/// Returns the content of the file; `None` if there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Record>, StoreError> {
    let file = match platform::open(path, OpenOptions::new().read(true)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(store_error)?,
    };
    let metadata = file.metadata().map_err(store_error)?;
    if !metadata.is_file() {
        return Err(StoreError::corrupt("the token file is not a regular file"));
    }
    // The full capacity at once: a buffer that grows leaves copies behind that are not wiped.
    let length = usize::try_from(metadata.len()).unwrap_or(MAX_BYTES).min(MAX_BYTES);
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(store_error)?;
    document::text(&bytes).map(|json| Some(Record::new(json))).map_err(StoreError::corrupt)
}

/// Replaces the file, atomically and durably. The caller holds the lock.
pub(super) fn replace(paths: &Paths, record: &Record) -> Result<(), StoreError> {
    let mut temp = TempFile::create(&paths.temp)?;
    temp.write(record.json())?;
    temp.rename(&paths.token)?;
    platform::sync_directory(&paths.directory)
}
