//! `kapelle demo`: the real server on a directory of its own, with a small fresh-food shop living in it.
//!
//! The server is started exactly as `serve` starts it, on the real ports. The shop (`shop`, `workers`, `receiver`) and the
//! views (`plain`, `screen`) are ordinary clients: they know only the public API, and any other client can join in.
//!
//! **Invariant:** what is shown comes from the server's own records, never from what a simulator believes it did.
//! Deliberately absent: any short cut into the engine, and any promise beyond a demonstration.

mod board;
mod breakage;
mod host;
mod order;
mod plain;
mod random;
mod receiver;
mod screen;
mod shop;
mod summary;
mod workers;

use std::io::IsTerminal as _;
use std::time::Duration;

use crate::cli::{DemoArgs, Exit, Failure, Format, Output};
use crate::client::Client;
use board::Board;
use host::Host;
use shop::Shop;
use summary::Summary;

/// The models of the story, as they lie in `examples/models`.
const MODELS: [(&str, &[u8]); 2] = [
    (
        "fresh-food-order.bpmn",
        include_bytes!("../../../examples/models/fresh-food-order.bpmn"),
    ),
    (
        "refund.bpmn",
        include_bytes!("../../../examples/models/refund.bpmn"),
    ),
];

/// Orders a second that the simulator accepts: more would show the simulator's limits, not the server's.
const RATE_MAX: f64 = 200.0;

/// What was asked for.
pub(crate) struct Wish {
    pub(crate) lasting: Option<Duration>,
    pub(crate) rate: f64,
    pub(crate) seed: u64,
    pub(crate) plain: bool,
}

/// Runs the demo until it is told to end.
pub(crate) fn run(args: &DemoArgs, output: Output) -> Result<Exit, Failure> {
    let wish = Wish {
        lasting: args.lasting()?,
        rate: args.rate,
        seed: args.seed,
        plain: args.plain
            || output.format != Format::Table
            || !std::io::stdout().is_terminal()
            || !std::io::stdin().is_terminal(),
    };
    if !(wish.rate > 0.0 && wish.rate <= RATE_MAX) {
        return Err(Failure::usage(format!(
            "--rate must be more than 0 and at most {RATE_MAX} orders a second"
        )));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::failed("KAP-2004", "cannot start the network runtime").why(error.to_string())
        })?;
    let result = runtime.block_on(live(args, &wish, output));
    // Simulators may be in the middle of a request; the server is gone, so they have nobody to wait for.
    runtime.shutdown_background();
    result
}

async fn live(args: &DemoArgs, wish: &Wish, output: Output) -> Result<Exit, Failure> {
    let receiver = receiver::bind().await?;
    let host = Host::start(args, &receiver.url()?).await?;
    let lived = with_server(&host, receiver, wish, output).await;
    let kept = host.stop().await;
    let summary = lived?;
    output.data(&summary)?;
    output.message(&kept?);
    Ok(Exit::Ok)
}

async fn with_server(
    host: &Host,
    receiver: receiver::Receiver,
    wish: &Wish,
    output: Output,
) -> Result<String, Failure> {
    let client = Client::new(&host.address())?;
    let files: Vec<(String, Vec<u8>)> = MODELS
        .iter()
        .map(|(name, xml)| ((*name).to_owned(), xml.to_vec()))
        .collect();
    crate::cli::deploy_files(&client, &files).await?;
    let mut board = Board::open(client.clone()).await?;
    let shop = Shop::open(client, wish, board.last_order().await?);
    receiver.serve(shop.clone());
    workers::start(&shop);
    shop.clone().start();
    if wish.plain {
        plain::run(host, &shop, &mut board, wish, output).await?;
    } else {
        screen::run(host, &shop, &mut board, wish).await?;
    }
    shop.close();
    let summary = Summary::take(&shop, &mut board).await?;
    Ok(match output.format {
        Format::Json => summary.json(),
        Format::Table | Format::Name => summary.text(output.style),
    })
}
