//! An order of the story and its fate: a pure function of the seed and the order's number.

use super::random::Random;

/// Orders are named `A-1001`, `A-1002`, …
pub(super) const FIRST_NUMBER: u64 = 1001;

/// What the customer, the payment service and the truck will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) number: u64,
    pub(super) customer: &'static str,
    pub(super) total: u64,
    pub(super) is_declined: bool,
    pub(super) payment: Payment,
    /// The order's event is sent a second time, as impatient shops do.
    pub(super) is_sent_twice: bool,
    /// Degrees on the way, one for each report of the truck.
    pub(super) temperatures: Vec<u64>,
    pub(super) report_every_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payment {
    After {
        ms: u64,
    },
    /// After the order was cancelled: the shop refunds it.
    TooLate {
        ms: u64,
    },
    Never,
    /// The payment service puts a space behind the order's id.
    WrongKey {
        ms: u64,
    },
}

/// The shop waits so long for a payment; ISO 8601, read by the model.
pub(super) const PAY_WITHIN: &str = "PT4S";
const PAY_WITHIN_MS: u64 = 4_000;

const CUSTOMERS: [&str; 8] = [
    "Ada", "Grace", "Linus", "Margaret", "Ken", "Barbara", "Edsger", "Radia",
];

impl Order {
    pub(super) fn of(seed: u64, number: u64) -> Self {
        let mut random = Random::stream(seed, number);
        let payment_ms = random.between(200, 1_400);
        let payment = match random.between(1, 100) {
            1..=4 => Payment::Never,
            5..=9 => Payment::TooLate {
                ms: PAY_WITHIN_MS + random.between(500, 1_500),
            },
            10..=12 => Payment::WrongKey { ms: payment_ms },
            _ => Payment::After { ms: payment_ms },
        };
        let is_hot = random.between(1, 100) <= 8;
        let reports = random.between(1, 2);
        let mut temperatures: Vec<u64> = (0..reports).map(|_| random.between(2, 7)).collect();
        if is_hot && let Some(last) = temperatures.last_mut() {
            *last = random.between(9, 13);
        }
        Self {
            number,
            customer: random.pick(&CUSTOMERS),
            total: random.between(8, 120),
            is_declined: random.between(1, 100) <= 4,
            payment,
            is_sent_twice: random.between(1, 100) <= 3,
            temperatures,
            report_every_ms: random.between(250, 700),
        }
    }

    pub(super) fn id(&self) -> String {
        format!("A-{}", self.number)
    }

    pub(super) fn truck(&self) -> String {
        format!("T-{}", self.number)
    }

    /// The number in an order's or a truck's id.
    pub(super) fn number_in(id: &str) -> Option<u64> {
        id.trim().split_once('-')?.1.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_orders_and_another_seed_others() {
        let orders = |seed| {
            (FIRST_NUMBER..FIRST_NUMBER + 50)
                .map(|number| Order::of(seed, number))
                .collect::<Vec<_>>()
        };
        assert_eq!(orders(42), orders(42));
        assert_ne!(orders(42), orders(43));
    }

    #[test]
    fn every_fate_of_the_story_comes_up() {
        let orders: Vec<Order> = (FIRST_NUMBER..FIRST_NUMBER + 500)
            .map(|number| Order::of(42, number))
            .collect();
        let some =
            |fits: &dyn Fn(&Order) -> bool| orders.iter().filter(|order| fits(order)).count() > 0;
        assert!(some(&|order| order.is_declined));
        assert!(some(&|order| order.is_sent_twice));
        assert!(some(&|order| matches!(
            order.payment,
            Payment::After { .. }
        )));
        assert!(some(&|order| matches!(
            order.payment,
            Payment::TooLate { .. }
        )));
        assert!(some(&|order| matches!(order.payment, Payment::Never)));
        assert!(some(&|order| matches!(
            order.payment,
            Payment::WrongKey { .. }
        )));
        assert!(some(&|order| order
            .temperatures
            .iter()
            .any(|degrees| *degrees > 8)));
    }

    #[test]
    fn numbers_are_found_in_ids() {
        assert_eq!(Order::number_in("A-1007 "), Some(1007));
        assert_eq!(Order::number_in("T-1"), Some(1));
        assert_eq!(Order::number_in("1007"), None);
    }
}
