//! A document in one entry, or in several where entries are small.
//!
//! Windows takes 2560 bytes in an entry, which many tokens exceed, and no lease helps there: only the
//! provider's response tells how long the next token is. So a longer document is cut into parts:
//!
//! ```text
//! NAME        {"access_token":…}       a document that fits
//! NAME        parts b 3 DIGEST         an index: it fits into NAME.b.0, NAME.b.1 and NAME.b.2
//! ```
//!
//! A swap writes the parts into the slot that is not in use, `a` or `b`. The index, written last, makes
//! them count. A process that is killed leaves the old document or the new one; what it leaves besides,
//! the next swap removes. The parts in a slot are always numbered from 0 without a gap.

use std::fmt;

use secrecy::zeroize::Zeroizing;
use sha2::{Digest, Sha256};

use crate::store::document::{self, MAX_BYTES};
use crate::store::{Record, StoreError, Version};

/// Entries with a name and a secret.
pub(super) trait Entries {
    /// How many bytes fit into one entry, if that is less than a document may have.
    fn limit(&self) -> Option<usize>;
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError>;
    fn put(&self, name: &str, secret: &[u8]) -> Result<(), StoreError>;
    /// No entry is no error.
    fn remove(&self, name: &str) -> Result<(), StoreError>;
}

/// Returns the document; `None` if there is none. The version of what cannot be read is that of the
/// entry with its name.
pub(super) fn read(entries: &impl Entries, name: &str) -> Result<Option<Record>, StoreError> {
    let Some(head) = entries.get(name)? else { return Ok(None) };
    let corrupt = |why| StoreError::corrupt(why).with_version(Version::of(&head));
    let joined = match Index::parse(&head) {
        None => None,
        Some(index) => match join(entries, name, &index)? {
            None => return Err(corrupt("a part of the record is missing in the keychain".into())),
            joined => joined,
        },
    };
    let json = document::text(joined.as_ref().unwrap_or(&head)).map_err(corrupt)?;
    Ok(Some(Record::new(json)))
}

/// Replaces the document. After an error the old one counts, or the new one does.
pub(super) fn write(entries: &impl Entries, name: &str, json: &str) -> Result<(), StoreError> {
    let Some(limit) = entries.limit() else { return entries.put(name, json.as_bytes()) };
    let used = entries.get(name)?.and_then(|head| Index::parse(&head)).map(|index| index.slot);
    let free = used.map_or(Slot::A, Slot::other);
    clear(entries, name, free)?;
    if json.len() <= limit {
        entries.put(name, json.as_bytes())?;
    } else {
        let parts = json.as_bytes().chunks(limit);
        let index = Index { slot: free, parts: parts.len(), digest: digest(json.as_bytes()) };
        for (number, part) in parts.enumerate() {
            entries.put(&free.part(name, number), part)?;
        }
        entries.put(name, index.to_string().as_bytes())?;
    }
    clear(entries, name, free.other())
}

/// The whole document; `None` if the parts are not those of the index.
fn join(
    entries: &impl Entries,
    name: &str,
    index: &Index,
) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    let mut whole = Zeroizing::new(Vec::new());
    for number in 0..index.parts {
        let Some(part) = entries.get(&index.slot.part(name, number))? else { return Ok(None) };
        // A buffer that grows by itself leaves copies behind that are not wiped.
        let mut longer = Zeroizing::new(Vec::with_capacity(whole.len() + part.len()));
        longer.extend_from_slice(&whole);
        longer.extend_from_slice(&part);
        whole = longer;
        if whole.len() > MAX_BYTES {
            break;
        }
    }
    Ok((digest(&whole) == index.digest).then_some(whole))
}

/// Removes what a slot holds. The last part first: whenever this ends, no gap is left.
fn clear(entries: &impl Entries, name: &str, slot: Slot) -> Result<(), StoreError> {
    let mut parts = 0;
    while entries.get(&slot.part(name, parts))?.is_some() {
        parts += 1;
    }
    (0..parts).rev().try_for_each(|number| entries.remove(&slot.part(name, number)))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Clone, Copy)]
enum Slot {
    A,
    B,
}

impl Slot {
    fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    fn part(self, name: &str, number: usize) -> String {
        format!("{name}.{}.{number}", self.name())
    }
}

/// Where the parts of a document are.
struct Index {
    slot: Slot,
    parts: usize,
    digest: String,
}

