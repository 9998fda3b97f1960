//! `Place`: the names of the files of a key.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use crate::store::{StoreError, TokenKey};

/// How many characters of the user are in a file's name: enough to know it by, and far from the 255
/// bytes that a name may have.
const READABLE: usize = 40;

/// Where the files of a key are.
#[derive(Debug, PartialEq)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    pub(super) document: PathBuf,
    pub(super) lock: PathBuf,
    /// One name, and not one for each attempt: only who holds the lock writes there, so what is
    /// found there is a dead process's, and both the next commit and a deletion find it.
    pub(super) temporary: PathBuf,
}

impl Place {
    pub(super) fn of_key(directory: &Path, key: &TokenKey) -> Self {
        Self::new(directory, OsStr::new(&file_name(key)))
    }

    pub(super) fn of_file(file: &Path) -> Result<Self, StoreError> {
        let nameless = || StoreError::config("the path of the token file ends in no file's name");
        Ok(Self::new(
            file.parent().unwrap_or(Path::new("")),
            file.file_name().ok_or_else(nameless)?,
        ))
    }

    fn new(directory: &Path, name: &OsStr) -> Self {
        // A bare file name's parent is the empty path, which no call takes for a directory.
        let here = directory.as_os_str().is_empty();
        let directory = if here { Path::new(".") } else { directory };
        let with = |ending: &str| {
            let mut name = OsString::from(name);
            name.push(ending);
            directory.join(name)
        };
        Self {
            directory: directory.to_owned(),
            document: with(""),
            lock: with(".lock"),
            temporary: with(".reqwest-oauth2.tmp"),
        }
    }
}

/// `alice@example.com-2b…9f.json`: who it is for people, and which key it is by the hash of all of it.
fn file_name(key: &TokenKey) -> String {
    let user = percent_decode_str(key.user()).decode_utf8_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.@".contains(c) { c } else { '_' };
    let mut name: String = user.chars().map(plain).take(READABLE).collect();
    // Neither hidden, nor taken for an option of a command.
    if name.starts_with(['.', '-']) {
        name.replace_range(..1, "_");
    }
    if !name.is_empty() {
        name.push('-');
    }
    for byte in Sha256::digest(key.as_str()) {
        name.push_str(&format!("{byte:02x}"));
    }
    name + ".json"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(user: &str) -> String {
        file_name(&TokenKey::new("https://a.example", "foo", user))
    }

    #[track_caller]
    fn begins(user: &str, beginning: &str) {
        let name = name(user);
        let hash =
            name.strip_prefix(beginning).and_then(|rest| rest.strip_suffix(".json")).unwrap();
        assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
    }

    #[test]
    fn a_name_is_readable_bounded_and_no_path() {
        begins("alice@example.com", "alice@example.com-");
        begins("", "");
        begins("../../etc/passwd", "_._.._etc_passwd-");
        begins("..", "_.-");
        begins("-rf", "_rf-");
        begins("å l/ö\\\0:", "__l_____-");
        begins(&"u".repeat(1000), &format!("{}-", "u".repeat(READABLE)));
    }

    #[test]
    fn a_name_is_one_keys() {
        let keys = [("i", "c", "u"), ("j", "c", "u"), ("i", "d", "u"), ("i", "c", "U")];
        let names = keys.map(|(i, c, u)| file_name(&TokenKey::new(i, c, u)).to_lowercase());
        for (n, one) in names.iter().enumerate() {
            assert!(!names[..n].contains(one), "{one}");
        }
        assert_ne!(name("a/b"), name("a_b"));
    }

    #[test]
    fn a_bare_file_name_is_in_this_directory() {
        let place = Place::of_file(Path::new("token.json")).unwrap();
        assert_eq!(place.directory, Path::new("."));
        assert_eq!(place.lock, Path::new("./token.json.lock"));
        assert!(Place::of_file(Path::new("/")).unwrap_err().is_config());
    }
}
