//! What stands between operators: literals, names, keyword expressions, and what may follow them (`.name`, `[filter]`,
//! `(arguments)`).

use super::operator::{Precedence, comparison};
use super::scope::Frame;
use super::{NESTING_MAX, Parser, Step, is_reserved};
use crate::lexer::{Token, unescape};
use crate::number::Number;
use crate::program::{Domain, Iteration, Lambda, Node, NodeId, push_run};
use crate::temporal::parse_literal;
use crate::value::{Text, Value};

impl Parser<'_> {
    pub(super) fn operand(&mut self) -> Step {
        let mut negative = false;
        let mut signed = false;
        while self.take("-")? {
            negative = !negative;
            signed = true;
        }
        let node = self.primary()?;
        let node = self.postfix(node)?;
        if !signed {
            return Ok(node);
        }
        if let Some(Value::Number(number)) = self.program.as_constant(node) {
            let number = if negative { number.neg() } else { *number };
            return Ok(self.program.constant(Value::Number(number)));
        }
        // Two signs cancel out, but what is no number is still null.
        let once = self.program.add(Node::Negate(node));
        Ok(if negative {
            once
        } else {
            self.program.add(Node::Negate(once))
        })
    }

    fn primary(&mut self) -> Step {
        let text = self.slice(self.current);
        match self.current.token {
            Token::Number => {
                let value = text.parse::<Number>().map(Value::Number);
                let value = value.map_err(|_| self.expected("a number of the decimal128 range"))?;
                self.literal(value)
            }
            Token::Text => self.literal(Value::from(unescape(text))),
            Token::At => {
                let literal = unescape(text.get(1..).unwrap_or_default());
                self.literal(parse_literal(&literal).unwrap_or(Value::Null))
            }
            Token::Escaped => {
                self.advance()?;
                Ok(self.resolve(text.trim_matches('`')))
            }
            Token::Word => self.word(text),
            Token::Symbol("?") => {
                self.advance()?;
                self.mentions_input = true;
                Ok(self.input())
            }
            Token::Symbol("(") => self.parenthesis(),
            Token::Symbol("[") => self.list(),
            Token::Symbol("]") => self.open_range(),
            Token::Symbol("{") => self.context(),
            Token::Symbol(symbol @ ("<" | "<=" | ">" | ">=")) => {
                // A comparison without a left side is one with the input.
                self.advance()?;
                let operator = comparison(symbol).expect("invariant: those are comparisons");
                let operand = self.expression(Precedence::SUM)?;
                let input = self.input();
                Ok(self.program.add(Node::InputCompare {
                    operator,
                    input,
                    operand,
                }))
            }
            _ => Err(self.expected("an expression")),
        }
    }

    fn literal(&mut self, value: Value) -> Step {
        self.advance()?;
        Ok(self.program.constant(value))
    }

    fn word(&mut self, word: &str) -> Step {
        if let Some((name, open)) = self.call_name()? {
            self.advance_from(open.end)?;
            return self.call(&name);
        }
        match word {
            "null" => self.literal(Value::Null),
            "true" => self.literal(Value::Bool(true)),
            "false" => self.literal(Value::Bool(false)),
            "if" => self.if_expression(),
            "for" => self.for_expression(),
            "some" => self.quantified(true),
            "every" => self.quantified(false),
            "function" => self.function(),
            _ if is_reserved(word) => Err(self.expected("an expression")),
            _ => {
                self.advance()?;
                Ok(self.resolve(word))
            }
        }
    }

    pub(super) fn postfix(&mut self, mut node: NodeId) -> Step {
        let mut length = 0;
        loop {
            length += 1;
            if length > NESTING_MAX {
                let message = format!("more than {NESTING_MAX} paths, filters and calls in a row");
                return Err(self.error_at(self.current.start, message));
            }
            node = match self.current.token {
                Token::Symbol(".") => self.path(node)?,
                Token::Symbol("[") if self.ends_range()? => return Ok(node),
                Token::Symbol("[") => self.filter(node)?,
                Token::Symbol("(") if self.can_be_called(node) => {
                    self.advance()?;
                    let name = self.name_of(node);
                    self.invoke(node, None, &name)?
                }
                _ => return Ok(node),
            };
        }
    }

    /// At the upper bound of a range `[` ends it (`[1..10[`) unless an expression follows, which makes it a filter.
    fn ends_range(&self) -> Step<bool> {
        if self.range_end != Some(self.depth) {
            return Ok(false);
        }
        let next = self.peek()?;
        Ok(match next.token {
            Token::Number | Token::Text | Token::At | Token::Escaped => false,
            Token::Word => {
                is_reserved(self.slice(next))
                    && !matches!(self.slice(next), "not" | "if" | "true" | "false")
            }
            Token::Symbol(symbol) => !matches!(symbol, "-" | "(" | "[" | "{" | "?"),
            Token::End => true,
        })
    }

    fn can_be_called(&self, node: NodeId) -> bool {
        matches!(
            self.program.node(node),
            Node::Path { .. }
                | Node::Lambda(_)
                | Node::Invoke { .. }
                | Node::Index { .. }
                | Node::If(_)
        )
    }

    /// What a message calls a function that is no name.
    fn name_of(&self, node: NodeId) -> String {
        match self.program.node(node) {
            Node::Path { name, .. } => self.program.name_at(name).to_string(),
            _ => "(anonymous)".to_owned(),
        }
    }

    fn path(&mut self, target: NodeId) -> Step {
        self.advance()?;
        let text = self.slice(self.current);
        let name = match self.current.token {
            Token::Escaped => text.trim_matches('`').to_owned(),
            Token::Word if !is_reserved(text) => {
                // The only properties of two words.
                let next = self.peek()?;
                let second = if next.token == Token::Word {
                    self.slice(next)
                } else {
                    ""
                };
                let long = matches!(
                    (text, second),
                    ("time", "offset") | ("start" | "end", "included")
                );
                if long {
                    self.advance()?;
                    format!("{text} {second}")
                } else {
                    text.to_owned()
                }
            }
            _ => return Err(self.expected("a name after the point")),
        };
        self.advance()?;
        let name = self.program.name(&name);
        Ok(self.program.add(Node::Path { target, name }))
    }

    fn filter(&mut self, target: NodeId) -> Step {
        self.advance()?;
        let mark = self.frame().mark();
        let item = self.frame().bind_item();
        self.frame().enter_loop();
        let body = self.expression(Precedence::LOWEST)?;
        self.frame().leave_loop();
        self.frame().release(&mark);
        self.expect("]")?;
        let index = self
            .program
            .as_constant(body)
            .and_then(Value::as_number)
            .map(Number::to_i64);
        let node = match index {
            Some(Some(index)) => Node::Index { target, index },
            // A fraction or a number out of range is no place in any list.
            Some(None) => Node::Index { target, index: 0 },
            None => Node::Filter {
                target,
                body,
                item,
                predicate: self.is_predicate(body),
            },
        };
        Ok(self.program.add(node))
    }

    /// Can it only be a truth value or null, never an index?
    fn is_predicate(&self, body: NodeId) -> bool {
        matches!(
            self.program.node(body),
            Node::Compare { .. }
                | Node::And(_)
                | Node::Or(_)
                | Node::Between { .. }
                | Node::In { .. }
                | Node::InstanceOf { .. }
                | Node::Quantified { .. }
        )
    }

    fn if_expression(&mut self) -> Step {
        self.advance()?;
        let condition = self.expression(Precedence::LOWEST)?;
        self.expect_word("then")?;
        let then = self.expression(Precedence::LOWEST)?;
        self.expect_word("else")?;
        let otherwise = self.expression(Precedence::LOWEST)?;
        let links = self.program.link(&[condition, then, otherwise]);
        Ok(self.program.add(Node::If(links)))
    }

    /// `x in domain, y in domain`, up to the word before the body.
    fn iterators(&mut self) -> Step<Vec<Iteration>> {
        let mut iterators = Vec::new();
        loop {
            let name = self.binder()?;
            self.expect_word("in")?;
            let first = self.expression(Precedence::LOWEST)?;
            let domain = if self.take("..")? {
                Domain::Count(first, self.expression(Precedence::LOWEST)?)
            } else {
                Domain::List(first)
            };
            let slot = self.frame().bind(&name);
            iterators.push(Iteration { slot, domain });
            self.frame().enter_loop();
            if !self.take(",")? {
                return Ok(iterators);
            }
        }
    }

    fn leave_iterators(&mut self, count: usize) {
        for _ in 0..count {
            self.frame().leave_loop();
        }
    }

    fn for_expression(&mut self) -> Step {
        self.advance()?;
        let mark = self.frame().mark();
        let iterators = self.iterators()?;
        self.expect_word("return")?;
        let partial = self.frame().bind("partial");
        let body = self.expression(Precedence::LOWEST)?;
        let partial = self.frame().was_read(partial).then_some(partial);
        self.leave_iterators(iterators.len());
        self.frame().release(&mark);
        let iterators = push_run(&mut self.program.iterators, iterators);
        Ok(self.program.add(Node::For {
            iterators,
            body,
            partial,
        }))
    }

    fn quantified(&mut self, some: bool) -> Step {
        self.advance()?;
        let mark = self.frame().mark();
        let iterators = self.iterators()?;
        self.expect_word("satisfies")?;
        let body = self.expression(Precedence::LOWEST)?;
        self.leave_iterators(iterators.len());
        self.frame().release(&mark);
        let iterators = push_run(&mut self.program.iterators, iterators);
        Ok(self.program.add(Node::Quantified {
            some,
            iterators,
            body,
        }))
    }

    fn function(&mut self) -> Step {
        self.advance()?;
        self.expect("(")?;
        let mut frame = Frame::new();
        let mut parameters: Vec<Text> = Vec::new();
        while !self.at(")") {
            let name = self.binder()?;
            if self.take(":")? {
                self.type_name()?; // Checked for form only: feel-scala does not coerce arguments.
            }
            frame.bind(&name);
            parameters.push(name.into());
            if !self.take(",")? {
                break;
            }
        }
        self.expect(")")?;
        if self.at_word("external") {
            return Err(self.error_at(
                self.current.start,
                "external functions are not supported".to_owned(),
            ));
        }
        self.frames.push(frame);
        let body = self.expression(Precedence::LOWEST)?;
        let frame = self
            .frames
            .pop()
            .expect("invariant: the function's frame was pushed");
        let slots = frame.slots();
        let captures = frame.captures().into_iter().map(|(_, node)| node).collect();
        self.program.lambdas.push(Lambda {
            parameters,
            body,
            captures,
            slots,
        });
        Ok(self
            .program
            .add(Node::Lambda(self.program.lambdas.len() as u32 - 1)))
    }
}
