//! `Temporary`.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use super::io_error::failure;
use super::platform;
use crate::store::StoreError;

/// A file on its way to its name; removed again where it does not get there.
pub(super) struct Temporary<'a> {
    file: File,
    path: Option<&'a Path>,
}

impl<'a> Temporary<'a> {
    /// A new file: what a killed process left under this name may be anybody's to read.
    pub(super) fn create(path: &'a Path) -> Result<Self, StoreError> {
        platform::remove(path)?;
        let file = platform::open(path, OpenOptions::new().write(true).create_new(true));
        Ok(Self { file: file.map_err(failure)?, path: Some(path) })
    }

    pub(super) fn write(&mut self, text: &str) -> Result<(), StoreError> {
        self.file.write_all(text.as_bytes()).map_err(failure)?;
        self.file.sync_all().map_err(failure)
    }

    pub(super) fn rename(mut self, to: &Path) -> Result<(), StoreError> {
        if let Some(path) = self.path {
            fs::rename(path, to).map_err(failure)?;
            self.path = None;
        }
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.path {
            // The failure before is the one to report; the next commit removes it as well.
            let _ = fs::remove_file(path);
        }
    }
}
