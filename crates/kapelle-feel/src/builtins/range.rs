//! How points and ranges lie to each other, as DMN's table of interval relations has it.
//!
//! Points are numbers or temporal values; with anything else, or of two types, there is no answer.

use std::cmp::Ordering;

use super::{Call, Failure, Outcome, Overload, function};
use crate::eval::{Meter, Order, Stop, order};
use crate::range::{Bound, Range};
use crate::value::Value;

const POINTS: &[&str] = &["point1", "point2"];
const POINT_RANGE: &[&str] = &["point", "range"];
const RANGE_POINT: &[&str] = &["range", "point"];
const RANGES: &[&str] = &["range1", "range2"];

pub(super) const FUNCTIONS: &[Overload] = &[
    function("before", POINTS, |call| before(call, false)),
    function("before", POINT_RANGE, |call| before(call, false)),
    function("before", RANGE_POINT, |call| before(call, false)),
    function("before", RANGES, |call| before(call, false)),
    function("after", POINTS, |call| before(call, true)),
    function("after", POINT_RANGE, |call| before(call, true)),
    function("after", RANGE_POINT, |call| before(call, true)),
    function("after", RANGES, |call| before(call, true)),
    function("meets", RANGES, |call| of_ranges(call, false, meets)),
    function("met by", RANGES, |call| of_ranges(call, true, meets)),
    function("overlaps", RANGES, |call| of_ranges(call, false, overlaps)),
    function("overlaps before", RANGES, |call| {
        of_ranges(call, false, overlaps_before)
    }),
    function("overlaps after", RANGES, |call| {
        of_ranges(call, true, overlaps_before)
    }),
    function("finishes", POINT_RANGE, |call| {
        relation(call, false, at_end, finishes)
    }),
    function("finishes", RANGES, |call| {
        relation(call, false, at_end, finishes)
    }),
    function("finished by", RANGE_POINT, |call| {
        relation(call, true, at_end, finishes)
    }),
    function("finished by", RANGES, |call| {
        relation(call, true, at_end, finishes)
    }),
    function("includes", RANGE_POINT, |call| {
        relation(call, true, inside, during)
    }),
    function("includes", RANGES, |call| {
        relation(call, true, inside, during)
    }),
    function("during", POINT_RANGE, |call| {
        relation(call, false, inside, during)
    }),
    function("during", RANGES, |call| {
        relation(call, false, inside, during)
    }),
    function("starts", POINT_RANGE, |call| {
        relation(call, false, at_start, starts)
    }),
    function("starts", RANGES, |call| {
        relation(call, false, at_start, starts)
    }),
    function("started by", RANGE_POINT, |call| {
        relation(call, true, at_start, starts)
    }),
    function("started by", RANGES, |call| {
        relation(call, true, at_start, starts)
    }),
    function("coincides", POINTS, coincides),
    function("coincides", RANGES, coincides),
];

/// Both ends of a range, with what is needed to compare them.
struct Span<'a> {
    start: &'a Value,
    end: &'a Value,
    with_start: bool,
    with_end: bool,
}

impl<'a> Span<'a> {
    /// A range without an end on a side has no place in these relations.
    fn of(range: &'a Range) -> Result<Span<'a>, Failure> {
        let end = |bound: &'a Bound| bound.value().ok_or(Failure::Illegal);
        Ok(Span {
            start: end(&range.start)?,
            end: end(&range.end)?,
            with_start: range.start.is_included(),
            with_end: range.end.is_included(),
        })
    }
}

/// Compares points.
struct Points<'m, 'e> {
    meter: &'m mut Meter<'e>,
}

impl Points<'_, '_> {
    fn compare(&mut self, left: &Value, right: &Value) -> Result<Ordering, Failure> {
        if matches!(left, Value::String(_)) {
            return Err(Failure::Illegal);
        }
        match order(left, right, self.meter).map_err(|stop: Stop| Failure::Stop(stop))? {
            Order::Is(ordering) => Ok(ordering),
            _ => Err(Failure::Illegal),
        }
    }

    /// Less, or equal where `touching` counts as less.
    fn less(&mut self, left: &Value, right: &Value, touching: bool) -> Result<bool, Failure> {
        let ordering = self.compare(left, right)?;
        Ok(ordering.is_lt() || (touching && ordering.is_eq()))
    }

