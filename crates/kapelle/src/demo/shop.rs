//! The world around the processes: customers who order, a payment service, trucks. They only send CloudEvents.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::Method;

use super::Wish;
use super::breakage::{Breakage, Wishes};
use super::order::{FIRST_NUMBER, Order, PAY_WITHIN, Payment};
use crate::client::{Body, Client, Document, Error, Object};

/// Cheap to clone: one shop.
#[derive(Clone)]
pub(super) struct Shop(Arc<Inner>);

struct Inner {
    client: Client,
    seed: u64,
    first: u64,
    /// Thousandths of an order a second.
    rate: AtomicU64,
    is_open: AtomicBool,
    wishes: Wishes,
    diary: Mutex<Diary>,
}

/// What the simulators remember.
#[derive(Debug, Default)]
struct Diary {
    /// From sending to the durable answer.
    latencies: Vec<Duration>,
    last_event: Option<String>,
    arrived: BTreeMap<String, u64>,
    trouble: Option<String>,
}

/// Enough for an hour at full rate; older ones do not change a median.
const LATENCIES_MAX: usize = 100_000;

impl Shop {
    /// `last` is the highest order number that the server already knows.
    pub(super) fn open(client: Client, wish: &Wish, last: Option<u64>) -> Self {
        Self(Arc::new(Inner {
            client,
            seed: wish.seed,
            first: last.map_or(FIRST_NUMBER, |last| last + 1),
            rate: AtomicU64::new((wish.rate * 1_000.0) as u64),
            is_open: AtomicBool::new(true),
            wishes: Wishes::default(),
            diary: Mutex::default(),
        }))
    }

    pub(super) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(super) fn order(&self, number: u64) -> Order {
        Order::of(self.0.seed, number)
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.is_open.load(Ordering::Relaxed)
    }

    /// No further orders, payments or work.
    pub(super) fn close(&self) {
        self.0.is_open.store(false, Ordering::Relaxed);
    }

    /// Orders a second.
    pub(super) fn rate(&self) -> f64 {
        self.0.rate.load(Ordering::Relaxed) as f64 / 1_000.0
    }

    /// Faster or slower, within reason.
    pub(super) fn change_rate(&self, factor: f64) {
        let rate = (self.rate() * factor).clamp(0.1, super::RATE_MAX);
        self.0
            .rate
            .store((rate * 1_000.0) as u64, Ordering::Relaxed);
    }

    pub(super) fn seed(&self) -> u64 {
        self.0.seed
    }

    pub(super) fn latencies(&self) -> Vec<Duration> {
        self.diary(|diary| diary.latencies.clone())
    }

    /// The last thing that went wrong for a simulator, once.
    pub(super) fn trouble(&self) -> Option<String> {
        self.diary(|diary| diary.trouble.take())
    }

    pub(super) fn wishes(&self) -> &Wishes {
        &self.0.wishes
    }

    /// Breaks something: now, or with the next event it fits.
    pub(super) fn break_something(&self, breakage: Breakage) {
        let shop = self.clone();
        match breakage {
            Breakage::Duplicate => spawn(async move { shop.repeat_last().await }),
            Breakage::PoisonMessage => spawn(async move { shop.send_poison().await }),
            Breakage::FailingWorker => (0..3).for_each(|_| self.0.wishes.add(breakage)),
            Breakage::WrongKey | Breakage::LateEvent | Breakage::HotTruck => {
                self.0.wishes.add(breakage)
            }
        }
    }

    /// Customers order, one after the other, until the shop closes.
    pub(super) fn start(self) {
        spawn(async move {
            for number in self.0.first.. {
                if !self.is_open() {
                    return;
                }
                let shop = self.clone();
                spawn(async move { shop.place(number).await });
                tokio::time::sleep(Duration::from_secs_f64(1.0 / self.rate())).await;
            }
        });
    }

    async fn place(&self, number: u64) {
        let order = self.order(number);
        let data = Object::new()
            .text("orderId", &order.id())
            .text("customer", order.customer)
            .number("total", i64::try_from(order.total).unwrap_or_default())
            .text("payWithin", PAY_WITHIN);
        let event = event(
            "order.placed",
            "/shop",
            &format!("order-{number}"),
            &order.id(),
            data,
        );
        self.send(&event).await;
        if order.is_sent_twice {
            pause(300).await;
            self.send(&event).await;
        }
    }

    /// The card was charged: the payment service tells it, sooner or later or never.
    pub(super) fn charged(&self, number: u64) {
        let shop = self.clone();
        spawn(async move {
            let mut payment = shop.order(number).payment;
            if shop.0.wishes.take(Breakage::WrongKey) {
                payment = Payment::WrongKey { ms: 200 };
            } else if shop.0.wishes.take(Breakage::LateEvent) {
                payment = Payment::TooLate { ms: 5_000 };
            }
            match payment {
                Payment::After { ms } => shop.pay(number, ms, "").await,
                Payment::WrongKey { ms } => shop.pay(number, ms, " ").await,
                Payment::TooLate { ms } => {
                    shop.pay(number, ms, "").await;
                    shop.ask_refund(number).await;
                }
                Payment::Never => {}
            }
        });
    }

