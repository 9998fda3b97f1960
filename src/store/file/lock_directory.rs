//! `LockDirectory`.

use std::path::PathBuf;

use super::file_error::at_path;
use super::locked_file::LockedFile;
use super::platform;
use crate::store::StoreError;

/// Locks with names, for a store that has none of its own. Each is a file in this directory.
#[derive(Debug)]
pub(in crate::store) struct LockDirectory {
    path: PathBuf,
}

impl LockDirectory {
    pub(in crate::store) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Depends on the home directory alone. The environment, such as `XDG_RUNTIME_DIR`, may differ from
    /// one process of a user to another, and they would not exclude each other.
    pub(in crate::store) fn in_home() -> Result<Self, StoreError> {
        let state = if cfg!(target_os = "macos") {
            "Library/Application Support"
        } else if cfg!(windows) {
            "AppData/Local"
        } else {
            ".local/state"
        };
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let home = home.ok_or_else(|| {
            StoreError::config("no home directory for lock files; name a directory for them")
        })?;
        Ok(Self::new(home.join(state).join("reqwest-oauth2")))
    }

    /// Waits for this lock. Creates the directory if it is missing.
    pub(in crate::store) fn lock(&self, name: &str) -> Result<LockedFile, StoreError> {
        let lock = || {
            platform::make_directory(&self.path)?;
            LockedFile::create(&self.path.join(format!("{name}.lock")))?
                .ok_or_else(|| StoreError::unavailable("somebody removed the directory"))
        };
        // Without the name, which has the user in it.
        lock().map_err(|error| at_path(error, "lock file in", &format!("{:?}", self.path)))
    }
}
