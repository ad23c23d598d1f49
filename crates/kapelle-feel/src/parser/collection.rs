//! What is in brackets: parentheses, lists, contexts, ranges.

use super::operator::Precedence;
use super::{Parser, Step, is_reserved};
use crate::lexer::{self, Token, unescape};
use crate::program::{Entry, Node, NodeId, push_run};

impl Parser<'_> {
    /// `(expression)`, a range that leaves its start out, or one that is open on a side: `(< 10)`.
    pub(super) fn parenthesis(&mut self) -> Step {
        self.advance()?;
        if let Token::Symbol(symbol @ ("<" | "<=" | ">" | ">=")) = self.current.token {
            return self.half_range(symbol);
        }
        let first = self.expression(Precedence::LOWEST)?;
        if self.at("..") {
            return self.range(first, false);
        }
        self.expect(")")?;
        Ok(first)
    }

    fn half_range(&mut self, symbol: &str) -> Step {
        self.advance()?;
        let bound = Some(self.expression(Precedence::SUM)?);
        self.expect(")")?;
        let included = symbol.ends_with('=');
        let (start, end) = if symbol.starts_with('<') {
            (None, bound)
        } else {
            (bound, None)
        };
        let (start_included, end_included) =
            (start.is_some() && included, end.is_some() && included);
        Ok(self.program.add(Node::Range {
            start,
            end,
            start_included,
            end_included,
        }))
    }

    /// A list, or a range with its start.
    pub(super) fn list(&mut self) -> Step {
        self.advance()?;
        let mut items = Vec::new();
        if !self.at("]") {
            items.push(self.expression(Precedence::LOWEST)?);
            if let ([first], true) = (items.as_slice(), self.at("..")) {
                return self.range(*first, true);
            }
            while self.take(",")? {
                items.push(self.expression(Precedence::LOWEST)?);
            }
        }
        if !self.at("]") {
            return Err(self.expected("`,` or `]`"));
        }
        self.advance()?;
        let items = self.program.link(&items);
        Ok(self.program.add(Node::List(items)))
    }

    /// `]1..10]`: a range that leaves its start out.
    pub(super) fn open_range(&mut self) -> Step {
        self.advance()?;
        let start = self.expression(Precedence::SUM)?;
        if !self.at("..") {
            return Err(self.expected("`..`"));
        }
        self.range(start, false)
    }

    /// From the two points on.
    pub(super) fn range(&mut self, start: NodeId, start_included: bool) -> Step {
        self.advance()?;
        let outer = self.range_end.replace(self.depth + 1);
        let end = self.expression(Precedence::SUM)?;
        self.range_end = outer;
        let end_included = match self.current.token {
            Token::Symbol("]") => true,
            Token::Symbol(")" | "[") => false,
            _ => return Err(self.expected("the end of the range: `]`, `)` or `[`")),
        };
        self.advance()?;
        Ok(self.program.add(Node::Range {
            start: Some(start),
            end: Some(end),
            start_included,
            end_included,
        }))
    }

    /// A context. Keys are read past the lexer: they may hold what is no token.
    pub(super) fn context(&mut self) -> Step {
        let mark = self.frame().mark();
        let mut entries = Vec::new();
        let mut slots = Vec::new();
        let mut at = self.current.end;
        let empty = lexer::skip_space(self.text, at).map_err(|error| self.lex_error(&error))?;
        if self
            .text
            .get(empty..)
            .is_some_and(|rest| rest.starts_with('}'))
        {
            self.advance()?;
        } else {
            loop {
                let (name, value_at) = self.context_key(at)?;
                self.advance_from(value_at)?;
                let value = self.expression(Precedence::LOWEST)?;
                slots.push(self.frame().bind(&name));
                entries.push(Entry {
                    name: name.into(),
                    value,
                    slot: None,
                });
                if !self.at(",") {
                    break;
                }
                at = self.current.end;
            }
        }
        if !self.at("}") {
            return Err(self.expected("`,` or `}`"));
        }
        self.advance()?;
        for (entry, slot) in entries.iter_mut().zip(slots) {
            entry.slot = self.frame().was_read(slot).then_some(slot);
        }
        self.frame().release(&mark);
        let entries = push_run(&mut self.program.entries, entries);
        Ok(self.program.add(Node::Context(entries)))
    }

    /// A key, and where the value begins. A key is a text, a name in backticks, or all up to the colon.
    fn context_key(&self, at: usize) -> Step<(String, usize)> {
        let start = lexer::skip_space(self.text, at).map_err(|error| self.lex_error(&error))?;
        let rest = self.text.get(start..).unwrap_or_default();
        let (name, end) = if rest.starts_with(['"', '`']) {
            let spanned = lexer::next(self.text, start).map_err(|error| self.lex_error(&error))?;
            let text = self.slice(spanned);
            let name = if rest.starts_with('"') {
                unescape(text)
            } else {
                text.trim_matches('`').to_owned()
            };
            (name, spanned.end)
        } else {
            let len = rest
                .find([':', ',', '{', '}', '[', ']', '(', ')', '"', '`'])
                .unwrap_or(rest.len());
            let name = rest.get(..len).unwrap_or_default().trim();
            if name.is_empty() {
                return Err(self.error_at(start, "expected a key".to_owned()));
            }
            if is_reserved(name) {
                return Err(self.error_at(
                    start,
                    format!("`{name}` is a keyword; as a key it needs quotes"),
                ));
            }
            (name.to_owned(), start + len)
        };
        let colon = lexer::skip_space(self.text, end).map_err(|error| self.lex_error(&error))?;
        if self.text.as_bytes().get(colon) != Some(&b':') {
            return Err(self.error_at(colon, format!("expected `:` after the key `{name}`")));
        }
        Ok((name, colon + 1))
    }
}
