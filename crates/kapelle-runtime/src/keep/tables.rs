//! Which tables of the indexes the store has nothing of: for those it need not be asked.
//!
//! A key's first byte is its table. Many tables hold only what lives shorter than a checkpoint (buffered messages, pushed
//! jobs), and opening a scan of the store costs more than all else that a command does.
//!
//! **Invariant**: `Empty` is only ever said of a table that the store was seen to have nothing of and that no cut has put
//! anything into since. Deletes do not count: a table that became empty is seen to be so at the next start.

use std::cell::Cell;
use std::ops::Bound;

use kapelle_storage::store::Changes;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Look once.
    Nothing,
    Empty,
    Some,
}

/// The engine numbers its tables below this; of any other the store is always asked.
pub(super) const TABLES: usize = 128;

/// One entry for each table.
#[derive(Debug)]
pub(super) struct Tables([Cell<Known>; TABLES]);

impl Tables {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Cell::new(Known::Nothing)))
    }

    /// Whether the store may have anything of this key's table; `look` says whether it has.
    pub(super) fn may_have<E>(
        &self,
        key: &[u8],
        look: impl FnOnce(u8) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let table = key.first().copied().unwrap_or(0);
        let Some(known) = self.0.get(usize::from(table)) else {
            return Ok(true);
        };
        if known.get() == Known::Nothing {
            known.set(if look(table)? {
                Known::Some
            } else {
                Known::Empty
            });
        }
        Ok(known.get() == Known::Some)
    }

    /// A cut goes to the store: looks once for each table that was empty.
    pub(super) fn put_all(&self, changes: &impl Changes) {
        for (table, known) in (0_u8..).zip(&self.0) {
            let (from, to) = ([table], [table.saturating_add(1)]);
            if known.get() != Known::Some
                && changes
                    .first(Bound::Included(&from), Bound::Excluded(&to))
                    .is_some()
            {
                known.set(Known::Some);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_empty_table_is_looked_at_once_until_a_cut_puts_something() {
        let tables = Tables::new();
        let looks = Cell::new(0);
        let may_have = || {
            tables.may_have::<()>(&[7, 1], |table| {
                looks.set(looks.get() + 1);
                assert_eq!(table, 7);
                Ok(false)
            })
        };
        assert_eq!((may_have(), may_have()), (Ok(false), Ok(false)));
        assert_eq!(looks.get(), 1);
        let other = BTreeMap::from([(vec![6, 2], Some(vec![])), (vec![8, 2], Some(vec![]))]);
        tables.put_all(&other);
        assert_eq!(may_have(), Ok(false));
        tables.put_all(&BTreeMap::from([(vec![7, 2], Some(vec![]))]));
        assert_eq!(may_have(), Ok(true));
        assert_eq!(looks.get(), 1);
    }

    #[test]
    fn a_failed_look_is_repeated() {
        let tables = Tables::new();
        assert_eq!(tables.may_have(&[7], |_| Err("disk")), Err("disk"));
        assert_eq!(tables.may_have::<()>(&[7], |_| Ok(true)), Ok(true));
    }
}
