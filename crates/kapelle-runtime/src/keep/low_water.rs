//! Where ordered indexes begin: so that taking the first entry again and again does not pass over all that were taken before.
//!
//! Queues (what is due, which jobs are available) are eaten from their beginning, and deleted entries stay as marks in the
//! overlay until the next cut and in the store until it compacts. A scan that begins at the first living entry of last time
//! passes over none of them.
//!
//! **Invariant**: for every mark, nothing lives in `from <= key < first`. Deletes keep that true; whatever puts a key moves the
//! marks that it is behind.
//!
//! Bounded: a few marks a table; the oldest gives way. They are only made for scans that reached below memory and are repeated
//! soon, so tables that live in memory and look-ups by name cost nothing.

use std::cell::RefCell;

use super::tables::TABLES;

/// Marks a table: more job types than this that are all backed up on disk would be slow, not wrong.
const MARKS_MAX: usize = 32;

/// Scans of a table that are remembered, to know a repeated one.
const RECENT: usize = 8;

#[derive(Debug, Default)]
struct Table {
    marks: Vec<Mark>,
    /// Hashes of where the last deep scans without a mark began; a ring.
    recent: [u64; RECENT],
    next: usize,
}

#[derive(Debug)]
struct Mark {
    from: Box<[u8]>,
    first: Box<[u8]>,
}

/// The marks of all tables.
#[derive(Debug)]
pub(super) struct LowWater {
    tables: RefCell<Vec<Table>>,
}

impl LowWater {
    pub(super) fn new() -> Self {
        Self {
            tables: RefCell::new(
                std::iter::repeat_with(Table::default)
                    .take(TABLES)
                    .collect(),
            ),
        }
    }

    /// Where a scan from there may begin instead.
    pub(super) fn begin(&self, from: &[u8]) -> Option<Box<[u8]>> {
        let tables = self.tables.borrow();
        let marks = &tables.get(table(from))?.marks;
        let mark = marks.iter().find(|mark| *mark.from == *from)?;
        Some(mark.first.clone())
    }

    /// A scan from there found this to be the first living entry, or its own end if there was none. `deep`: it had to look
    /// below memory, so that the mark is worth making.
    pub(super) fn found(&self, from: &[u8], first: &[u8], deep: bool) {
        let mut tables = self.tables.borrow_mut();
        let Some(table) = tables.get_mut(table(from)) else {
            return;
        };
        if let Some(mark) = table.marks.iter_mut().find(|mark| *mark.from == *from) {
            if *mark.first != *first {
                mark.first = first.into();
            }
        } else if deep && table.is_repeated(from) {
            if table.marks.len() == MARKS_MAX {
                table.marks.remove(0);
            }
            table.marks.push(Mark {
                from: from.into(),
                first: first.into(),
            });
        }
    }

    /// An entry is put.
    pub(super) fn put(&mut self, key: &[u8]) {
        let Some(table) = self.tables.get_mut().get_mut(table(key)) else {
            return;
        };
        for mark in &mut table.marks {
            if *mark.from <= *key && *key < *mark.first {
                mark.first = key.into();
            }
        }
    }
}

impl Table {
    /// Whether a deep scan began there lately; remembers this one.
    fn is_repeated(&mut self, from: &[u8]) -> bool {
        // FNV-1a. Two places with one hash make a mark that nobody needs.
        let hash = from.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        if self.recent.contains(&hash) {
            return true;
        }
        if let Some(place) = self.recent.get_mut(self.next) {
            *place = hash;
        }
        self.next = (self.next + 1) % RECENT;
        false
    }
}

fn table(key: &[u8]) -> usize {
    key.first().copied().map_or(0, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(from: &[u8], first: &[u8]) -> LowWater {
        let low = LowWater::new();
        low.found(from, first, true);
        assert_eq!(low.begin(from), None, "once is a look-up");
        low.found(from, first, true);
        low
    }

    fn begin(low: &LowWater) -> Option<Box<[u8]>> {
        low.begin(&[5])
    }

    #[test]
    fn a_put_behind_a_mark_moves_it_back() {
        let mut low = marked(&[5], &[5, 50]);
        assert_eq!(begin(&low).as_deref(), Some([5, 50].as_slice()));
        low.put(&[5, 90]);
        low.put(&[6, 10]);
        assert_eq!(
            begin(&low).as_deref(),
            Some([5, 50].as_slice()),
            "not behind it"
        );
        low.put(&[5, 20]);
        assert_eq!(begin(&low).as_deref(), Some([5, 20].as_slice()));
    }

    #[test]
    fn marks_are_made_by_repeated_deep_scans_and_moved_by_all() {
        let low = LowWater::new();
        for _ in 0..3 {
            low.found(&[5], &[5, 50], false);
        }
        assert_eq!(begin(&low), None);
        let low = marked(&[5], &[5, 50]);
        low.found(&[5], &[5, 70], false);
        assert_eq!(begin(&low).as_deref(), Some([5, 70].as_slice()));
    }

    #[test]
    fn the_oldest_of_too_many_marks_gives_way() {
        let low = LowWater::new();
        for prefix in 0..=MARKS_MAX {
            let from = [5, u8::try_from(prefix).expect("small")];
            low.found(&from, &[6], true);
            low.found(&from, &[6], true);
        }
        assert_eq!(low.begin(&[5, 0]), None);
        assert!(low.begin(&[5, 1]).is_some());
    }
}
