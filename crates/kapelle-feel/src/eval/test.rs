//! Unary tests and `in`: a value is put to tests, and any of them will do.

use super::compare::both;
use super::{Machine, Outcome, Stop, Val, same};
use crate::program::{Comparison, NodeId, Run, Slot};
use crate::range::{Bound, Range};
use crate::value::Value;

impl<'a> Machine<'a, '_, '_> {
    pub(super) fn in_tests(&mut self, value: NodeId, input: Slot, tests: NodeId) -> Outcome<'a> {
        let value = self.eval(value)?;
        self.bind(input, value)?;
        self.eval(tests)
    }

    /// True if any is, else null if any is, else false.
    pub(super) fn tests(&mut self, tests: Run, negated: bool) -> Outcome<'a> {
        let mut answer = Some(false);
        for test in tests.of(&self.program.links) {
            match self.eval(*test)?.as_bool() {
                Some(true) => {
                    answer = Some(true);
                    break;
                }
                Some(false) => {}
                None => answer = None,
            }
        }
        Ok(answer.map_or(Val::NULL, |truth| Val::bool(truth != negated)))
    }

    /// An expression that mentions the input answers by its truth. Any other is a value that the input is compared with.
    pub(super) fn input_test(
        &mut self,
        input: NodeId,
        expression: NodeId,
        mentions_input: bool,
    ) -> Outcome<'a> {
        if mentions_input {
            let answer = self.eval(expression)?.as_bool();
            return Ok(answer.map_or(Val::NULL, Val::bool));
        }
        if self.as_range(expression).is_some() {
            return self.in_range_node(input, expression);
        }
        let expected = self.whole(expression)?;
        let input = self.whole(input)?;
        let answer = self.passes(&input, &expected)?;
        Ok(answer.map_or(Val::NULL, Val::bool))
    }

    /// Is the input that value, in that list, in that range? A truth value is the answer itself unless the input is one.
    fn passes(&mut self, input: &Value, expected: &Value) -> Result<Option<bool>, Stop> {
        match (input, expected) {
            (Value::Null | Value::Bool(_), Value::Bool(_)) => {}
            (_, Value::Bool(answer)) => return Ok(Some(*answer)),
            (_, Value::List(list)) => {
                if input.as_list().is_some() && same(input, expected, self.meter)? {
                    return Ok(Some(true));
                }
                for item in list {
                    let found = match item {
                        Value::Range(range) => self.in_range(input, range)? == Some(true),
                        _ => same(input, item, self.meter)?,
                    };
                    if found {
                        return Ok(Some(true));
                    }
                }
                return Ok(Some(false));
            }
            (Value::Range(_), Value::Range(_)) => {}
            (_, Value::Range(range)) => return self.in_range(input, range),
            _ => {}
        }
        self.relate(Comparison::Equal, input, expected)
    }

    pub(super) fn range_or_test(&mut self, range: NodeId, input: NodeId) -> Outcome<'a> {
        if self.variables.get("?").is_some() {
            self.in_range_node(input, range)
        } else {
            self.eval(range)
        }
    }

    fn in_range_node(&mut self, input: NodeId, range: NodeId) -> Outcome<'a> {
        let Some((start, end, start_included, end_included)) = self.as_range(range) else {
            return Ok(Val::NULL);
        };
        let input = self.whole(input)?;
        let start = self.bound(start, start_included)?;
        let end = self.bound(end, end_included)?;
        let answer = self.in_range(&input, &Range { start, end })?;
        Ok(answer.map_or(Val::NULL, Val::bool))
    }

    fn in_range(&mut self, value: &Value, range: &Range) -> Result<Option<bool>, Stop> {
        let above = self.beyond(
            value,
            &range.start,
            Comparison::Greater,
            Comparison::GreaterOrEqual,
        )?;
        let below = self.beyond(value, &range.end, Comparison::Less, Comparison::LessOrEqual)?;
        Ok(both(above, below))
    }

    fn beyond(
        &mut self,
        value: &Value,
        bound: &Bound,
        strict: Comparison,
        loose: Comparison,
    ) -> Result<Option<bool>, Stop> {
        match bound {
            Bound::Open => Ok(Some(true)),
            Bound::Excluded(end) => self.relate(strict, value, end),
            Bound::Included(end) => self.relate(loose, value, end),
        }
    }
}
