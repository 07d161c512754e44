//! A list of entries that nearly always holds one, and then takes no memory of its own.
//!
//! Under churn each removal retires one entry, and another thread may free what this one allocated for it,
//! which is where allocators scatter.
#![forbid(unsafe_code)]

use super::entry::Index;

#[derive(Debug, Default)]
pub(super) struct Indexes {
    /// There if the list is not empty.
    first: Option<Index>,
    rest: Vec<Index>,
}

impl Indexes {
    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The one there is, if there is one only.
    pub(super) fn only(&self) -> Option<Index> {
        self.first.filter(|_| self.rest.is_empty())
    }

    pub(super) fn push(&mut self, index: Index) {
        match self.first {
            None => self.first = Some(index),
            Some(_) => self.rest.push(index),
        }
    }

    /// Adds the others.
    pub(super) fn append(&mut self, others: Self) {
        self.rest.reserve(others.len());
        for index in others {
            self.push(index);
        }
    }
}

impl From<Index> for Indexes {
    fn from(index: Index) -> Self {
        Self {
            first: Some(index),
            rest: Vec::new(),
        }
    }
}

impl FromIterator<Index> for Indexes {
    fn from_iter<I: IntoIterator<Item = Index>>(indexes: I) -> Self {
        let mut indexes = indexes.into_iter();
        Self {
            first: indexes.next(),
            rest: indexes.collect(),
        }
    }
}

impl IntoIterator for Indexes {
    type Item = Index;
    type IntoIter = core::iter::Chain<core::option::IntoIter<Index>, std::vec::IntoIter<Index>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

#[cfg(all(test, not(incarnation_loom)))]
mod tests {
    use super::*;

    fn list(indexes: core::ops::Range<u32>) -> Indexes {
        let mut list = Indexes::default();
        for index in indexes {
            list.push(Index::new(index).unwrap());
        }
        list
    }

    #[test]
    fn each_index_put_in_comes_out_once() {
        for (ours, theirs) in [(0, 0), (0, 1), (1, 0), (1, 1), (0, 3), (3, 3)] {
            let mut both = list(1..1 + ours);
            assert_eq!(both.is_empty(), ours == 0);
            assert_eq!(both.only().is_some(), ours == 1);
            both.append(list(10..10 + theirs));
            assert_eq!(both.len() as u32, ours + theirs);
            let out: Vec<u32> = both.into_iter().map(Index::get).collect();
            assert_eq!(
                out,
                (1..1 + ours).chain(10..10 + theirs).collect::<Vec<_>>()
            );
        }
    }
}
