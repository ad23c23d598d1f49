//! Unary tests: what stands in a cell of a decision table, and to the right of `in`.

use super::operator::{Precedence, comparison};
use super::{Parser, Step};
use crate::lexer::Token;
use crate::program::{Node, NodeId};
use crate::value::Value;

impl Parser<'_> {
    /// All of a cell: `-`, tests, or `not(tests)`.
    pub(super) fn unary_tests(&mut self) -> Step {
        if self.at("-") && self.peek()?.token == Token::End {
            self.advance()?;
            return Ok(self.program.constant(Value::Bool(true)));
        }
        if self.at_word("not") && self.peek()?.token == Token::Symbol("(") {
            let start = self.current.start;
            self.advance()?;
            self.advance()?;
            if let Ok(tests) = self.tests(Precedence::LOWEST)
                && self.take(")")?
                && self.current.token == Token::End
            {
                let tests = self.run_of(tests);
                return Ok(self.program.add(Node::Tests {
                    tests,
                    negated: true,
                }));
            }
            // `not(…)` was only the beginning of an expression.
            *self = Parser::new(self.text)?;
            self.advance_from(start)?;
        }
        self.tests(Precedence::LOWEST)
    }

    fn run_of(&mut self, tests: NodeId) -> crate::program::Run {
        match self.program.node(tests) {
            Node::Tests {
                tests,
                negated: false,
            } => tests,
            _ => self.program.link(&[tests]),
        }
    }

    /// Tests with commas between them.
    fn tests(&mut self, min: Precedence) -> Step {
        let mut tests = vec![self.test(min)?];
        while self.take(",")? {
            tests.push(self.test(min)?);
        }
        if let [only] = tests.as_slice() {
            return Ok(*only);
        }
        let tests = self.program.link(&tests);
        Ok(self.program.add(Node::Tests {
            tests,
            negated: false,
        }))
    }

    fn test(&mut self, min: Precedence) -> Step {
        if let Token::Symbol(symbol @ ("<" | "<=" | ">" | ">=" | "=" | "!=")) = self.current.token {
            self.advance()?;
            let operator = comparison(symbol).expect("invariant: those are comparisons");
            let operand = self.expression(Precedence::SUM)?;
            let input = self.input();
            return Ok(self.program.add(Node::InputCompare {
                operator,
                input,
                operand,
            }));
        }
        let outer = std::mem::replace(&mut self.mentions_input, false);
        let expression = self.expression(min)?;
        let node = self.input_test(expression);
        self.mentions_input |= outer;
        Ok(node)
    }

    fn input_test(&mut self, expression: NodeId) -> NodeId {
        let input = self.input();
        self.program.add(Node::InputTest {
            input,
            expression,
            mentions_input: self.mentions_input,
        })
    }

    /// What follows `in`: a test, or several in parentheses. The left side is the input of all.
    pub(super) fn in_tests(&mut self, value: NodeId) -> Step {
        let mark = self.frame().mark();
        let input = self.frame().bind("?");
        let outer = std::mem::replace(&mut self.mentions_input, false);
        let tests = if self.at("(") {
            self.in_parenthesis()?
        } else {
            self.test(Precedence::COMPARISON)?
        };
        self.mentions_input = outer; // A `?` in there means the left side, not the input of the whole.
        self.frame().release(&mark);
        Ok(self.program.add(Node::In {
            value,
            input,
            tests,
        }))
    }

    fn in_parenthesis(&mut self) -> Step {
        self.enter()?;
        self.advance()?;
        let first = self.test(Precedence::LOWEST)?;
        let expression = match self.program.node(first) {
            Node::InputTest { expression, .. } => Some(expression),
            _ => None,
        };
        let result = match expression {
            Some(start) if self.at("..") => {
                let range = self.range(start, false)?;
                self.continued(range)?
            }
            _ if self.at(",") => {
                let mut tests = vec![first];
                while self.take(",")? {
                    tests.push(self.test(Precedence::LOWEST)?);
                }
                self.expect(")")?;
                let tests = self.program.link(&tests);
                self.program.add(Node::Tests {
                    tests,
                    negated: false,
                })
            }
            Some(expression) => {
                self.expect(")")?;
                if self.at_tight_operator() {
                    self.continued(expression)?
                } else {
                    first
                }
            }
            None => {
                self.expect(")")?;
                first
            }
        };
        self.leave();
        Ok(result)
    }

    /// The parenthesis was only the first operand: `x in (1 + 2) * 3`.
    fn continued(&mut self, first: NodeId) -> Step {
        let operand = self.postfix(first)?;
        let expression = self.operators(operand, Precedence::COMPARISON)?;
        Ok(self.input_test(expression))
    }
}
