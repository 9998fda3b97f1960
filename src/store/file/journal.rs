//! `Journal`: the form of a token file while it is written in place.
//!
//! Where a token file cannot be replaced (it is mounted by itself, or nobody may write to its directory),
//! its content is replaced. A process that is killed meanwhile, or a disk that fills up, must leave the old
//! document or the new one, and readers must tell which. So the new one is first appended between two record
//! separators ([RFC 7464 §2.1](https://www.rfc-editor.org/rfc/rfc7464#section-2.1)), which no JSON has in
//! it; the second one commits it:
//!
//! ```text
//! OLD                      a plain token file
//! OLD ␞ N                  torn: OLD counts
//! OLD ␞ NEW ␞              committed: NEW counts
//! NEWLD ␞ NEW ␞            the beginning may be anything by now
//! NEW                      cut off: a plain token file again
//! ```
//!
//! Each line is durable before the next one begins. The appended document begins so far behind that the
//! last step does not write over it.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};

use crate::store::document;

const SEPARATOR: u8 = 0x1e;

/// The document that counts, in the bytes of a token file.
pub(super) fn document(bytes: &[u8]) -> &[u8] {
    match Journal::of(bytes) {
        Journal::Plain => bytes,
        Journal::Torn(old) => old,
        Journal::Committed(new) => new,
    }
}

/// Replaces the document of a file, whose content is `bytes`. After an error the old document counts, or
/// the new one does.
pub(super) fn write(file: &File, bytes: &[u8], new: &[u8]) -> io::Result<()> {
    let old = settle(file, bytes)?;
    let appended = Append::after(old, new);
    if let Err(error) = write_at(file, appended.at, &appended.bytes) {
        // Not needed: what is torn does not count.
        let _ = file.set_len(appended.at);
        return Err(error);
    }
    finish(file, new)
}

enum Journal<'a> {
    Plain,
    Torn(&'a [u8]),
    Committed(&'a [u8]),
}

impl<'a> Journal<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let mut parts = bytes.split(|byte| *byte == SEPARATOR);
        let old = parts.next().unwrap_or_default();
        if old.len() == bytes.len() {
            return Self::Plain;
        }
        let committed = bytes.ends_with(&[SEPARATOR]);
        let new = parts.rfind(|part| !part.is_empty());
        match new.filter(|new| committed && document::text(new).is_ok()) {
            Some(new) => Self::Committed(new),
            None => Self::Torn(old),
        }
    }
}

/// What is appended, and where.
struct Append {
    at: u64,
    bytes: Vec<u8>,
}

impl Append {
    fn after(old: usize, new: &[u8]) -> Self {
        let mut bytes = vec![SEPARATOR; new.len().saturating_sub(old) + 1];
        bytes.extend_from_slice(new);
        bytes.push(SEPARATOR);
        Self { at: old as u64, bytes }
    }
}

/// Ends what a process began that was killed: makes it a plain file. Returns its length.
fn settle(file: &File, bytes: &[u8]) -> io::Result<usize> {
    match Journal::of(bytes) {
        Journal::Plain => Ok(bytes.len()),
        Journal::Torn(old) => {
            file.set_len(old.len() as u64)?;
            file.sync_all()?;
            Ok(old.len())
        }
        Journal::Committed(new) => {
            finish(file, new)?;
            Ok(new.len())
        }
    }
}

/// The committed document becomes the whole file.
fn finish(file: &File, new: &[u8]) -> io::Result<()> {
    write_at(file, 0, new)?;
    file.set_len(new.len() as u64)?;
    file.sync_all()
}

/// Writes, durably.
fn write_at(mut file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that may be on the disk while `new` takes the place of `old`, in order: each step may have been
    /// done to any part.
    fn states(old: &[u8], new: &[u8]) -> Vec<Vec<u8>> {
        let appended = Append::after(old.len(), new);
        assert_eq!(appended.at, old.len() as u64);
        let mut states: Vec<Vec<u8>> = (0..=appended.bytes.len())
            .map(|done| [old, &appended.bytes[..done]].concat())
            .collect();
        let committed = states.last().unwrap().clone();
        states.extend((0..=new.len()).map(|done| [&new[..done], &committed[done..]].concat()));
        states.push(new.to_vec());
        states
    }

    #[test]
    fn at_each_moment_the_old_document_counts_or_the_new_one() {
        let documents: [&[u8]; 6] = [
            b"{\"access_token\":\"one\"}",
            b"{\"access_token\":\"two\"}",
            b"{}",
            b" [1, 2]\n",
            b"1",
            b"12",
        ];
        for old in documents {
            for new in documents {
                let states = states(old, new);
                let commits = states.iter().position(|state| document(state) == new && old != new);
                for (i, state) in states.iter().enumerate() {
                    let expected = if commits.is_some_and(|at| i >= at) { new } else { old };
                    let text = String::from_utf8_lossy(state);
                    assert_eq!(document(state), expected, "{i}: {text:?}");
                }
                assert_eq!(document(states.last().unwrap()), new);
            }
        }
    }

    /// A disk may have written the end of what was appended, and not the middle.
    #[test]
    fn a_hole_in_what_was_appended_is_not_committed() {
        let (old, new) = (b"{\"n\":1}", b"{\"n\":\"a long one\"}");
        let whole = [&old[..], &Append::after(old.len(), new).bytes].concat();
        let first = whole.len() - 1 - new.len();
        for hole in first..whole.len() - 1 {
            let mut holed = whole.clone();
            holed[hole] = 0;
            assert_eq!(document(&holed), old, "{hole}");
        }
    }

    #[test]
    fn whatever_was_left_is_ended_first_and_the_file_is_plain_afterwards() {
        let (old, new, next) = (&b"{\"n\":1}"[..], &b"{\"n\":\"two\"}"[..], &b"[3]"[..]);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token.json");
        for state in states(old, new) {
            std::fs::write(&path, &state).unwrap();
            let file = File::options().read(true).write(true).open(&path).unwrap();
            write(&file, &state, next).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), next);
        }
    }
}
