//! A store in files: for the processes of one host, and for tools of the command line.
//!
//! What holds, whatever is killed and whenever:
//!
//! - A token file is whole, the old one or the new: it is written under another name, made durable,
//!   and renamed.
//! - Who may change it holds the exclusive lock of the operating system on the file beside it. The
//!   lock ends with the process, is held for a few file operations, and never across an `await`.
//! - The token file's content is the version, so what cannot be read there is an error, and stays.
//! - No symbolic link is followed in either name, and no other user reads what is written.

mod file_store;
mod io_error;
mod lock_file;
mod paths;
mod platform;
mod temp_file;
mod token_file;

pub use file_store::FileStore;
