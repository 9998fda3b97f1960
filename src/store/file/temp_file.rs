//! `TempFile`.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use super::io_error::store_error;
use super::platform;
use crate::store::StoreError;

/// A new file that is renamed when it is complete, and removed otherwise.
pub(super) struct TempFile<'a> {
    file: File,
    path: Option<&'a Path>,
}

impl<'a> TempFile<'a> {
    /// Creates the file anew: one that a killed process left may have other permissions.
    pub(super) fn create(path: &'a Path) -> Result<Self, StoreError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(store_error(error)),
            _ => {}
        }
        let file = platform::open(path, OpenOptions::new().write(true).create_new(true));
        Ok(Self { file: file.map_err(store_error)?, path: Some(path) })
    }

    /// Writes the text and makes it durable.
    pub(super) fn write(&mut self, text: &str) -> Result<(), StoreError> {
        self.file.write_all(text.as_bytes()).map_err(store_error)?;
        self.file.sync_all().map_err(store_error)
    }

    pub(super) fn rename(mut self, to: &Path) -> Result<(), StoreError> {
        if let Some(path) = self.path {
            fs::rename(path, to).map_err(store_error)?;
            self.path = None;
        }
        Ok(())
    }
}

impl Drop for TempFile<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.path {
            // Report the first error, not this one; the next swap removes the file too.
            let _ = fs::remove_file(path);
        }
    }
}
