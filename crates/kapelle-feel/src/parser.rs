//! Text to program: operator precedence over an explicit stack, so that only brackets and keywords recurse, and only as
//! deep as [`NESTING_MAX`].
//!
//! **Invariant:** parsing takes time in proportion to the text and never backs up over more than a few words (unary tests
//! that begin with `not(` once over their whole text). Names are resolved on the way (`scope`).
//!
//! Deliberately absent: knowledge of variables. A name means the same whatever exists, so an expression is compiled once.

mod call;
mod collection;
mod operand;
mod operator;
mod scope;
mod test;
mod type_name;

use crate::expr::ParseError;
use crate::lexer::{self, LexError, Spanned, Token};
use crate::program::{Node, NodeId, Program};
use crate::range::{Bound, Range};
use crate::value::Value;
use operator::Precedence;
use scope::Frame;

/// How deep brackets, calls and keywords may be nested. Deeper than any person writes; shallow enough for any stack.
pub(crate) const NESTING_MAX: u32 = 200;

/// How long a text may be: looking names up among their binders is quadratic in it.
pub(crate) const TEXT_MAX: usize = 128 << 10;

pub(crate) struct Parser<'t> {
    text: &'t str,
    current: Spanned,
    program: Program,
    /// One for each function definition that is being parsed, the outermost first. Never empty.
    frames: Vec<Frame>,
    depth: u32,
    /// At this depth a `[` may end a range.
    range_end: Option<u32>,
    /// Was there a `?` since this was last reset?
    mentions_input: bool,
}

type Step<T = NodeId> = Result<T, ParseError>;

pub(crate) fn parse_expression(text: &str) -> Step<Program> {
    let mut parser = Parser::new(text)?;
    let root = parser.expression(Precedence::LOWEST)?;
    parser.expect_end()?;
    let root = match parser.program.node(root) {
        Node::Range { .. } => {
            let input = parser.input();
            parser.program.add(Node::RangeOrTest { range: root, input })
        }
        _ => root,
    };
    Ok(parser.finish(root))
}

pub(crate) fn parse_unary_tests(text: &str) -> Step<Program> {
    let mut parser = Parser::new(text)?;
    let root = parser.unary_tests()?;
    parser.expect_end()?;
    Ok(parser.finish(root))
}

