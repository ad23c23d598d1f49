//! Whether a row of figures is flat. Growth is told from noise by comparing the middle of an early part with the middle
//! of a late one; medians, because one bad minute of a shared machine is no growth.

/// A figure over the time of a run.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) values: Vec<f64>,
    /// Late may be this many times early …
    pub(crate) times: f64,
    /// … and this much more.
    pub(crate) plus: f64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) early: f64,
    pub(crate) late: f64,
    pub(crate) is_flat: bool,
}

/// Fewer figures than this show nothing.
pub(crate) const FEWEST: usize = 8;

impl Series {
    /// Compares the first third with the last; `None` where there are too few.
    pub(crate) fn judge(&self) -> Option<Verdict> {
        if self.values.len() < FEWEST {
            return None;
        }
        let third = self.values.len() / 3;
        let early = median(&self.values[..third]);
        let late = median(&self.values[self.values.len() - third..]);
        Some(Verdict {
            early,
            late,
            is_flat: late <= early * self.times + self.plus,
        })
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(values: impl Iterator<Item = f64>) -> Option<bool> {
        let series = Series {
            name: "memory",
            unit: "MiB",
            values: values.collect(),
            times: 1.1,
            plus: 5.0,
        };
        series.judge().map(|verdict| verdict.is_flat)
    }

    #[test]
    fn what_stays_is_flat_and_so_is_what_only_jumps_about() {
        assert_eq!(judge((0..20).map(|_| 100.0)), Some(true));
        let jumping = (0..20).map(|n| if n % 7 == 0 { 400.0 } else { 100.0 });
        assert_eq!(judge(jumping), Some(true));
    }

    #[test]
    fn what_grows_is_not_flat() {
        assert_eq!(
            judge((0..20).map(|n| 100.0 + 2.0 * f64::from(n))),
            Some(false)
        );
    }

    #[test]
    fn a_few_figures_show_nothing() {
        assert_eq!(judge((0..7).map(|_| 1.0)), None);
    }
}