    fn equal(&mut self, left: &Value, right: &Value) -> Result<bool, Failure> {
        Ok(self.compare(left, right)?.is_eq())
    }
}

type OfRanges = fn(&mut Points<'_, '_>, &Span<'_>, &Span<'_>) -> Result<bool, Failure>;
type OfPoint = fn(&mut Points<'_, '_>, &Value, &Span<'_>) -> Result<bool, Failure>;

/// The arguments, turned around for the inverse relation.
fn pair(call: &Call<'_, '_>, inverse: bool) -> (Value, Value) {
    let (left, right) = (call.value(0).clone(), call.value(1).clone());
    if inverse {
        (right, left)
    } else {
        (left, right)
    }
}

fn relation(
    call: &mut Call<'_, '_>,
    inverse: bool,
    of_point: OfPoint,
    of_ranges: OfRanges,
) -> Outcome {
    let (left, right) = pair(call, inverse);
    let mut points = Points { meter: call.meter };
    let answer = match (&left, &right) {
        (Value::Range(left), Value::Range(right)) => {
            of_ranges(&mut points, &Span::of(left)?, &Span::of(right)?)?
        }
        (point, Value::Range(range)) => of_point(&mut points, point, &Span::of(range)?)?,
        _ => return Err(Failure::Illegal),
    };
    Ok(Value::Bool(answer))
}

fn of_ranges(call: &mut Call<'_, '_>, inverse: bool, of_ranges: OfRanges) -> Outcome {
    relation(call, inverse, |_, _, _| Err(Failure::Illegal), of_ranges)
}

fn before(call: &mut Call<'_, '_>, inverse: bool) -> Outcome {
    let (left, right) = pair(call, inverse);
    let mut points = Points { meter: call.meter };
    let answer = match (&left, &right) {
        (Value::Range(left), Value::Range(right)) => {
            let (left, right) = (Span::of(left)?, Span::of(right)?);
            points.less(left.end, right.start, !left.with_end || !right.with_start)?
        }
        (Value::Range(left), point) => {
            let left = Span::of(left)?;
            points.less(left.end, point, !left.with_end)?
        }
        (point, Value::Range(right)) => {
            let right = Span::of(right)?;
            points.less(point, right.start, !right.with_start)?
        }
        (left, right) => points.less(left, right, false)?,
    };
    Ok(Value::Bool(answer))
}

fn meets(points: &mut Points<'_, '_>, left: &Span<'_>, right: &Span<'_>) -> Result<bool, Failure> {
    Ok(points.equal(left.end, right.start)? && left.with_end && right.with_start)
}

fn overlaps(
    points: &mut Points<'_, '_>,
    left: &Span<'_>,
    right: &Span<'_>,
) -> Result<bool, Failure> {
    Ok(
        points.less(right.start, left.end, left.with_end && right.with_start)?
            && points.less(left.start, right.end, left.with_start && right.with_end)?,
    )
}

fn overlaps_before(
    points: &mut Points<'_, '_>,
    left: &Span<'_>,
    right: &Span<'_>,
) -> Result<bool, Failure> {
    Ok(points.less(
        left.start,
        right.start,
        left.with_start && !right.with_start,
    )? && points.less(right.start, left.end, left.with_end && right.with_start)?
        && points.less(left.end, right.end, !left.with_end || right.with_end)?)
}

fn finishes(
    points: &mut Points<'_, '_>,
    left: &Span<'_>,
    right: &Span<'_>,
) -> Result<bool, Failure> {
    Ok(points.equal(left.end, right.end)?
        && left.with_end == right.with_end
        && points.less(
            right.start,
            left.start,
            !left.with_start || right.with_start,
        )?)
}

fn starts(points: &mut Points<'_, '_>, left: &Span<'_>, right: &Span<'_>) -> Result<bool, Failure> {
    Ok(points.equal(left.start, right.start)?
        && left.with_start == right.with_start
        && points.less(left.end, right.end, !left.with_end || right.with_end)?)
}

fn during(points: &mut Points<'_, '_>, left: &Span<'_>, right: &Span<'_>) -> Result<bool, Failure> {
    Ok(points.less(
        right.start,
        left.start,
        right.with_start || !left.with_start,
    )? && points.less(left.end, right.end, right.with_end || !left.with_end)?)
}

fn at_end(points: &mut Points<'_, '_>, point: &Value, range: &Span<'_>) -> Result<bool, Failure> {
    Ok(points.equal(point, range.end)? && range.with_end)
}

fn at_start(points: &mut Points<'_, '_>, point: &Value, range: &Span<'_>) -> Result<bool, Failure> {
    Ok(points.equal(point, range.start)? && range.with_start)
}

fn inside(points: &mut Points<'_, '_>, point: &Value, range: &Span<'_>) -> Result<bool, Failure> {
    Ok(points.less(range.start, point, range.with_start)?
        && points.less(point, range.end, range.with_end)?)
}

fn coincides(call: &mut Call<'_, '_>) -> Outcome {
    let (left, right) = pair(call, false);
    let mut points = Points { meter: call.meter };
    let answer = match (&left, &right) {
        (Value::Range(left), Value::Range(right)) => {
            let (left, right) = (Span::of(left)?, Span::of(right)?);
            points.equal(left.start, right.start)?
                && points.equal(left.end, right.end)?
                && (left.with_start, left.with_end) == (right.with_start, right.with_end)
        }
        (Value::Range(_), _) | (_, Value::Range(_)) => return Err(Failure::Illegal),
        (left, right) => points.equal(left, right)?,
    };
    Ok(Value::Bool(answer))
}
