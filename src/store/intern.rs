//! Lists that many objects have in common, held once: the ports of Services and slices.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// How many lists may be held before it is looked whether somebody still uses them.
const FEW: usize = 64;

/// The lists in use.
pub(super) struct Interned<T> {
    /// Each once.
    lists: HashSet<Arc<[T]>>,
    /// At how many lists it is looked which are still used.
    tidy_at: usize,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { lists: HashSet::new(), tidy_at: FEW }
    }
}

impl<T: Eq + Hash> Interned<T> {
    /// The one copy of this list; none for an empty one.
    pub(super) fn share(&mut self, list: Vec<T>) -> Option<Arc<[T]>> {
        if list.is_empty() {
            return None;
        }
        if let Some(known) = self.lists.get(list.as_slice()) {
            return Some(known.clone());
        }
        if self.lists.len() >= self.tidy_at {
            self.lists.retain(|list| Arc::strong_count(list) > 1);
            self.lists.shrink_to_fit();
            self.tidy_at = (self.lists.len() * 2).max(FEW);
        }
        let list: Arc<[T]> = list.into();
        self.lists.insert(list.clone());
        Some(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_are_one_and_unused_ones_go() {
        let mut interned = Interned::default();
        let first = interned.share(vec![1]).unwrap();
        assert!(Arc::ptr_eq(&first, &interned.share(vec![1]).unwrap()));
        assert_eq!(interned.share(Vec::new()), None);
        for number in 0..100_000 {
            drop(interned.share(vec![number]));
        }
        assert!(interned.lists.len() <= FEW, "{}", interned.lists.len());
        assert!(Arc::ptr_eq(&first, &interned.share(vec![1]).unwrap()));
    }
}
