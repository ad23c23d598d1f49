//! One property of an entity: its name in the API, its column, and what may be done with it.

/// How a column is compared and given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Given out as a string of digits.
    Key,
    Text,
    Number,
    Bool,
    /// Milliseconds in the table, RFC 3339 outside.
    Time,
    /// A number in the table, a word outside.
    Word(&'static [(i64, &'static str)]),
    /// JSON text that is given out as it is.
    Json,
    /// A stored variable, given out as JSON text inside a string.
    Value,
    /// Camunda has it and we do not yet: always null.
    Absent,
}

/// A property.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
    pub(crate) kind: Kind,
    /// Can be filtered by.
    pub(crate) filter: bool,
    /// Can be sorted by.
    pub(crate) sort: bool,
    /// Is part of the answer.
    pub(crate) shown: bool,
    /// For a filter on rows of another table: the condition stands in it in place of `{}`.
    pub(crate) within: Option<&'static str>,
    /// For the row's own key: the condition that finds it, with `?` for the key wherever it stands.
    pub(crate) lookup: Option<&'static str>,
}

impl Field {
    /// Filtered, sorted and shown.
    pub(crate) const fn full(name: &'static str, sql: &'static str, kind: Kind) -> Self {
        Self {
            name,
            sql,
            kind,
            filter: true,
            sort: true,
            shown: true,
            within: None,
            lookup: None,
        }
    }

    /// The row's own key.
    pub(crate) const fn own_key(
        name: &'static str,
        sql: &'static str,
        lookup: &'static str,
    ) -> Self {
        Self {
            lookup: Some(lookup),
            ..Self::full(name, sql, Kind::Key)
        }
    }

    /// Filtered and shown.
    pub(crate) const fn unsorted(name: &'static str, sql: &'static str, kind: Kind) -> Self {
        Self {
            sort: false,
            ..Self::full(name, sql, kind)
        }
    }

    /// Shown only.
    pub(crate) const fn shown(name: &'static str, sql: &'static str, kind: Kind) -> Self {
        Self {
            filter: false,
            ..Self::unsorted(name, sql, kind)
        }
    }

    /// A member of the answer that is null for now.
    pub(crate) const fn absent(name: &'static str) -> Self {
        Self::shown(name, "NULL", Kind::Absent)
    }

    /// Filtered only, on rows of another table.
    pub(crate) const fn through(
        name: &'static str,
        sql: &'static str,
        kind: Kind,
        within: &'static str,
    ) -> Self {
        Self {
            shown: false,
            within: Some(within),
            ..Self::unsorted(name, sql, kind)
        }
    }
}

/// What can be searched for.
#[derive(Debug)]
pub(crate) struct Entity {
    /// For messages: "Process instance".
    pub(crate) title: &'static str,
    /// `FROM` and joins.
    pub(crate) from: &'static str,
    /// The table's key, column by column: the last word of every order.
    pub(crate) key: &'static [&'static str],
    /// In the order of the answer.
    pub(crate) fields: &'static [Field],
    /// `filter.variables`, a list of names and values: the condition with `{}` for one of them.
    pub(crate) variables: Option<&'static str>,
}

impl Entity {
    pub(crate) fn filterable(&self, name: &str) -> Option<&'static Field> {
        self.fields
            .iter()
            .find(|field| field.filter && field.name == name)
    }

    pub(crate) fn sortable(&self, name: &str) -> Option<&'static Field> {
        self.fields
            .iter()
            .find(|field| field.sort && field.name == name)
    }

    /// The condition that finds one row by its own key, as in [`Field::lookup`].
    pub(crate) fn lookup(&self) -> &'static str {
        self.fields
            .iter()
            .find_map(|field| field.lookup)
            .expect("every entity has a key of its own")
    }

    pub(crate) fn shown(&self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().filter(|field| field.shown)
    }
}
