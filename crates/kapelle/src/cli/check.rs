//! `kapelle check`: the model's diagnostics as a compiler would show them.

use std::path::Path;

use kapelle_model::{Diagnostic, Limits, parse_bpmn};

use super::args::{Check, Format};
use super::exit::Exit;
use super::failure::Failure;
use super::input;
use super::output::{Output, Style};
use crate::client::Object;

pub(crate) fn run(args: &Check, output: Output) -> Result<Exit, Failure> {
    let mut found = Vec::new();
    for path in &args.files {
        let xml = input::read(path)?;
        let (_, diagnostics) = parse_bpmn(&path.display().to_string(), &xml, &Limits::default());
        found.push((path, xml, diagnostics));
    }
    let errors = found
        .iter()
        .flat_map(|(.., diagnostics)| diagnostics)
        .filter(|it| it.is_error())
        .count();
    match output.format {
        Format::Json => {
            let all = found
                .iter()
                .flat_map(|(.., diagnostics)| diagnostics)
                .map(json)
                .collect::<Vec<_>>();
            output.data(&format!("[{}]", all.join(",")))?;
        }
        Format::Name => {
            let bad = found
                .iter()
                .filter(|(.., diagnostics)| diagnostics.iter().any(Diagnostic::is_error));
            output.data(
                &bad.map(|(path, ..)| format!("{}\n", path.display()))
                    .collect::<String>(),
            )?;
        }
        Format::Table => {
            for (path, xml, diagnostics) in &found {
                let source = String::from_utf8_lossy(xml);
                for diagnostic in diagnostics {
                    output.data(&rendered(diagnostic, &source, output.style))?;
                }
                output.message(&verdict(path, diagnostics));
            }
        }
    }
    Ok(if errors == 0 { Exit::Ok } else { Exit::Failed })
}

fn verdict(path: &Path, diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|it| it.is_error()).count();
    let warnings = diagnostics.len() - errors;
    let verdict = if errors == 0 {
        "can be deployed"
    } else {
        "would be refused"
    };
    format!(
        "{}: {verdict}, {errors} errors, {warnings} warnings",
        path.display()
    )
}

/// Finding, source line, caret, remedy.
fn rendered(diagnostic: &Diagnostic, source: &str, style: Style) -> String {
    let head = format!("{}[{}]:", diagnostic.severity, diagnostic.code);
    let head = if diagnostic.is_error() {
        style.error(&head)
    } else {
        style.warning(&head)
    };
    let element = match (&diagnostic.element_kind, &diagnostic.element_id) {
        (Some(kind), Some(id)) => format!("  {kind} '{id}'"),
        _ => String::new(),
    };
    let gutter = diagnostic.line.to_string().len();
    let bar = format!("{} {}", " ".repeat(gutter), style.faint("|"));
    let mut text = format!(
        "{head} {}\n{}--> {}:{}:{}{element}\n",
        diagnostic.message,
        " ".repeat(gutter),
        diagnostic.file,
        diagnostic.line,
        diagnostic.column,
    );
    if let Some((line, caret)) = excerpt(source, diagnostic.line, diagnostic.column) {
        text.push_str(&format!(
            "{bar}\n{} {} {line}\n",
            diagnostic.line,
            style.faint("|")
        ));
        text.push_str(&format!(
            "{bar} {}{}\n",
            " ".repeat(caret),
            style.error("^")
        ));
    }
    if !diagnostic.help.is_empty() {
        text.push_str(&format!(
            "{} {} {}\n",
            " ".repeat(gutter),
            style.strong("help:"),
            diagnostic.help
        ));
    }
    text + "\n"
}

/// A model drawn by a tool may have all of it on one line.
const EXCERPT_MAX: usize = 110;

/// The source line, cut around the column, without what would move the caret; and where the caret stands.
fn excerpt(source: &str, line: u32, column: u32) -> Option<(String, usize)> {
    let line = source.lines().nth((line as usize).checked_sub(1)?)?;
    let characters: Vec<char> = line
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let at = (column as usize).saturating_sub(1).min(characters.len());
    let indent = characters
        .iter()
        .take(at)
        .take_while(|c| c.is_whitespace())
        .count();
    let from = if at > EXCERPT_MAX {
        at - EXCERPT_MAX / 2
    } else {
        indent
    };
    let shown = characters
        .get(from..)?
        .iter()
        .take(EXCERPT_MAX)
        .collect::<String>();
    Some((shown.trim_end().to_owned(), at - from))
}

fn json(diagnostic: &Diagnostic) -> String {
    let mut object = Object::new()
        .text("code", &diagnostic.code.to_string())
        .text("severity", &diagnostic.severity.to_string())
        .text("file", &diagnostic.file)
        .number("line", i64::from(diagnostic.line))
        .number("column", i64::from(diagnostic.column));
    for (name, value) in [
        ("elementId", &diagnostic.element_id),
        ("elementKind", &diagnostic.element_kind),
    ] {
        object = match value {
            Some(value) => object.text(name, value),
            None => object.raw(name, "null"),
        };
    }
    object
        .text("message", &diagnostic.message)
        .text("help", &diagnostic.help)
        .into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_column_whatever_stands_before() {
        assert_eq!(excerpt("<a>\n\t<ü b>", 2, 5), Some(("<ü b>".to_owned(), 3)));
        let long = format!("{}<x/>", " ".repeat(500));
        let (shown, caret) = excerpt(&long, 1, 501).unwrap();
        assert_eq!(shown.chars().nth(caret), Some('<'));
    }

    #[test]
    fn a_place_outside_of_the_source_has_no_excerpt() {
        assert_eq!(excerpt("a", 2, 1), None);
        assert_eq!(excerpt("a", 0, 1), None);
    }
}
