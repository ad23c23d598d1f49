//! Where text goes: data to standard output, messages to standard error, colour only where a terminal shows it.
//!
//! **Invariant:** colour never carries meaning; the text is the same without.

use std::io::{IsTerminal, Write};

use kapelle_feel::msgpack::{self, Kind};

use super::args::{Color, Format};
use super::failure::Failure;
use crate::client::{Document, Object};

/// Whether to colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    on: bool,
}

impl Style {
    pub(crate) const fn plain() -> Self {
        Self { on: false }
    }

    /// For one of the two streams, by the flag, `NO_COLOR` and `CLICOLOR_FORCE`.
    pub(crate) fn of(color: Color, is_terminal: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let on = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !set("NO_COLOR") && (is_terminal || set("CLICOLOR_FORCE")),
        };
        Self { on }
    }

    pub(crate) fn stdout(color: Color) -> Self {
        Self::of(color, std::io::stdout().is_terminal())
    }

    pub(crate) fn stderr(color: Color) -> Self {
        Self::of(color, std::io::stderr().is_terminal())
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.on {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn error(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// An outcome's word: green for what moved a process, red for what was lost, yellow between.
    pub(crate) fn outcome(self, word: &str) -> String {
        match word {
            "STARTED" | "CORRELATED" | "DELIVERED" => self.good(word),
            "BUFFERED" | "PENDING" | "FILTERED" | "DUPLICATE" => self.warning(word),
            _ => self.error(word),
        }
    }
}

/// The two streams and how they are used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) style: Style,
    pub(crate) messages: Style,
}

/// What is shown of a resource: a heading and the member it comes from. The first one names the resource.
pub(crate) type Columns = &'static [(&'static str, &'static str)];

impl Output {
    pub(crate) fn new(format: Format, color: Color) -> Self {
        Self {
            format,
            style: Style::stdout(color),
            messages: Style::stderr(color),
        }
    }

    /// Data. Whoever closed the pipe has seen enough: that ends the command without a word.
    pub(crate) fn data(self, text: &str) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        match write!(stdout, "{text}{end}").and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::unread()),
            Err(error) => Err(
                Failure::failed("KAP-2003", "cannot write to standard output")
                    .why(error.to_string()),
            ),
        }
    }

    /// A word for the person at the terminal.
    pub(crate) fn message(self, text: &str) {
        // Nobody can be told that standard error is gone.
        _ = writeln!(std::io::stderr(), "{text}");
    }

    /// Something was done to a resource: a word for a person, an object on a line of its own for a program, so that what was
    /// done before a failure is known.
    pub(crate) fn done(self, name: &str, what: Object, message: &str) -> Result<(), Failure> {
        match self.format {
            Format::Table => {
                self.message(message);
                Ok(())
            }
            Format::Json => self.data(&what.into_text()),
            Format::Name => self.data(name),
        }
    }

    /// Many of a kind.
    pub(crate) fn items(self, items: &[Document], columns: Columns) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.data(&Document::of(items).pretty()),
            Format::Name => {
                let names = items.iter().map(|item| name(item, columns) + "\n");
                self.data(&names.collect::<String>())
            }
            Format::Table => {
                let heads = columns.iter().map(|(head, _)| (*head).to_owned()).collect();
                let rows = items.iter().map(|item| {
                    columns
                        .iter()
                        .map(|(_, member)| cell(item, member))
                        .collect()
                });
                self.data(&table(heads, rows.collect(), self.style))
            }
        }
    }

    /// One, with everything it has.
    pub(crate) fn item(self, item: &Document, columns: Columns) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.data(&item.pretty()),
            Format::Name => self.data(&name(item, columns)),
            Format::Table => self.data(&members(item, self.style)),
        }
    }
}

fn name(item: &Document, columns: Columns) -> String {
    columns
        .first()
        .map(|(_, member)| cell(item, member))
        .unwrap_or_default()
}

fn members(item: &Document, style: Style) -> String {
    let entries: Vec<(&str, String)> = item
        .members()
        .map(|(name, value)| (name, plain(value)))
        .collect();
    let width = entries
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let lines = entries.iter().filter(|(_, value)| !value.is_empty());
    lines
        .map(|(name, value)| format!("{}  {value}\n", style.faint(&format!("{name:<width$}"))))
        .collect()
}

/// A member as it stands in a table.
pub(crate) fn cell(item: &Document, member: &str) -> String {
    item.get(member).map(plain).unwrap_or_default()
}

/// Text bare, nothing for null, anything else as JSON.
pub(crate) fn plain(value: &[u8]) -> String {
    match msgpack::kind(value) {
        Some(Kind::Nil) | None => String::new(),
        Some(Kind::Text) => msgpack::as_str(value).unwrap_or_default().to_owned(),
        Some(_) => kapelle_feel::json::from_msgpack(value),
    }
}

/// Longer cells are cut in the last column only: keys must stay whole to be copied.
const LAST_CELL_MAX: usize = 80;

/// Aligned columns; two spaces between, none at the end of a line.
pub(crate) fn table(heads: Vec<String>, mut rows: Vec<Vec<String>>, style: Style) -> String {
    for row in &mut rows {
        for cell in row.iter_mut() {
            *cell = cell.replace(['\n', '\r', '\t'], " ");
        }
        if let Some(last) = row.last_mut()
            && last.chars().count() > LAST_CELL_MAX
        {
            *last = last.chars().take(LAST_CELL_MAX - 1).collect::<String>() + "…";
        }
    }
    let width = |column: usize| {
        let cells = rows
            .iter()
            .chain([&heads])
            .filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |row: &[String]| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = style.strong(&line(&heads)) + "\n";
    for row in &rows {
        text.push_str(&line(row));
        text.push('\n');
    }
    text
}
