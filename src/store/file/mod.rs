//! A store in files, for the processes of one host and for command-line tools.
//!
//! Invariants, whichever process is killed and whenever:
//!
//! - A token file is complete, either the old one or the new one: it is written under another name,
//!   made durable, and renamed.
//! - Only the holder of the exclusive lock on the file beside it replaces a token file. The
//!   operating system releases the lock when the process ends. It is held for a few file operations
//!   and never across an `await`.
//! - A token file that cannot be read is an error and stays as it is.
//! - No symbolic link is followed in either name, and no other user can read what is written.

mod file_store;
mod io_error;
#[cfg(feature = "keyring")]
mod lock_directory;
mod lock_file;
mod paths;
mod platform;
mod temp_file;
mod token_file;

pub use file_store::FileStore;
#[cfg(feature = "keyring")]
pub(super) use lock_directory::LockDirectory;
#[cfg(feature = "keyring")]
pub(super) use paths::key_name;
