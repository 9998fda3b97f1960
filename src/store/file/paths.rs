//! `Paths`: where the files of a key are.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use crate::store::{StoreError, TokenKey};

/// How many characters of the user are in a file name: enough to recognize it, and far below the
/// usual limit of 255 bytes.
const READABLE: usize = 40;

/// Where the files of a key are.
#[derive(Debug, PartialEq)]
pub(super) struct Paths {
    /// The token file, for errors and events: without the user, whose name may be personal data.
    pub(super) shown: String,
    pub(super) directory: PathBuf,
    pub(super) token: PathBuf,
    pub(super) lock: PathBuf,
    /// Always the same name: only the holder of the lock writes there, so a file that is found there
    /// was left by a dead process, and the next swap removes it.
    pub(super) temp: PathBuf,
    /// What could not be read, when a new login replaced it last.
    pub(super) broken: PathBuf,
    /// Others could read the token file; whether that is over. Found when it is read.
    pub(super) tightened: Cell<Option<bool>>,
}

impl Paths {
    pub(super) fn of_key(directory: &Path, key: &TokenKey) -> Self {
        let (user, rest) = file_name(key);
        let hidden = if user.is_empty() { "" } else { "*" };
        let shown = directory.join(format!("{hidden}{rest}"));
        Self::new(directory, OsStr::new(&(user + &rest)), &shown)
    }

    pub(super) fn of_file(file: &Path) -> Result<Self, StoreError> {
        let nameless = || StoreError::config("the path of the token file has no file name");
        Ok(Self::new(
            file.parent().unwrap_or(Path::new("")),
            file.file_name().ok_or_else(nameless)?,
            file,
        ))
    }

    fn new(directory: &Path, name: &OsStr, shown: &Path) -> Self {
        // The parent of a bare file name is the empty path, which is no directory to the system.
        let here = directory.as_os_str().is_empty();
        let directory = if here { Path::new(".") } else { directory };
        let with = |ending: &str| {
            let mut name = OsString::from(name);
            name.push(ending);
            directory.join(name)
        };
        Self {
            // Quoted and escaped.
            shown: format!("{shown:?}"),
            directory: directory.to_owned(),
            token: with(""),
            lock: with(".lock"),
            temp: with(".reqwest-oauth2.tmp"),
            broken: with(".broken"),
            tightened: Cell::new(None),
        }
    }
}

/// `alice@example.com-2b…9f`.
#[cfg(feature = "keyring")]
pub(in crate::store) fn key_name(key: &TokenKey) -> String {
    let (user, hash) = name_parts(key);
    user + &hash
}

fn file_name(key: &TokenKey) -> (String, String) {
    let (user, hash) = name_parts(key);
    (user, hash + ".json")
}

/// `alice@example.com-2b…9f`, in two parts: the user, for people to find it, and a hash of the whole
/// key.
fn name_parts(key: &TokenKey) -> (String, String) {
    let user = percent_decode_str(key.user()).decode_utf8_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.@".contains(c) { c } else { '_' };
    let mut name: String = user.chars().map(plain).take(READABLE).collect();
    // Not hidden, and not like an option of a command.
    if name.starts_with(['.', '-']) {
        name.replace_range(..1, "_");
    }
    if let Some(dot) = name.find('.').filter(|dot| is_device(&name[..*dot])) {
        name.replace_range(dot..=dot, "_");
    }
    let mut rest = if name.is_empty() { String::new() } else { "-".to_owned() };
    for byte in Sha256::digest(key.as_str()) {
        rest.push_str(&format!("{byte:02x}"));
    }
    (name, rest)
}

/// Whether it is a device of Windows, also with a dot and more behind it
/// ([Naming Files](https://learn.microsoft.com/windows/win32/fileio/naming-a-file#naming-conventions)). The
/// names are the same on all systems.
fn is_device(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let number = ["com", "lpt"].iter().find_map(|port| name.strip_prefix(port));
    ["con", "prn", "aux", "nul"].contains(&&*name)
        || number.is_some_and(|number| matches!(number.as_bytes(), [b'0'..=b'9']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(key: &TokenKey) -> String {
        let (user, rest) = file_name(key);
        user + &rest
    }

    fn name(user: &str) -> String {
        name_of(&TokenKey::new("https://a.example", "foo", user))
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
    fn no_name_is_a_device_of_windows() {
        for user in ["con.murphy@example.ie", "AUX.x", "nul.y.z", "Prn.", "com1.a", "lpt9.a"] {
            begins(user, &format!("{}-", user.replacen('.', "_", 1)));
        }
        for user in ["con", "conn.a", "lpt.a", "com10.a", "com.a", "a.con.b"] {
            begins(user, &format!("{user}-"));
        }
    }

    #[test]
    fn each_key_has_its_own_name() {
        let key = |user| TokenKey::new("i", "c", user);
        let keys = [
            key("u"),
            TokenKey::new("j", "c", "u"),
            TokenKey::new("i", "d", "u"),
            key("U"),
            key("u").scope("a"),
            key("u").resource("a"),
            key("u").audience("a"),
        ];
        let names = keys.map(|key| name_of(&key).to_lowercase());
        for (n, one) in names.iter().enumerate() {
            assert!(!names[..n].contains(one), "{one}");
        }
        assert_ne!(name("a/b"), name("a_b"));
        let of_scope = name_of(&TokenKey::new("i", "c", "alice/a?b").scope("mail/read"));
        assert!(of_scope.starts_with("alice_a_b-"), "{of_scope}");
    }

    #[test]
    fn what_is_shown_has_no_user() {
        let key = TokenKey::new("https://a.example", "foo", "alice@example.com");
        let paths = Paths::of_key(Path::new("to\nkens"), &key);
        let (_, hash) = file_name(&key);
        assert_eq!(paths.shown, format!("\"to\\nkens/*{hash}\""));
        let of_nobody =
            Paths::of_key(Path::new("t"), &TokenKey::new("https://a.example", "foo", ""));
        assert!(!of_nobody.shown.contains('*'), "{}", of_nobody.shown);
        let file = Paths::of_file(Path::new("alice/token.json")).unwrap();
        assert_eq!(file.shown, "\"alice/token.json\"");
    }

    #[test]
    fn a_bare_file_name_is_in_this_directory() {
        let paths = Paths::of_file(Path::new("token.json")).unwrap();
        assert_eq!(paths.directory, Path::new("."));
        assert_eq!(paths.lock, Path::new("./token.json.lock"));
        assert!(Paths::of_file(Path::new("/")).unwrap_err().is_config());
    }
}
