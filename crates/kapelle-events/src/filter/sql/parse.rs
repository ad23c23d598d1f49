//! Tokens to a tree. Precedence, tightest first: `NOT` and minus · `LIKE`, `EXISTS`, `IN` · `* / %` · `+ -` ·
//! comparisons · `AND` · `OR`, `XOR` (CESQL 1.0 §3.4).

use std::fmt;
use std::ops::Range;

use super::function::Function;
use super::like::Pattern;
use super::token::{Token, tokens};

/// Longer texts are refused: a filter is a condition, not a program.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Brackets and signs in each other: the parser recurses through all levels of precedence for each, and 64 of those fit
/// the 2 MiB of a usual thread in a debug build.
const NESTING_MAX: usize = 64;

/// How deep a tree may be, with the links of a chain like `1 + 1 + 1`; evaluation recurses as deep.
const DEPTH_MAX: usize = 200;

/// A text is no expression: where, what was expected, what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Bytes before it.
    pub offset: usize,
    /// What would have been right.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl SyntaxError {
    pub(super) fn new(offset: usize, expected: impl Into<String>, found: String) -> Self {
        Self {
            offset,
            expected: expected.into(),
            found,
        }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offset,
            expected,
            found,
        } = self;
        write!(f, "expected {expected} at byte {offset}, found {found}")
    }
}

impl std::error::Error for SyntaxError {}

/// An expression and where it is written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
    /// Nodes inside each other below this one, itself included.
    depth: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Boolean(bool),
    Integer(i32),
    Text(Box<str>),
    /// The name is in lower case, as all attributes are.
    Attribute(Box<str>),
    Exists(Box<str>),
    Not(Box<Node>),
    Negative(Box<Node>),
    Math(Operator, Box<Node>, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    /// At least two; a chain is one node, so that it is not deep.
    And(Vec<Node>),
    Or(Vec<Node>),
    Xor(Box<Node>, Box<Node>),
    Like {
        value: Box<Node>,
        pattern: Pattern,
        negated: bool,
    },
    In {
        value: Box<Node>,
        set: Vec<Node>,
        negated: bool,
    },
    Call(Function, Vec<Node>),
    /// No function has this name and takes so many arguments.
    Unknown {
        name: Box<str>,
        arguments: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Node {
    /// The nodes directly inside.
    fn inner(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::Boolean(_)
            | Kind::Integer(_)
            | Kind::Text(_)
            | Kind::Attribute(_)
            | Kind::Exists(_)
            | Kind::Unknown { .. } => Vec::new(),
            Kind::Not(inner) | Kind::Negative(inner) | Kind::Like { value: inner, .. } => {
                vec![inner]
            }
            Kind::Math(_, left, right) | Kind::Compare(_, left, right) | Kind::Xor(left, right) => {
                vec![left, right]
            }
            Kind::And(terms) | Kind::Or(terms) | Kind::Call(_, terms) => terms.iter().collect(),
            Kind::In { value, set, .. } => std::iter::once(&**value).chain(set).collect(),
        }
    }

    /// Shows every node to `look`.
    pub(super) fn visit<'n>(&'n self, look: &mut impl FnMut(&'n Node)) {
        look(self);
        for inner in self.inner() {
            inner.visit(look);
        }
    }
}

/// Compiles a text.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    if text.len() > TEXT_BYTES_MAX {
        let expected = format!("the end, as an expression has {TEXT_BYTES_MAX} bytes at most");
        return Err(SyntaxError::new(
            TEXT_BYTES_MAX,
            expected,
            format!("{} bytes", text.len()),
        ));
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        nesting: 0,
    };
    let node = parser.disjunction()?;
    match parser.peek() {
        Token::End => Ok(node),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    at: usize,
    /// Calls of the parser inside each other.
    nesting: usize,
}

