//! The demo where there is no terminal: one line an event.

use std::time::{Duration, Instant};

use super::Wish;
use super::board::Board;
use super::host::Host;
use super::shop::{Shop, pause};
use crate::cli::{Failure, Format, Output, event_line, one_signal};
use crate::client::Document;

/// How often the server is asked for news.
const EVERY_MS: u64 = 100;
/// Trouble is told once in this time: a server that is away would fill the screen.
const TROUBLE_EVERY: Duration = Duration::from_secs(2);

pub(super) async fn run(
    host: &Host,
    shop: &Shop,
    board: &mut Board,
    wish: &Wish,
    output: Output,
) -> Result<(), Failure> {
    output.message(&banner(host, shop));
    let end = wish.lasting.map(|lasting| Instant::now() + lasting);
    let mut told = Instant::now();
    let stop = one_signal();
    tokio::pin!(stop);
    while end.is_none_or(|end| Instant::now() < end) && !host.has_ended() {
        match board.read_events().await {
            Ok(news) => {
                for event in &news {
                    output.data(&shown(event, output))?;
                }
            }
            Err(error) => shop.note_trouble(&error),
        }
        if told.elapsed() > TROUBLE_EVERY
            && let Some(trouble) = shop.trouble()
        {
            output.message(&format!("simulator: {trouble}"));
            told = Instant::now();
        }
        tokio::select! {
            () = pause(EVERY_MS) => {}
            () = &mut stop => break,
        }
    }
    Ok(())
}

fn shown(event: &Document, output: Output) -> String {
    match output.format {
        Format::Json => event.to_json(),
        Format::Name => event.text("position").unwrap_or_default().to_owned(),
        Format::Table => event_line(event, output.style),
    }
}

fn banner(host: &Host, shop: &Shop) -> String {
    let bound = &host.bound;
    let fate = if host.is_kept() {
        "kept"
    } else {
        "removed at the end"
    };
    format!(
        "Kapelle {} · demo · nothing leaves this machine\n  REST, events  http://{}\n  gRPC          {}\n  management    http://{}\n  \
         data          {} ({fate})\n  simulator     {} orders/s, seed {}\n",
        env!("CARGO_PKG_VERSION"),
        bound.rest,
        bound.grpc,
        bound.management,
        host.dir().display(),
        shop.rate(),
        shop.seed(),
    )
}