/// A range whose bounds are literals of one type, if the text is nothing else.
pub(crate) fn parse_range(text: &str) -> Option<Range> {
    let mut parser = Parser::new(text).ok()?;
    let root = parser.expression(Precedence::LOWEST).ok()?;
    parser.expect_end().ok()?;
    let Node::Range {
        start,
        end,
        start_included,
        end_included,
    } = parser.program.node(root)
    else {
        return None;
    };
    let value = |node: NodeId| {
        parser
            .program
            .as_constant(node)
            .filter(|value| value.has_order())
            .cloned()
    };
    let bound = |node: Option<NodeId>, included: bool| match node {
        None => Some(Bound::Open),
        Some(node) if included => value(node).map(Bound::Included),
        Some(node) => value(node).map(Bound::Excluded),
    };
    let range = Range {
        start: bound(start, start_included)?,
        end: bound(end, end_included)?,
    };
    let kinds = [&range.start, &range.end].map(|bound| bound.value().map(Value::type_name));
    if let [Some(low), Some(high)] = kinds
        && low != high
    {
        return None;
    }
    Some(range)
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Step<Parser<'t>> {
        let start = Spanned {
            token: Token::End,
            start: 0,
            end: 0,
        };
        let mut parser = Parser {
            text,
            current: start,
            program: Program::default(),
            frames: vec![Frame::new()],
            depth: 0,
            range_end: None,
            mentions_input: false,
        };
        if text.len() > TEXT_MAX {
            return Err(
                parser.error_at(0, format!("the expression is longer than {TEXT_MAX} bytes"))
            );
        }
        parser.advance()?;
        Ok(parser)
    }

    fn finish(mut self, root: NodeId) -> Program {
        self.program.set_root(root);
        self.program.local_slots = self.frames.first().map_or(0, Frame::slots);
        self.program
    }

    fn frame(&mut self) -> &mut Frame {
        self.frames
            .last_mut()
            .expect("invariant: the outermost frame stays")
    }

    fn resolve(&mut self, name: &str) -> NodeId {
        scope::resolve(&mut self.program, &mut self.frames, name)
    }

    /// The node that reads the input, `?`.
    fn input(&mut self) -> NodeId {
        self.resolve("?")
    }

    // Tokens.

    fn slice(&self, spanned: Spanned) -> &'t str {
        self.text
            .get(spanned.start..spanned.end)
            .unwrap_or_default()
    }

    fn advance(&mut self) -> Step<()> {
        self.advance_from(self.current.end)
    }

    fn advance_from(&mut self, at: usize) -> Step<()> {
        self.current = lexer::next(self.text, at).map_err(|error| self.lex_error(&error))?;
        Ok(())
    }

    /// The token after the current one.
    fn peek(&self) -> Step<Spanned> {
        self.peek_after(self.current)
    }

    fn peek_after(&self, spanned: Spanned) -> Step<Spanned> {
        lexer::next(self.text, spanned.end).map_err(|error| self.lex_error(&error))
    }

    fn at(&self, symbol: &str) -> bool {
        matches!(self.current.token, Token::Symbol(found) if found == symbol)
    }

    fn at_word(&self, word: &str) -> bool {
        self.current.token == Token::Word && self.slice(self.current) == word
    }

    /// Passes over a symbol if it is there.
    fn take(&mut self, symbol: &str) -> Step<bool> {
        let found = self.at(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, symbol: &str) -> Step<()> {
        if self.take(symbol)? {
            Ok(())
        } else {
            Err(self.expected(&format!("`{symbol}`")))
        }
    }

    fn expect_word(&mut self, word: &str) -> Step<()> {
        if !self.at_word(word) {
            return Err(self.expected(&format!("`{word}`")));
        }
        self.advance()
    }

    fn expect_end(&self) -> Step<()> {
        if self.current.token == Token::End {
            Ok(())
        } else {
            Err(self.expected("an operator or the end"))
        }
    }

    /// A name that something is bound to.
    fn binder(&mut self) -> Step<String> {
        let name = match self.current.token {
            Token::Word if !is_reserved(self.slice(self.current)) => self.slice(self.current),
            Token::Escaped => self.slice(self.current).trim_matches('`'),
            _ => return Err(self.expected("a name")),
        };
        self.advance()?;
        Ok(name.to_owned())
    }

    // Nesting.

    fn enter(&mut self) -> Step<()> {
        if self.depth == NESTING_MAX {
            let message = format!("the expression is nested more than {NESTING_MAX} deep");
            return Err(self.error_at(self.current.start, message));
        }
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    // Errors.

    fn expected(&self, what: &str) -> ParseError {
        let found = match self.current.token {
            Token::End => "the end".to_owned(),
            _ => {
                let text = self.slice(self.current);
                let shown: String = text.chars().take(30).collect();
                format!(
                    "`{shown}{}`",
                    if shown.len() < text.len() { "…" } else { "" }
                )
            }
        };
        self.error_at(
            self.current.start,
            format!("expected {what}, found {found}"),
        )
    }

    fn lex_error(&self, error: &LexError) -> ParseError {
        let found = self
            .text
            .get(error.at..)
            .and_then(|rest| rest.chars().next());
        let message = match (error.message, found) {
            ("unexpected character", Some(c)) => format!("unexpected character `{c}`"),
            (message, _) => message.to_owned(),
        };
        self.error_at(error.at, message)
    }

    fn error_at(&self, at: usize, message: String) -> ParseError {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        ParseError {
            message,
            line: line as u32,
            column: column as u32,
        }
    }
}

/// Words that are no names. In backticks they can be.
pub(crate) fn is_reserved(word: &str) -> bool {
    matches!(
        word,
        "null"
            | "true"
            | "false"
            | "function"
            | "if"
            | "then"
            | "else"
            | "for"
            | "return"
            | "some"
            | "every"
            | "satisfies"
            | "in"
            | "between"
            | "instance"
            | "of"
            | "and"
            | "or"
            | "not"
    )
}
