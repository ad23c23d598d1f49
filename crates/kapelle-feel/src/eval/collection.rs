//! Lists and ranges: indexes, filters, ranges as values.

use super::{Machine, Order, Outcome, Stop, Val, order};
use crate::program::{Node, NodeId, Slot};
use crate::range::{Bound, Range};
use crate::value::{Value, position};
use crate::warning::WarningKind;

impl<'a> Machine<'a, '_, '_> {
    pub(super) fn index(&mut self, target: NodeId, index: i64) -> Outcome<'a> {
        let list = self.eval(target)?;
        if list.is_null() {
            return Ok(Val::NULL);
        }
        self.element_at(list, index)
    }

    /// From 1, or from the end with -1. What is no list is a list of one.
    fn element_at(&mut self, list: Val<'a>, index: i64) -> Outcome<'a> {
        let mut elements = match list.elements() {
            Ok(elements) => elements,
            Err(single) if matches!(index, 1 | -1) => return Ok(single),
            Err(_) => return Ok(self.out_of_bounds(index, 1)),
        };
        let len = elements.len();
        let Some(at) = position(index, len) else {
            return Ok(self.out_of_bounds(index, len));
        };
        self.meter.steps(at as u64 / 16)?; // A stored list is walked.
        Ok(elements.nth(at).unwrap_or(Val::NULL))
    }

    fn out_of_bounds(&mut self, index: i64, len: usize) -> Val<'a> {
        self.meter.warn(WarningKind::OutOfBounds, || {
            format!("Index {index} is out of bound for a list of {len} items")
        });
        Val::NULL
    }

    pub(super) fn filter(
        &mut self,
        target: NodeId,
        body: NodeId,
        item: Slot,
        predicate: bool,
    ) -> Outcome<'a> {
        let list = self.eval(target)?;
        if list.is_null() {
            return Ok(Val::NULL);
        }
        if !predicate && let Some(index) = self.filter_index(body, item)? {
            return self.element_at(list, index);
        }
        let elements = match list.elements() {
            Ok(elements) => elements,
            Err(single) => return self.filter_single(single, body, item),
        };
        let mut kept = Vec::new();
        for element in elements {
            self.bind(item, element)?;
            if self.eval(body)?.as_bool() == Some(true) {
                kept.push(self.local(item));
            }
        }
        self.meter
            .bytes(kept.len() as u64 * crate::value::Shape::BASE)?;
        Ok(Val::Items(kept))
    }

    /// Is the filter a number without an item in sight? Then it is an index. What this trial has to say is not heard.
    fn filter_index(&mut self, body: NodeId, item: Slot) -> Result<Option<i64>, Stop> {
        self.bind(item, Val::NULL)?;
        let silent = self.meter.set_silent(true);
        let trial = self.eval(body)?;
        self.meter.set_silent(silent);
        Ok(trial.as_number().map(|number| number.to_i64().unwrap_or(0)))
    }

    fn filter_single(&mut self, single: Val<'a>, body: NodeId, item: Slot) -> Outcome<'a> {
        self.bind(item, single)?;
        let kept = self.eval(body)?.as_bool() == Some(true);
        Ok(Val::Items(if kept {
            vec![self.local(item)]
        } else {
            Vec::new()
        }))
    }

    pub(super) fn range(
        &mut self,
        start: Option<NodeId>,
        end: Option<NodeId>,
        start_included: bool,
        end_included: bool,
    ) -> Outcome<'a> {
        let start = self.bound(start, start_included)?;
        let end = self.bound(end, end_included)?;
        for value in [&start, &end].into_iter().filter_map(Bound::value) {
            if !value.has_order() {
                let shown = self.show(&Val::Value(value.clone()));
                self.meter.warn(WarningKind::InvalidType, || {
                    format!("'{shown}' can't be the end of a range")
                });
                return Ok(Val::NULL);
            }
        }
        if let (Some(low), Some(high)) = (start.value(), end.value())
            && order(low, high, self.meter)? == Order::Incomparable
        {
            self.not_comparable(low, high);
            return Ok(Val::NULL);
        }
        Ok(Val::Value(Value::Range(Box::new(Range { start, end }))))
    }

    pub(super) fn bound(&mut self, node: Option<NodeId>, included: bool) -> Result<Bound, Stop> {
        let Some(node) = node else {
            return Ok(Bound::Open);
        };
        let value = self.whole(node)?;
        Ok(if included {
            Bound::Included(value)
        } else {
            Bound::Excluded(value)
        })
    }

    pub(super) fn as_range(
        &self,
        id: NodeId,
    ) -> Option<(Option<NodeId>, Option<NodeId>, bool, bool)> {
        match self.program.node(id) {
            Node::Range {
                start,
                end,
                start_included,
                end_included,
            } => Some((start, end, start_included, end_included)),
            _ => None,
        }
    }
}
