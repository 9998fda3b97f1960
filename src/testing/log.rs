use std::collections::VecDeque;

/// How many entries a log keeps.
const KEPT: usize = 10_000;

/// The last requests of one kind, in order of arrival.
#[derive(Debug)]
pub(super) struct Log<T>(VecDeque<T>);

impl<T: Clone> Log<T> {
    pub(super) fn push(&mut self, entry: T) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    pub(super) fn to_vec(&self) -> Vec<T> {
        self.0.iter().cloned().collect()
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_entries() {
        let mut log = Log::default();
        for n in 0..KEPT + 3 {
            log.push(n);
        }
        assert_eq!(log.to_vec(), (3..KEPT + 3).collect::<Vec<_>>());
    }
}
