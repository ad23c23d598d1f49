//! The rule of a source: how its records that are no CloudEvents become some.
//!
//! **Invariant**: a rule that exists reads only what a record of its source has.

use kapelle_events::rule::{self, VARIABLES};
use kapelle_feel::Expr;

use super::section::{Reader, Section as _, section};
use super::suggest::closest;
use super::tree::{Node, Raw, Tree};

section! {
    /// How records of a source that are no CloudEvents become some: `[sources.NAME.rule]`, for a source of any kind
    /// ([more](source-rules.md)). Without a rule they are kept and rejected.
    pub(crate) struct Rule in "rule" {
        /// Gives the type; needed. Since 0.1.
        r#type: Option<Expr> = None,
        /// Gives the source; `/kapelle/sources/NAME` where there is none. Since 0.1.
        source: Option<Expr> = None,
        /// Gives the id; a hash of the record where there is none. Since 0.1.
        id: Option<Expr> = None,
        /// Gives the subject. Since 0.1.
        subject: Option<Expr> = None,
        /// Gives `partitionkey`: what keeps its order. Since 0.1.
        key: Option<Expr> = None,
        /// Gives the time: a date and time, or the text of one. Since 0.1.
        time: Option<Expr> = None,
        /// Gives the data; the record's body, byte for byte, where there is none. Since 0.1.
        data: Option<Expr> = None,
    }
}

impl Rule {
    /// What is written under `rule` in a source, beside the source without it.
    pub(super) fn split(source: &Node) -> (Node, Option<Node>) {
        let mut source = source.clone();
        let rule = match &mut source.raw {
            Raw::Table(Tree(entries)) => entries.remove(Self::NAME),
            _ => None,
        };
        (source, rule)
    }

    /// Reads it for a source whose records lie in that `place`.
    pub(super) fn read(node: &Node, place: &[&str], reader: &mut Reader) -> Option<rule::Rule> {
        let before = reader.problems.len();
        let mut read = Self::default();
        read.take(node, reader);
        if let Raw::Table(table) = &node.raw
            && table.find(&["type"]).is_none()
        {
            reader.wrong(node, "needs `type`".to_owned());
        }
        let Self {
            r#type,
            source,
            id,
            subject,
            key,
            time,
            data,
        } = read;
        let rule = rule::Rule {
            event_type: r#type?,
            source,
            id,
            subject,
            key,
            time,
            data,
        };
        let known = [&VARIABLES, place].concat();
        for (name, expr) in rule.expressions() {
            let written = match &node.raw {
                Raw::Table(table) => table.find(&[name]).unwrap_or(node),
                _ => node,
            };
            for unknown in unknown(expr, &known) {
                let help = match closest(unknown, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "it has {}; a text stands in quotes of its own, such as '\"order.placed\"'",
                        known.join(", ")
                    ),
                };
                let message =
                    format!("reads `{unknown}`, which no record of this source has: {help}");
                reader.at(name, |reader| reader.wrong(written, message));
            }
        }
        (reader.problems.len() == before).then_some(rule)
    }

    /// A rule as it is shown.
    pub(super) fn of(rule: &rule::Rule) -> Self {
        Self {
            r#type: Some(rule.event_type.clone()),
            source: rule.source.clone(),
            id: rule.id.clone(),
            subject: rule.subject.clone(),
            key: rule.key.clone(),
            time: rule.time.clone(),
            data: rule.data.clone(),
        }
    }
}

/// Names that an expression reads and nothing has. In a filter any name may be one of an item's entries.
fn unknown<'e>(expr: &'e Expr, known: &[&str]) -> impl Iterator<Item = &'e str> {
    let may_filter = expr.text().contains('[');
    expr.variables()
        .iter()
        .map(|name| &**name)
        .filter(move |name| !may_filter && !known.contains(name))
}
