//! What there is to say at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::board::{Board, Totals};
use super::shop::{Shop, pause};
use crate::cli::{Failure, Style, table};
use crate::client::Object;

/// Deliveries under way when the shop closed come in meanwhile.
const SETTLE_MS: u64 = 300;

/// What the server and the shop counted.
#[derive(Debug)]
pub(super) struct Summary {
    outcomes: BTreeMap<String, u64>,
    totals: Totals,
    /// CloudEvents that processes published, by type.
    arrived: BTreeMap<String, u64>,
    /// p50 and p99.
    latency: Option<[Duration; 2]>,
}

impl Summary {
    pub(super) async fn take(shop: &Shop, board: &mut Board) -> Result<Self, Failure> {
        pause(SETTLE_MS).await;
        board.read_events().await?;
        board.read_totals().await?;
        Ok(Self {
            outcomes: board.outcomes.clone(),
            totals: board.totals,
            arrived: shop.arrived(),
            latency: percentiles(shop.latencies(), [50, 99]),
        })
    }

    pub(super) fn text(&self, style: Style) -> String {
        let rows = self
            .outcomes
            .iter()
            .map(|(outcome, count)| vec![outcome.clone(), count.to_string()]);
        let heads = ["EVENTS", "COUNT"].map(str::to_owned).to_vec();
        let mut text = format!("\n{}\n", table(heads, rows.collect(), style));
        let Totals {
            active,
            completed,
            terminated,
            incidents,
        } = self.totals;
        let started = active + completed + terminated;
        text.push_str(&format!(
            "instances  {started} started, {completed} completed, {active} active, {terminated} terminated; \
             {incidents} open incidents\n"
        ));
        let arrived: Vec<String> = self
            .arrived
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        if !arrived.is_empty() {
            text.push_str(&format!("published  {}\n", arrived.join(", ")));
        }
        if let Some([p50, p99]) = self.latency.map(|both| both.map(ms)) {
            text.push_str(&format!(
                "latency    {p50:.1} ms p50, {p99:.1} ms p99 from sending an event to its durable answer\n"
            ));
        }
        text
    }

    pub(super) fn json(&self) -> String {
        let counts = |counts: &BTreeMap<String, u64>| {
            let add = |object: Object, (name, count): (&String, &u64)| {
                object.raw(name, &count.to_string())
            };
            counts.iter().fold(Object::new(), add)
        };
        let Totals {
            active,
            completed,
            terminated,
            incidents,
        } = self.totals;
        let instances = Object::new()
            .number("started", active + completed + terminated)
            .number("completed", completed)
            .number("active", active)
            .number("terminated", terminated);
        let mut object = Object::new()
            .object("outcomes", counts(&self.outcomes))
            .object("instances", instances)
            .number("openIncidents", incidents)
            .object("published", counts(&self.arrived));
        if let Some([p50, p99]) = self.latency.map(|both| both.map(ms)) {
            let latency = Object::new()
                .raw("p50", &format!("{p50:.3}"))
                .raw("p99", &format!("{p99:.3}"));
            object = object.object("latencyMs", latency);
        }
        object.into_text()
    }
}

fn ms(latency: Duration) -> f64 {
    latency.as_secs_f64() * 1_000.0
}

/// By nearest rank; `None` without any.
fn percentiles<const N: usize>(
    mut latencies: Vec<Duration>,
    percents: [usize; N],
) -> Option<[Duration; N]> {
    latencies.sort_unstable();
    let last = latencies.len().checked_sub(1)?;
    Some(percents.map(|percent| {
        latencies[(latencies.len() * percent)
            .div_ceil(100)
            .saturating_sub(1)
            .min(last)]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let latencies = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(
            percentiles(latencies, [50, 99, 100]),
            Some([50, 99, 100].map(Duration::from_millis))
        );
        assert_eq!(
            percentiles(vec![Duration::from_millis(7)], [50]),
            Some([Duration::from_millis(7)])
        );
        assert_eq!(percentiles(Vec::new(), [50]), None);
    }
}