    async fn pay(&self, number: u64, after_ms: u64, behind_key: &str) {
        pause(after_ms).await;
        let order = self.order(number);
        let data = Object::new().flag("paid", true);
        let subject = order.id() + behind_key;
        self.send(&event(
            "payment.received",
            "/payments",
            &format!("payment-{number}"),
            &subject,
            data,
        ))
        .await;
    }

    /// The order is on a truck: it reports, then the driver confirms.
    pub(super) fn packed(&self, number: u64) {
        let shop = self.clone();
        spawn(async move {
            let mut order = shop.order(number);
            if shop.0.wishes.take(Breakage::HotTruck)
                && let Some(last) = order.temperatures.last_mut()
            {
                *last = 12;
            }
            for (report, degrees) in order.temperatures.iter().enumerate() {
                pause(order.report_every_ms).await;
                let data = Object::new()
                    .number("temperature", i64::try_from(*degrees).unwrap_or_default());
                let id = format!("telemetry-{number}-{report}");
                let source = format!("/trucks/{}", order.truck());
                shop.send(&event(
                    "truck.telemetry",
                    &source,
                    &id,
                    &order.truck(),
                    data,
                ))
                .await;
            }
            pause(order.report_every_ms).await;
            let id = format!("delivery-{number}");
            let data = Object::new().text("signedBy", order.customer);
            shop.send(&event(
                "delivery.confirmed",
                "/drivers",
                &id,
                &order.id(),
                data,
            ))
            .await;
        });
    }

    /// A process published something and it arrived.
    pub(super) fn published(&self, event_type: &str) {
        self.diary(|diary| *diary.arrived.entry(event_type.to_owned()).or_default() += 1);
    }

    /// What processes published, as the shop received it, by type.
    pub(super) fn arrived(&self) -> BTreeMap<String, u64> {
        self.diary(|diary| diary.arrived.clone())
    }

    /// The order was cancelled long ago, so the payment goes back.
    async fn ask_refund(&self, number: u64) {
        pause(800).await;
        let order = self.order(number);
        let total = i64::try_from(order.total).unwrap_or_default();
        let data = Object::new()
            .text("orderId", &order.id())
            .number("total", total);
        self.send(&event(
            "refund.requested",
            "/shop",
            &format!("refund-{number}"),
            &order.id(),
            data,
        ))
        .await;
    }

    async fn repeat_last(&self) {
        if let Some(last) = self.diary(|diary| diary.last_event.clone()) {
            self.send(&last).await;
        }
    }

    async fn send_poison(&self) {
        let id = format!(
            "poison-{}.{}",
            self.0.first,
            self.diary(|diary| diary.latencies.len())
        );
        let data = Object::new()
            .text("customer", "nobody")
            .number("total", 1)
            .text("payWithin", PAY_WITHIN);
        self.send(&event("order.placed", "/shop", &id, &id, data))
            .await;
    }

    /// Sends a CloudEvent and notes how long it took until it was durable.
    async fn send(&self, event: &str) {
        let body = Body {
            content_type: "application/cloudevents+json".to_owned(),
            bytes: event.to_owned().into(),
        };
        for attempt in 1.. {
            if !self.is_open() {
                return;
            }
            let began = Instant::now();
            match self
                .0
                .client
                .call(Method::POST, "/events", Some(body.clone()))
                .await
            {
                Ok(_) => return self.noted(event, began.elapsed()),
                // As a good producer: what was not accepted is sent again, under the same id.
                Err(error) if attempt < 5 && (error.is_overload() || error.is_unreachable()) => {
                    pause(200 * attempt).await;
                }
                Err(error) => return self.note_trouble(&error),
            }
        }
    }

    fn noted(&self, event: &str, latency: Duration) {
        self.diary(|diary| {
            diary.last_event = Some(event.to_owned());
            if diary.latencies.len() < LATENCIES_MAX {
                diary.latencies.push(latency);
            }
        });
    }

    pub(super) fn note_trouble(&self, error: &Error) {
        if self.is_open() {
            self.diary(|diary| diary.trouble = Some(error.to_string()));
        }
    }

    fn diary<T>(&self, with: impl FnOnce(&mut Diary) -> T) -> T {
        with(
            &mut self
                .0
                .diary
                .lock()
                .expect("invariant: nothing panics while holding the diary"),
        )
    }
}

/// A CloudEvent in the JSON format.
fn event(event_type: &str, source: &str, id: &str, subject: &str, data: Object) -> String {
    Object::new()
        .text("specversion", "1.0")
        .text("type", event_type)
        .text("source", source)
        .text("id", id)
        .text("subject", subject)
        .text("datacontenttype", "application/json")
        .object("data", data)
        .into_text()
}

pub(super) async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

pub(super) fn spawn(task: impl Future<Output = ()> + 'static + Send) {
    tokio::spawn(task);
}

/// The order's number in a job's variables.
pub(super) fn number_of(job: &Document) -> Option<u64> {
    job.child("variables")?
        .text("orderId")
        .and_then(Order::number_in)
}
