//! Attribute and text values: static text or expression.
//!
//! Invariant: a value that begins with `=` (after white space) is an expression everywhere, nothing else is. A value that
//! does not parse is reported once and stands for "absent". Deliberately absent: what a value means.

use std::sync::Arc;

use kapelle_feel::Expr;

use crate::diagnostic::Code;
use crate::graph::Text;
use crate::xml::{Document, NodeId};

use super::report::{At, Report};

/// How much of an expression a message repeats.
const QUOTED_CHARS_MAX: usize = 60;

/// The value of an attribute if it is there and not blank.
pub(super) fn attribute<'d>(document: &'d Document, id: NodeId, name: &str) -> Option<&'d str> {
    document
        .node(id)
        .value(name)
        .filter(|value| !value.trim().is_empty())
}

/// References are qualified names; in a document for one engine their prefix tells nothing.
pub(super) fn local_name(reference: &str) -> &str {
    reference
        .rsplit_once(':')
        .map_or(reference, |(_, local)| local)
}

/// An XML boolean. `None` if the attribute is absent or, which is reported, no boolean.
pub(super) fn boolean(
    document: &Document,
    report: &mut Report<'_>,
    id: NodeId,
    name: &str,
) -> Option<bool> {
    match document.node(id).value(name)?.trim() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        other => {
            let message = format!("attribute '{name}' is '{}'", quoted(other));
            report.rule(
                Code::InvalidValue,
                At::Attribute(id, name),
                message,
                "Write true or false.",
            );
            None
        }
    }
}

/// A value that may be static or an expression. `None` if the expression does not parse.
pub(super) fn text(report: &mut Report<'_>, at: At<'_>, value: &str) -> Option<Text> {
    match value.trim_start().strip_prefix('=') {
        Some(source) => expression(report, at, source).map(Text::Expr),
        None => Some(Text::Static(value.into())),
    }
}

/// An optional attribute that may be static or an expression.
pub(super) fn text_attribute(
    document: &Document,
    report: &mut Report<'_>,
    id: NodeId,
    name: &str,
) -> Option<Text> {
    let value = attribute(document, id, name)?;
    text(report, At::Attribute(id, name), value)
}

/// A value that must be an expression.
pub(super) fn required_expression(
    report: &mut Report<'_>,
    at: At<'_>,
    value: &str,
) -> Option<Expr> {
    match value.trim_start().strip_prefix('=') {
        Some(source) => expression(report, at, source),
        None => {
            let what = place(at);
            report.error(
                Code::ExpressionRequired,
                at,
                format!(
                    "{what} must be an expression, but is the static text '{}'",
                    quoted(value)
                ),
                format!(
                    "Write ={} for the value of a variable, or =\"{}\" for this very text.",
                    quoted(value),
                    quoted(value)
                ),
            );
            None
        }
    }
}

/// An optional attribute that must be an expression.
pub(super) fn expression_attribute(
    document: &Document,
    report: &mut Report<'_>,
    id: NodeId,
    name: &str,
) -> Option<Expr> {
    let value = attribute(document, id, name)?;
    required_expression(report, At::Attribute(id, name), value)
}

/// A value that must be constant.
pub(super) fn constant(report: &mut Report<'_>, at: At<'_>, value: &str) -> Option<Arc<str>> {
    if value.trim_start().starts_with('=') {
        let what = place(at);
        report.error(
            Code::ConstantRequired,
            at,
            format!(
                "{what} must be constant, but is the expression '{}'",
                quoted(value)
            ),
            "Write the text itself, without '='.",
        );
        return None;
    }
    Some(value.into())
}

fn expression(report: &mut Report<'_>, at: At<'_>, source: &str) -> Option<Expr> {
    let source = source.trim();
    match Expr::parse(source) {
        Ok(expr) => Some(expr),
        Err(error) => {
            let what = place(at);
            report.error(
                Code::Expression,
                at,
                format!(
                    "the expression '{}' in {what} does not parse: {} (line {}, column {})",
                    quoted(source),
                    error.message,
                    error.line,
                    error.column
                ),
                "Correct the FEEL expression; `kapelle feel eval` tries one out.",
            );
            None
        }
    }
}

pub(super) fn place(at: At<'_>) -> String {
    match at {
        At::Attribute(_, name) => format!("attribute '{name}'"),
        At::Node(_) | At::Text(_) => "the text of the element".to_owned(),
    }
}

/// Bounded, on one line.
pub(super) fn quoted(text: &str) -> String {
    let mut short: String = text
        .trim()
        .chars()
        .take(QUOTED_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.trim().chars().nth(QUOTED_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}
