//! How a section is declared and read: one macro, so that a field, its key, its default and its manual entry cannot
//! drift apart.

use std::ops::RangeInclusive;

use super::error::Problem;
use super::setting::Setting;
use super::suggest::closest;
use super::tree::{Node, Origin, Raw};

/// What the reference page says about a field.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Kebab-case.
    pub(crate) key: String,
    /// What may be written, as [`super::setting::Setting::KIND`] puts it.
    pub(crate) kind: &'static str,
    /// As it would be written in a file; `None` where there is none.
    pub(crate) value: Option<String>,
    /// `between … and …`, where a value outside would start a server that cannot work.
    pub(crate) bounds: Option<String>,
    pub(crate) doc: &'static str,
}

/// A table of the configuration.
pub(crate) trait Section: Default {
    /// The key of the table.
    const NAME: &'static str;
    /// The manual entry of the table.
    const DOC: &'static str;
    /// Takes over what a table says.
    fn take(&mut self, node: &Node, reader: &mut Reader);
    /// All fields with their present values.
    fn fields(&self) -> Vec<Field>;
}

/// Collects problems on the way, so that one mistake does not hide the next.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) problems: Vec<Problem>,
    path: Vec<String>,
}

impl Reader {
    /// Runs `read` with `key` as part of the path.
    pub(crate) fn at(&mut self, key: &str, read: impl FnOnce(&mut Self)) {
        self.path.push(key.to_owned());
        read(self);
        self.path.pop();
    }

    pub(crate) fn unknown(&mut self, key: &str, node: &Node, known: &[&str], what: &str) {
        let suggestion = closest(key, known.iter().copied()).map(str::to_owned);
        let message = if suggestion.is_some() {
            format!("is not a known {what}")
        } else {
            format!("is not a known {what}; known are {}", known.join(", "))
        };
        self.at(key, |reader| reader.push(&node.origin, message, suggestion));
    }

    pub(crate) fn wrong(&mut self, node: &Node, message: String) {
        self.push(&node.origin, message, None);
    }

    /// Each entry of a table of named tables.
    pub(crate) fn named(&mut self, node: &Node, mut read: impl FnMut(&str, &Node, &mut Self)) {
        let Raw::Table(table) = &node.raw else {
            return self.wrong(
                node,
                format!("must be a table of named tables, not {}", node.raw.kind()),
            );
        };
        for (name, entry) in table.entries() {
            self.at(name, |reader| read(name, entry, reader));
        }
    }

    fn push(&mut self, origin: &Origin, message: String, suggestion: Option<String>) {
        self.problems.push(Problem {
            place: origin.to_string(),
            key: self.path.join("."),
            message,
            suggestion,
        });
    }
}

/// How bounds are told.
pub(super) fn between<T: Setting>(bounds: &RangeInclusive<T>) -> String {
    let [least, most] =
        [bounds.start(), bounds.end()].map(|bound| bound.show().unwrap_or_default());
    format!("between {least} and {most}")
}

/// A field's name as a key: kebab-case, and free of what Rust needs for its own words.
pub(super) fn key(field: &str) -> String {
    field.trim_start_matches("r#").replace('_', "-")
}

/// Declares a section: a struct whose fields are settings with defaults, kebab-case keys and documentation, and, behind a
/// semicolon, the bounds of those that have some.
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        pub(crate) struct $name:ident in $key:literal {
            $( $(#[doc = $field_doc:literal])* $field:ident: $type:ty = $default:expr $(; $bounds:expr)?, )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $( $(#[doc = $field_doc])* pub(crate) $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::config::section::Section for $name {
            const NAME: &'static str = $key;
            const DOC: &'static str = concat!($($doc, "\n",)*);

            fn take(
                &mut self,
                node: &$crate::config::tree::Node,
                reader: &mut $crate::config::section::Reader,
            ) {
                let $crate::config::tree::Raw::Table(table) = &node.raw else {
                    return reader.wrong(node, format!("must be a table, not {}", node.raw.kind()));
                };
                $( let $field = $crate::config::section::key(stringify!($field)); )*
                let known: &[&str] = &[$( $field.as_str(), )*];
                for (key, node) in table.entries() {
                    $( if key == $field {
                        reader.at(key, |reader| match $crate::config::setting::Setting::read(node) {
                            $( Ok(value) if !($bounds).contains(&value) => {
                                reader.wrong(node, format!("must be {}", $crate::config::section::between(&$bounds)));
                            } )?
                            Ok(value) => self.$field = value,
                            Err(message) => reader.wrong(node, message),
                        });
                        continue;
                    } )*
                    reader.unknown(key, node, known, "key");
                }
            }

            fn fields(&self) -> Vec<$crate::config::section::Field> {
                vec![$( $crate::config::section::Field {
                    key: $crate::config::section::key(stringify!($field)),
                    kind: <$type as $crate::config::setting::Setting>::KIND,
                    value: $crate::config::setting::Setting::show(&self.$field),
                    bounds: [$( $crate::config::section::between(&$bounds) )?].into_iter().next(),
                    doc: concat!($($field_doc, "\n",)*),
                }, )*]
            }
        }
    };
}

pub(super) use section;
