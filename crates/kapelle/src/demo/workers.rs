//! The people and machines of the shop: job workers over the REST API, each with a trade of its own.

use std::time::Duration;

use super::breakage::Breakage;
use super::random::Random;
use super::shop::{Shop, number_of, pause, spawn};
use crate::client::{Document, Error, Object};

/// What a worker made of a job.
enum Done {
    Complete(Object),
    /// The model knows what to do.
    Error {
        code: &'static str,
        message: &'static str,
    },
    /// An incident: no retries are left.
    Fail {
        message: &'static str,
    },
}

/// How a worker works.
#[derive(Clone, Copy)]
struct Trade {
    job_type: &'static str,
    /// From, to.
    takes_ms: (u64, u64),
    handle: fn(&Shop, u64) -> Done,
    /// What happens in the world when the job is complete.
    then: fn(&Shop, u64),
}

const TRADES: [Trade; 5] = [
    Trade {
        job_type: "charge-card",
        takes_ms: (30, 150),
        handle: charge,
        then: Shop::charged,
    },
    Trade {
        job_type: "pack",
        takes_ms: (100, 500),
        handle: pack,
        then: Shop::packed,
    },
    Trade {
        job_type: "re-route",
        takes_ms: (200, 600),
        handle: nothing_to_say,
        then: nothing_more,
    },
    Trade {
        job_type: "refund-card",
        takes_ms: (50, 200),
        handle: nothing_to_say,
        then: nothing_more,
    },
    // The clerk who approves refunds: a user task is a job of this type.
    Trade {
        job_type: "io.camunda.zeebe:userTask",
        takes_ms: (800, 2_000),
        handle: nothing_to_say,
        then: nothing_more,
    },
];

fn charge(shop: &Shop, number: u64) -> Done {
    if shop.wishes().take(Breakage::FailingWorker) {
        return Done::Fail {
            message: "the card reader is broken",
        };
    }
    if shop.order(number).is_declined {
        return Done::Error {
            code: "card-declined",
            message: "the bank said no",
        };
    }
    Done::Complete(Object::new().text("charge", &format!("ch-{number}")))
}

fn pack(shop: &Shop, number: u64) -> Done {
    Done::Complete(Object::new().text("truck", &shop.order(number).truck()))
}

fn nothing_to_say(_: &Shop, _: u64) -> Done {
    Done::Complete(Object::new())
}

fn nothing_more(_: &Shop, _: u64) {}

/// One worker of each trade.
pub(super) fn start(shop: &Shop) {
    for trade in TRADES {
        let shop = shop.clone();
        spawn(async move {
            while shop.is_open() {
                match activate(&shop, trade.job_type).await {
                    Ok(jobs) => jobs.into_iter().for_each(|job| {
                        let shop = shop.clone();
                        spawn(async move { work(&shop, trade, &job).await });
                    }),
                    Err(error) => {
                        shop.note_trouble(&error);
                        pause(500).await;
                    }
                }
            }
        });
    }
}

const POLL: Duration = Duration::from_secs(10);
const MARGIN: Duration = Duration::from_secs(5);

async fn activate(shop: &Shop, job_type: &str) -> Result<Vec<Document>, Error> {
    let request = Object::new()
        .text("type", job_type)
        .text("worker", "demo")
        .number("timeout", 30_000)
        .number("maxJobsToActivate", 32)
        .number(
            "requestTimeout",
            i64::try_from(POLL.as_millis()).unwrap_or_default(),
        );
    let client = shop.client().within(POLL + MARGIN);
    Ok(client
        .post("/v2/jobs/activation", request)
        .await?
        .list("jobs"))
}

async fn work(shop: &Shop, trade: Trade, job: &Document) {
    let key = job.text("jobKey").unwrap_or_default();
    // An order that a person started by hand may have any id, or none: it is worked on like the others.
    let number = number_of(job);
    let mut random = Random::stream(
        shop.seed(),
        number.unwrap_or_default() ^ trade.job_type.len() as u64,
    );
    let (from, to) = trade.takes_ms;
    pause(random.between(from, to)).await;
    let done = match number {
        Some(number) => (trade.handle)(shop, number),
        None => Done::Complete(Object::new()),
    };
    let answer = match done {
        Done::Complete(variables) => {
            let body = Object::new().object("variables", variables);
            let answer = shop
                .client()
                .post(&format!("/v2/jobs/{key}/completion"), body)
                .await;
            if let (Ok(_), Some(number)) = (&answer, number) {
                (trade.then)(shop, number);
            }
            answer
        }
        Done::Error { code, message } => {
            let body = Object::new()
                .text("errorCode", code)
                .text("errorMessage", message);
            shop.client()
                .post(&format!("/v2/jobs/{key}/error"), body)
                .await
        }
        Done::Fail { message } => {
            let body = Object::new()
                .number("retries", 0)
                .text("errorMessage", message);
            shop.client()
                .post(&format!("/v2/jobs/{key}/failure"), body)
                .await
        }
    };
    if let Err(error) = answer {
        shop.note_trouble(&error);
    }
}
