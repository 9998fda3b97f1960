//! A store in files, for the processes of one host and for command-line tools.
//!
//! Invariants, whichever process is killed and whenever:
//!
//! - A token file has one document that counts, either the old one or the new one: it is written under
//!   another name, made durable, and renamed. Where the file has to stay, its content is replaced; see
//!   `journal`.
//! - Only the holder of the exclusive locks on it and on the file beside it changes a token file. The
//!   operating system releases the locks when the process ends. They are held for a few file operations
//!   and never across an `await`.
//! - A token file that cannot be read is an error and stays as it is, until a caller names its version to
//!   replace it. Then it is kept aside.
//! - No symbolic link is followed in any of the names, and no other user can read what is written, where
//!   the file system has modes.

mod failure;
mod file_error;
mod file_store;
mod io_error;
mod journal;
#[cfg(feature = "keyring")]
mod lock_directory;
mod locked_file;
mod paths;
mod platform;
mod temp_file;
mod token_file;

pub use file_store::FileStore;
#[cfg(feature = "keyring")]
pub(super) use lock_directory::LockDirectory;
#[cfg(feature = "keyring")]
pub(super) use paths::key_name;