impl Index {
    /// `None` for everything else. No JSON begins like an index.
    fn parse(head: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(head).ok()?.strip_prefix("parts ")?.split(' ');
        let slot = match words.next()? {
            "a" => Slot::A,
            "b" => Slot::B,
            _ => return None,
        };
        Some(Self { slot, parts: words.next()?.parse().ok()?, digest: words.next()?.to_owned() })
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parts {} {} {}", self.slot.name(), self.parts, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use super::*;

    const LIMIT: usize = 100;

    /// As Windows has them. The process is killed before the change with the number `left`.
    #[derive(Clone, Default)]
    struct Small {
        entries: RefCell<BTreeMap<String, Vec<u8>>>,
        left: Cell<Option<usize>>,
    }

    impl Small {
        fn change(&self) -> Result<(), StoreError> {
            let left = self.left.get().map(|left| left.checked_sub(1));
            self.left.set(left.map(Option::unwrap_or_default));
            if left == Some(None) { Err(StoreError::unavailable("killed")) } else { Ok(()) }
        }

        fn names(&self) -> Vec<String> {
            self.entries.borrow().keys().cloned().collect()
        }

        #[track_caller]
        fn document(&self) -> Option<String> {
            read(self, "n").unwrap().map(|record| record.json().to_owned())
        }
    }

    impl Entries for Small {
        fn limit(&self) -> Option<usize> {
            Some(LIMIT)
        }

        fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
            Ok(self.entries.borrow().get(name).cloned().map(Zeroizing::new))
        }

        fn put(&self, name: &str, secret: &[u8]) -> Result<(), StoreError> {
            assert!(secret.len() <= LIMIT);
            self.change()?;
            self.entries.borrow_mut().insert(name.to_owned(), secret.to_owned());
            Ok(())
        }

        fn remove(&self, name: &str) -> Result<(), StoreError> {
            self.change()?;
            self.entries.borrow_mut().remove(name);
            Ok(())
        }
    }

    /// A document of this many bytes.
    fn json(bytes: usize, fill: char) -> String {
        format!("\"{}\"", fill.to_string().repeat(bytes - 2))
    }

    #[test]
    fn a_document_of_any_length_comes_back() {
        let entries = Small::default();
        assert_eq!(entries.document(), None);
        for (bytes, expected) in [
            (LIMIT, &["n"][..]),
            (LIMIT + 1, &["n", "n.a.0", "n.a.1"]),
            (2 * LIMIT, &["n", "n.b.0", "n.b.1"]),
            (2 * LIMIT + 1, &["n", "n.a.0", "n.a.1", "n.a.2"]),
            (2, &["n"]),
        ] {
            let json = json(bytes, 'x');
            write(&entries, "n", &json).unwrap();
            assert_eq!(entries.document(), Some(json));
            assert_eq!(entries.names(), expected);
        }
    }

    /// Kills the process at each change, and the process that writes after it too.
    #[test]
    fn a_killed_process_leaves_one_document_and_the_next_swap_removes_the_rest() {
        let lengths = [2, LIMIT + 1, 4 * LIMIT];
        for (old, new) in lengths.into_iter().flat_map(|old| lengths.map(|new| (old, new))) {
            let (old, new) = (json(old, 'o'), json(new, 'n'));
            let before = Small::default();
            write(&before, "n", &old).unwrap();
            for killed_at in 0.. {
                let entries = before.clone();
                entries.left.set(Some(killed_at));
                let done = write(&entries, "n", &new).is_ok();
                let left = entries.document().unwrap();
                assert!(left == new || left == old && !done, "{killed_at}");
                for killed_again_at in 0.. {
                    let entries = entries.clone();
                    entries.left.set(Some(killed_again_at));
                    let done_again = write(&entries, "n", &json(3 * LIMIT, 'm')).is_ok();
                    entries.left.set(None);
                    let left_again = entries.document().unwrap();
                    assert!(left_again == left || left_again == json(3 * LIMIT, 'm'));
                    write(&entries, "n", "{}").unwrap();
                    assert_eq!(entries.names(), ["n"], "{killed_at} {killed_again_at}");
                    if done_again {
                        break;
                    }
                }
                if done {
                    break;
                }
            }
        }
    }

    #[test]
    fn a_document_that_lacks_a_part_is_corrupt() {
        let whole = Small::default();
        write(&whole, "n", &json(4 * LIMIT, 'x')).unwrap();
        for name in whole.names().into_iter().filter(|name| name != "n") {
            let entries = whole.clone();
            entries.entries.borrow_mut().insert(name.clone(), b"x".into());
            assert!(read(&entries, "n").unwrap_err().is_corrupt(), "{name} was changed");
            entries.remove(&name).unwrap();
            assert!(read(&entries, "n").unwrap_err().is_corrupt(), "{name} was removed");
        }
        for head in ["parts", "parts c 1 x", "parts a 99999999999999999999 x", "s3cret", "\u{ff}"] {
            let entries = Small::default();
            entries.put("n", head.as_bytes()).unwrap();
            let error = read(&entries, "n").unwrap_err();
            assert!(error.is_corrupt() && !format!("{error:?}").contains("s3cret"), "{error:?}");
        }
        let hostile = Small::default();
        hostile.put("n", format!("parts a {} x", usize::MAX).as_bytes()).unwrap();
        assert!(read(&hostile, "n").unwrap_err().is_corrupt());
    }
}
