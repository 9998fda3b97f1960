//! `TempFile`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, Write as _};
use std::path::Path;

use super::platform;

/// A new file that is renamed when it is complete, and removed otherwise.
pub(super) struct TempFile<'a> {
    file: File,
    path: Option<&'a Path>,
}

impl<'a> TempFile<'a> {
    /// Removes an old file and creates a new one: a file from a killed process may have other
    /// permissions.
    pub(super) fn create(path: &'a Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = platform::open(path, OpenOptions::new().write(true).create_new(true))?;
        Ok(Self { file, path: Some(path) })
    }

    /// Writes the text and makes it durable.
    pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        self.file.sync_all()
    }

    /// Writes all of the other file and makes it durable.
    pub(super) fn copy(&mut self, mut from: &File) -> io::Result<()> {
        from.rewind()?;
        io::copy(&mut from, &mut self.file)?;
        self.file.sync_all()
    }

    pub(super) fn rename(mut self, to: &Path) -> io::Result<()> {
        if let Some(path) = self.path {
            fs::rename(path, to)?;
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
