//! What there is to say at the end.

use std::time::Duration;

use super::board::Board;
use super::shop::{Shop, pause};
use crate::cli::{Failure, Style, table};

/// Deliveries under way when the shop closed come in meanwhile.
const SETTLE_MS: u64 = 300;

pub(super) async fn text(shop: &Shop, board: &mut Board, style: Style) -> Result<String, Failure> {
    pause(SETTLE_MS).await;
    board.read_events().await?;
    board.read_totals().await?;
    let rows = board
        .outcomes
        .iter()
        .map(|(outcome, count)| vec![outcome.clone(), count.to_string()])
        .collect();
    let mut text = String::from("\n");
    text.push_str(&table(
        vec!["EVENTS".to_owned(), "COUNT".to_owned()],
        rows,
        style,
    ));
    let totals = board.totals;
    let started = totals.active + totals.completed + totals.terminated;
    text.push_str(&format!(
        "\ninstances  {started} started, {} completed, {} active, {} terminated; {} open incidents\n",
        totals.completed, totals.active, totals.terminated, totals.incidents,
    ));
    let arrived: Vec<String> = shop
        .arrived()
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    if !arrived.is_empty() {
        text.push_str(&format!("published  {}\n", arrived.join(", ")));
    }
    if let Some([p50, p99]) = percentiles(shop.latencies(), [50, 99]) {
        text.push_str(&format!(
            "latency    {} p50, {} p99 from sending an event to its durable answer\n",
            ms(p50),
            ms(p99)
        ));
    }
    Ok(text)
}

fn ms(latency: Duration) -> String {
    format!("{:.1} ms", latency.as_secs_f64() * 1_000.0)
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
