//! The kinds of value a setting can have, each with its own reading, so that an error says what is expected.
//!
//! **Invariant:** `read(show(v)) == v` for every value that is not secret.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use kapelle_feel::Expr;

use super::tree::{Node, Raw};

/// A value that can be read from a layer and written back.
pub(crate) trait Setting: Sized {
    /// For the reference page: what may be written.
    const KIND: &'static str;
    /// # Errors
    /// Why the value cannot be taken: completes "`key` …".
    fn read(node: &Node) -> Result<Self, String>;
    /// As TOML; `None` where there is no value.
    fn show(&self) -> Option<String>;
}

fn text<'a>(node: &'a Node, expected: &str) -> Result<&'a str, String> {
    match &node.raw {
        Raw::Text(text) => Ok(text),
        other => Err(format!("must be {expected}, not {}", other.kind())),
    }
}

/// A TOML basic string: JSON writes them alike.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    kapelle_feel::json::write_string(&mut quoted, text);
    quoted
}

impl Setting for String {
    const KIND: &'static str = "text";
    fn read(node: &Node) -> Result<Self, String> {
        text(node, Self::KIND).map(str::to_owned)
    }
    fn show(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Setting for Expr {
    const KIND: &'static str = "FEEL expression";
    fn read(node: &Node) -> Result<Self, String> {
        let text = text(node, "a FEEL expression")?;
        // Models write expressions with a leading `=`; here everything is one, so it may be left out.
        Self::parse(text.strip_prefix('=').unwrap_or(text))
            .map_err(|error| format!("is no FEEL expression: {error}"))
    }
    fn show(&self) -> Option<String> {
        Some(quoted(self.text()))
    }
}

impl Setting for PathBuf {
    const KIND: &'static str = "path";
    fn read(node: &Node) -> Result<Self, String> {
        match text(node, "a path")? {
            "" => Err("must be a path, not empty".to_owned()),
            path => Ok(Self::from(path)),
        }
    }
    fn show(&self) -> Option<String> {
        Some(quoted(&self.display().to_string()))
    }
}

impl Setting for bool {
    const KIND: &'static str = "true or false";
    fn read(node: &Node) -> Result<Self, String> {
        match &node.raw {
            Raw::Bool(value) => Ok(*value),
            Raw::Text(text) if !node.is_typed() => match text.as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                other => Err(format!("must be true or false, not {other:?}")),
            },
            other => Err(format!("must be true or false, not {}", other.kind())),
        }
    }
    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Setting for u64 {
    const KIND: &'static str = "whole number";
    fn read(node: &Node) -> Result<Self, String> {
        let digits = match &node.raw {
            Raw::Number(digits) => digits,
            Raw::Text(digits) if !node.is_typed() => digits,
            other => return Err(format!("must be a whole number, not {}", other.kind())),
        };
        digits
            .parse()
            .map_err(|_| format!("must be a whole number of at least 0, not {digits:?}"))
    }
    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl<T: Setting> Setting for Option<T> {
    const KIND: &'static str = T::KIND;
    fn read(node: &Node) -> Result<Self, String> {
        T::read(node).map(Some)
    }
    fn show(&self) -> Option<String> {
        self.as_ref().and_then(T::show)
    }
}

/// A port, or the wish for any free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Auto,
    Fixed(u16),
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(port) => port.fmt(f),
        }
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an address; IPv6 in brackets.
    pub(crate) host: String,
    pub(crate) port: Port,
}

impl Address {
    pub(crate) fn loopback(port: u16) -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: Port::Fixed(port),
        }
    }

    /// With 0 for any free port, as sockets want it.
    pub(crate) fn to_bind(&self) -> String {
        match self.port {
            Port::Auto => format!("{}:0", self.host),
            Port::Fixed(port) => format!("{}:{port}", self.host),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "must be an address such as \"127.0.0.1:8080\" or \"127.0.0.1:auto\", not {text:?}"
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bare = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
        if host.is_empty() || !bare {
            return Err(wrong());
        }
        let port = match port {
            "auto" => Port::Auto,
            port => Port::Fixed(
                port.parse()
                    .ok()
                    .filter(|port| *port > 0)
                    .ok_or_else(wrong)?,
            ),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl Setting for Address {
    const KIND: &'static str = "\"host:port\" or \"host:auto\"";
    fn read(node: &Node) -> Result<Self, String> {
        text(node, "an address such as \"127.0.0.1:8080\"")?.parse()
    }
    fn show(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

/// An amount of memory or disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bytes(pub(crate) u64);

impl Bytes {
    /// More than any one server has: a bound for what has no other.
    pub(crate) const TIB: Self = Self(1 << 40);

    pub(crate) const fn mib(count: u64) -> Self {
        Self(count << 20)
    }
}

/// Largest first: a size is shown in the largest unit that divides it.
const BYTE_UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = BYTE_UNITS
            .into_iter()
            .find(|(_, size)| self.0 != 0 && self.0.is_multiple_of(*size))
            .unwrap_or(("B", 1));
        write!(f, "{} {unit}", self.0 / size)
    }
}

impl Setting for Bytes {
    const KIND: &'static str = "size such as \"64 MiB\"";
    fn read(node: &Node) -> Result<Self, String> {
        let text = text(node, "a size such as \"64 MiB\"")?;
        let wrong =
            || format!("must be a size such as \"64 MiB\" (B, KiB, MiB, GiB), not {text:?}");
        let (count, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let (_, size) = BYTE_UNITS
            .into_iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(wrong)?;
        count.checked_mul(size).map(Self).ok_or_else(wrong)
    }
    fn show(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

/// A length of time. Not called a duration: that word is FEEL's and BPMN's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    pub(crate) const fn millis(count: u64) -> Self {
        Self(Duration::from_millis(count))
    }

    pub(crate) const fn seconds(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    pub(crate) const fn hours(count: u64) -> Self {
        Self::seconds(count * 3_600)
    }

    /// As the engine counts.
    pub(crate) fn as_millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

const TIME_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, size) = TIME_UNITS
            .into_iter()
            .find(|(_, size)| millis != 0 && millis.is_multiple_of(*size))
            .unwrap_or(("ms", 1));
        write!(f, "{}{unit}", millis / size)
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("must be a time such as \"30s\" (ms, s, m, h, d), not {text:?}");
        let (count, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let (_, size) = TIME_UNITS
            .into_iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(wrong)?;
        count.checked_mul(size).map(Self::millis).ok_or_else(wrong)
    }
}

impl Setting for Span {
    const KIND: &'static str = "time such as \"30s\"";
    fn read(node: &Node) -> Result<Self, String> {
        text(node, "a time such as \"30s\"")?.parse()
    }
    fn show(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    Some((count.parse().ok()?, unit.trim()))
}

/// A value that is never shown: its `Debug` and its text say only that it is there.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(value: &str) -> Self {
        Self(value.to_owned())
    }

    /// The one way to the value; a reader can grep for it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Setting for Secret {
    const KIND: &'static str = "text, secret";
    fn read(node: &Node) -> Result<Self, String> {
        text(node, "text").map(|text| Self(text.to_owned()))
    }
    fn show(&self) -> Option<String> {
        Some(quoted("***"))
    }
}

/// Declares a setting that is one of a few words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $kind:literal { $( $(#[$word_doc:meta])* $variant:ident = $word:literal, )* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $( $(#[$word_doc])* $variant, )* }

        impl $name {
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }
        }

        impl $crate::config::setting::Setting for $name {
            const KIND: &'static str = $kind;
            fn read(node: &$crate::config::tree::Node) -> Result<Self, String> {
                match <String as $crate::config::setting::Setting>::read(node)?.as_str() {
                    $( $word => Ok(Self::$variant), )*
                    other => Err(format!("must be {}, not {other:?}", $kind)),
                }
            }
            fn show(&self) -> Option<String> {
                Some($crate::config::setting::quoted(self.as_str()))
            }
        }
    };
}

pub(super) use words;