type Parsed = Result<Node, SyntaxError>;

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn begin(&self) -> usize {
        self.tokens[self.at].1.start
    }

    fn end(&self) -> usize {
        self.at
            .checked_sub(1)
            .map_or(0, |before| self.tokens[before].1.end)
    }

    fn unexpected(&self, expected: &str) -> SyntaxError {
        let found = match self.peek() {
            Token::End => "the end".to_owned(),
            Token::Word(word) => format!("`{word}`"),
            Token::Integer(number) => format!("`{number}`"),
            Token::Text(text) => format!("the text \"{text}\""),
            Token::Symbol(symbol) => format!("`{symbol}`"),
        };
        SyntaxError::new(self.begin(), expected, found)
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        self.at += usize::from(found);
        found
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(next) if *next == symbol);
        self.at += usize::from(found);
        found
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<(), SyntaxError> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("`{symbol}`")))
        }
    }

    fn node(&self, kind: Kind, begin: usize) -> Parsed {
        let mut node = Node {
            kind,
            span: begin..self.end(),
            depth: 0,
        };
        node.depth = 1 + node
            .inner()
            .iter()
            .map(|inner| inner.depth)
            .max()
            .unwrap_or(0);
        if node.depth > DEPTH_MAX {
            return Err(too_deep(begin, DEPTH_MAX));
        }
        Ok(node)
    }

    fn disjunction(&mut self) -> Parsed {
        let begin = self.begin();
        let left = self.conjunction()?;
        if self.take_keyword("XOR") {
            let right = self.nested(Self::disjunction)?;
            return self.node(Kind::Xor(Box::new(left), Box::new(right)), begin);
        }
        let mut terms = vec![left];
        while self.take_keyword("OR") {
            let place = self.begin();
            let term = self.conjunction()?;
            // Right associative: the rest of the chain belongs to the XOR.
            if self.take_keyword("XOR") {
                let right = self.nested(Self::disjunction)?;
                terms.push(self.node(Kind::Xor(Box::new(term), Box::new(right)), place)?);
                break;
            }
            terms.push(term);
        }
        self.chain(terms, Kind::Or, begin)
    }

    fn conjunction(&mut self) -> Parsed {
        let begin = self.begin();
        let mut terms = vec![self.comparison()?];
        while self.take_keyword("AND") {
            terms.push(self.comparison()?);
        }
        self.chain(terms, Kind::And, begin)
    }

    fn chain(&self, mut terms: Vec<Node>, kind: fn(Vec<Node>) -> Kind, begin: usize) -> Parsed {
        match terms.len() {
            1 => Ok(terms.remove(0)),
            _ => self.node(kind(terms), begin),
        }
    }

    fn comparison(&mut self) -> Parsed {
        let begin = self.begin();
        let mut left = self.sum()?;
        loop {
            let comparison = match self.peek() {
                Token::Symbol("=") => Comparison::Equal,
                Token::Symbol("!=" | "<>") => Comparison::NotEqual,
                Token::Symbol("<") => Comparison::Less,
                Token::Symbol("<=") => Comparison::LessOrEqual,
                Token::Symbol(">") => Comparison::Greater,
                Token::Symbol(">=") => Comparison::GreaterOrEqual,
                _ => return Ok(left),
            };
            self.at += 1;
            let right = self.sum()?;
            left = self.node(
                Kind::Compare(comparison, Box::new(left), Box::new(right)),
                begin,
            )?;
        }
    }

    fn sum(&mut self) -> Parsed {
        self.binary(Self::product, |token| match token {
            Token::Symbol("+") => Some(Operator::Add),
            Token::Symbol("-") => Some(Operator::Subtract),
            _ => None,
        })
    }

    fn product(&mut self) -> Parsed {
        self.binary(Self::membership, |token| match token {
            Token::Symbol("*") => Some(Operator::Multiply),
            Token::Symbol("/") => Some(Operator::Divide),
            Token::Symbol("%") => Some(Operator::Remainder),
            _ => None,
        })
    }

    fn binary(
        &mut self,
        operand: fn(&mut Self) -> Parsed,
        operator: fn(&Token) -> Option<Operator>,
    ) -> Parsed {
        let begin = self.begin();
        let mut left = operand(self)?;
        while let Some(operator) = operator(self.peek()) {
            self.at += 1;
            let right = operand(self)?;
            left = self.node(Kind::Math(operator, Box::new(left), Box::new(right)), begin)?;
        }
        Ok(left)
    }

    /// `LIKE` and `IN`, which bind tighter than any arithmetic.
    fn membership(&mut self) -> Parsed {
        let begin = self.begin();
        let mut value = self.unary()?;
        loop {
            let before = self.at;
            let negated = self.take_keyword("NOT");
            let value_box = Box::new(value);
            let kind = if self.take_keyword("LIKE") {
                let Token::Text(pattern) = self.peek() else {
                    return Err(self.unexpected("a text in quotes as the pattern of LIKE"));
                };
                let pattern = Pattern::new(pattern);
                self.at += 1;
                Kind::Like {
                    value: value_box,
                    pattern,
                    negated,
                }
            } else if self.take_keyword("IN") {
                self.expect_symbol("(")?;
                let set = self.list()?;
                if set.is_empty() {
                    self.at -= 1;
                    return Err(self.unexpected("at least one value in the set of IN"));
                }
                Kind::In {
                    value: value_box,
                    set,
                    negated,
                }
            } else {
                self.at = before;
                return Ok(*value_box);
            };
            value = self.node(kind, begin)?;
        }
    }

    fn unary(&mut self) -> Parsed {
        let begin = self.begin();
        if self.take_keyword("NOT") {
            let inner = self.nested(Self::unary)?;
            return self.node(Kind::Not(Box::new(inner)), begin);
        }
        if !self.take_symbol("-") {
            return self.atom();
        }
        // The smallest integer has no positive counterpart, so the sign belongs to the literal.
        if let Token::Integer(number) = *self.peek() {
            let number = i64::try_from(number)
                .ok()
                .and_then(|number| i32::try_from(-number).ok());
            let number = number.ok_or_else(|| self.unexpected("an integer of 32 bits"))?;
            self.at += 1;
            return self.node(Kind::Integer(number), begin);
        }
        let inner = self.nested(Self::unary)?;
        self.node(Kind::Negative(Box::new(inner)), begin)
    }

    fn atom(&mut self) -> Parsed {
        let begin = self.begin();
        let kind = match self.peek().clone() {
            Token::Integer(number) => {
                let number =
                    i32::try_from(number).map_err(|_| self.unexpected("an integer of 32 bits"))?;
                self.at += 1;
                Kind::Integer(number)
            }
            Token::Text(text) => {
                self.at += 1;
                Kind::Text(text)
            }
            Token::Symbol("(") => {
                self.at += 1;
                let inner = self.nested(Self::disjunction)?;
                self.expect_symbol(")")?;
                return Ok(inner);
            }
            Token::Word(word) => return self.word(&word, begin),
            Token::Symbol(_) | Token::End => return Err(self.unexpected("an expression")),
        };
        self.node(kind, begin)
    }

    fn word(&mut self, word: &str, begin: usize) -> Parsed {
        let upper = word.to_ascii_uppercase();
        let kind = match upper.as_str() {
            "TRUE" => Kind::Boolean(true),
            "FALSE" => Kind::Boolean(false),
            "EXISTS" => {
                self.at += 1;
                Kind::Exists(self.attribute()?)
            }
            "AND" | "OR" | "XOR" | "LIKE" | "IN" => return Err(self.unexpected("an expression")),
            _ if matches!(self.tokens[self.at + 1].0, Token::Symbol("(")) => {
                self.at += 2;
                return self.call(&upper, begin);
            }
            _ => {
                let name = self.attribute()?;
                return self.node(Kind::Attribute(name), begin);
            }
        };
        if !matches!(kind, Kind::Exists(_)) {
            self.at += 1;
        }
        self.node(kind, begin)
    }

    fn attribute(&mut self) -> Result<Box<str>, SyntaxError> {
        match self.peek() {
            Token::Word(name) if !name.contains('_') => {
                let name = name.to_ascii_lowercase().into();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("the name of an attribute")),
        }
    }

    fn call(&mut self, name: &str, begin: usize) -> Parsed {
        let arguments = self.list()?;
        let kind = match Function::find(name, arguments.len()) {
            Some(function) => Kind::Call(function, arguments),
            None => Kind::Unknown {
                name: name.into(),
                arguments: arguments.len(),
            },
        };
        self.node(kind, begin)
    }

    /// Expressions up to the closing bracket.
    fn list(&mut self) -> Result<Vec<Node>, SyntaxError> {
        let mut items = Vec::new();
        if self.take_symbol(")") {
            return Ok(items);
        }
        loop {
            items.push(self.nested(Self::disjunction)?);
            if !self.take_symbol(",") {
                self.expect_symbol(")")?;
                return Ok(items);
            }
        }
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Parsed) -> Parsed {
        if self.nesting >= NESTING_MAX {
            return Err(too_deep(self.begin(), NESTING_MAX));
        }
        self.nesting += 1;
        let node = parse(self);
        self.nesting -= 1;
        node
    }
}

fn too_deep(offset: usize, max: usize) -> SyntaxError {
    let expected = format!("at most {max} expressions inside each other");
    SyntaxError::new(offset, expected, "more".to_owned())
}
