//! Binary operators: `or`, `and`, comparisons, arithmetic, by precedence and without recursion.
//!
//! Operators of one precedence that follow each other become one node with a list, so `1 + 1 + …` is as flat in the
//! program as it is in the text.

use super::{Parser, Step};
use crate::lexer::Token;
use crate::program::{Arithmetic, Comparison, Node, NodeId, push_run};

/// Comparisons in a row, which do nest (`a = b = c`). Nobody writes more than two.
const COMPARISONS_MAX: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Precedence(u8);

impl Precedence {
    pub(super) const LOWEST: Precedence = Precedence(0);
    const OR: Precedence = Precedence(1);
    const AND: Precedence = Precedence(2);
    pub(super) const COMPARISON: Precedence = Precedence(3);
    pub(super) const SUM: Precedence = Precedence(4);
    const PRODUCT: Precedence = Precedence(5);
    const POWER: Precedence = Precedence(6);
}

#[derive(Clone, Copy)]
enum Operator {
    Or,
    And,
    Compare(Comparison),
    Between,
    In,
    InstanceOf,
    Arithmetic(Arithmetic),
}

impl Operator {
    fn precedence(self) -> Precedence {
        match self {
            Operator::Or => Precedence::OR,
            Operator::And => Precedence::AND,
            Operator::Compare(_) | Operator::Between | Operator::In | Operator::InstanceOf => {
                Precedence::COMPARISON
            }
            Operator::Arithmetic(Arithmetic::Add | Arithmetic::Subtract) => Precedence::SUM,
            Operator::Arithmetic(Arithmetic::Multiply | Arithmetic::Divide) => Precedence::PRODUCT,
            Operator::Arithmetic(Arithmetic::Power) => Precedence::POWER,
        }
    }
}

/// What was read and waits for its neighbours: operands, and the operators between them.
struct Pending {
    operands: Vec<NodeId>,
    operators: Vec<Operator>,
}

impl Parser<'_> {
    /// An expression of operators that bind at least as tight as `min`.
    pub(super) fn expression(&mut self, min: Precedence) -> Step {
        self.enter()?;
        let left = self.operand()?;
        let result = self.operators(left, min)?;
        self.leave();
        Ok(result)
    }

    /// Goes on after the first operand.
    pub(super) fn operators(&mut self, left: NodeId, min: Precedence) -> Step {
        if self.peek_operator().is_none() {
            return Ok(left);
        }
        let mut pending = Pending {
            operands: vec![left],
            operators: Vec::new(),
        };
        let mut comparisons = 0;
        while let Some(operator) = self.peek_operator().filter(|o| o.precedence() >= min) {
            self.reduce(&mut pending, operator.precedence());
            if operator.precedence() == Precedence::COMPARISON {
                comparisons += 1;
                if comparisons > COMPARISONS_MAX {
                    return Err(self.error_at(
                        self.current.start,
                        "too many comparisons in a row".to_owned(),
                    ));
                }
                self.comparison(&mut pending, operator)?;
            } else {
                self.advance()?;
                pending.operators.push(operator);
                pending.operands.push(self.operand()?);
            }
        }
        self.reduce(&mut pending, Precedence::LOWEST);
        Ok(pending.operands.pop().unwrap_or(left))
    }

    /// Is there an operator that binds tighter than a comparison, or a postfix?
    pub(super) fn at_tight_operator(&self) -> bool {
        self.at(".")
            || self.at("[")
            || self
                .peek_operator()
                .is_some_and(|o| o.precedence() > Precedence::COMPARISON)
    }

    fn peek_operator(&self) -> Option<Operator> {
        Some(match self.current.token {
            Token::Symbol(symbol) => match symbol {
                "+" => Operator::Arithmetic(Arithmetic::Add),
                "-" => Operator::Arithmetic(Arithmetic::Subtract),
                "*" => Operator::Arithmetic(Arithmetic::Multiply),
                "/" => Operator::Arithmetic(Arithmetic::Divide),
                "**" => Operator::Arithmetic(Arithmetic::Power),
                _ => Operator::Compare(comparison(symbol)?),
            },
            Token::Word => match self.slice(self.current) {
                "and" => Operator::And,
                "or" => Operator::Or,
                "between" => Operator::Between,
                "in" => Operator::In,
                "instance" => Operator::InstanceOf,
                _ => return None,
            },
            _ => return None,
        })
    }

    fn comparison(&mut self, pending: &mut Pending, operator: Operator) -> Step<()> {
        // All that bind tighter, and earlier comparisons, are reduced: the last operand is the whole left side.
        let left = pending
            .operands
            .pop()
            .expect("invariant: an operator has a left operand");
        self.advance()?;
        let node = match operator {
            Operator::Between => {
                let low = self.expression(Precedence::SUM)?;
                self.expect_word("and")?;
                let high = self.expression(Precedence::SUM)?;
                self.program.add(Node::Between {
                    value: left,
                    low,
                    high,
                })
            }
            Operator::In => self.in_tests(left)?,
            Operator::InstanceOf => {
                self.expect_word("of")?;
                let of = self.type_name()?;
                self.program.types.push(of);
                let of = self.program.types.len() as u32 - 1;
                self.program.add(Node::InstanceOf { value: left, of })
            }
            other => {
                pending.operands.push(left);
                pending.operators.push(other);
                self.operand()?
            }
        };
        pending.operands.push(node);
        Ok(())
    }

    /// Joins what binds tighter than an operator that comes next. Comparisons join from the left one by one; others wait
    /// until their whole run is there.
    fn reduce(&mut self, pending: &mut Pending, next: Precedence) {
        while let Some(top) = pending.operators.last().map(|o| o.precedence()) {
            if top < next || (top == next && top != Precedence::COMPARISON) {
                return;
            }
            let run = match top {
                Precedence::COMPARISON => 1,
                _ => pending
                    .operators
                    .iter()
                    .rev()
                    .take_while(|o| o.precedence() == top)
                    .count(),
            };
            let operators = pending.operators.split_off(pending.operators.len() - run);
            let operands = pending.operands.split_off(pending.operands.len() - run - 1);
            let node = self.join(&operators, &operands);
            pending.operands.push(node);
        }
    }

    fn join(&mut self, operators: &[Operator], operands: &[NodeId]) -> NodeId {
        let node = match (operators, operands) {
            ([Operator::Or, ..], _) => Node::Or(self.program.link(operands)),
            ([Operator::And, ..], _) => Node::And(self.program.link(operands)),
            ([Operator::Compare(operator)], [left, right]) => Node::Compare {
                operator: *operator,
                left: *left,
                right: *right,
            },
            (_, [first, rest @ ..]) => {
                let terms =
                    operators
                        .iter()
                        .zip(rest)
                        .filter_map(|(operator, node)| match operator {
                            Operator::Arithmetic(operator) => Some((*operator, *node)),
                            _ => None,
                        });
                Node::Arithmetic {
                    first: *first,
                    rest: push_run(&mut self.program.terms, terms),
                }
            }
            _ => unreachable!("a run of operators has operands on both sides"),
        };
        self.program.add(node)
    }
}

pub(super) fn comparison(symbol: &str) -> Option<Comparison> {
    Some(match symbol {
        "=" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        _ => return None,
    })
}
