//! Pictures of the screen on a terminal in memory.

use expect_test::{Expect, expect};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;

fn screen(popup: Option<Popup>, expected: Expect) {
    let event = |position: u64, text: &str| (position, Document::parse(text.as_bytes()).unwrap());
    let events = [
        event(
            7,
            r#"{"time":"2026-11-24T07:00:00.123Z","direction":"in","type":"order.placed","subject":"A-1001","outcome":"STARTED","reason":"started fresh-food-order"}"#,
        ),
        event(
            9,
            r#"{"time":"2026-11-24T07:00:01.000Z","direction":"out","type":"order.completed","subject":"A-1001","outcome":"PENDING","reason":""}"#,
        ),
    ];
    let instance = Instance {
        key: "2251799813685255".into(),
        process: "fresh-food-order".into(),
        subject: "A-1001".into(),
        elements: vec!["Pack".into()],
        has_incident: true,
    };
    let board = Board::picture(events.into(), vec![instance]);
    let mut state = State::picture(popup);
    let mut terminal = Terminal::new(TestBackend::new(110, 13)).unwrap();
    terminal
        .draw(|frame| draw(frame, &board, &mut state))
        .unwrap();
    let buffer = terminal.backend().buffer().clone();
    let lines = buffer
        .content()
        .chunks(110)
        .map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
    let lines: Vec<String> = lines.map(|line| line.trim_end().to_owned()).collect();
    expected.assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn events_are_newest_first_beside_the_instances() {
    screen(
        None,
        expect![[r#"
        Kapelle 0.1.0 demo · REST http://127.0.0.1:8080 · 0 s
        3.0 orders/s · seed 42 · 1 active · 2 completed · 0 terminated · 1 incidents
        3 STARTED
        ┌ events ───────────────────────────────────────────────────────────────┐┌ 1 process instances ──────────────┐
        │TIME           EVENT              SUBJECT  OUTCOME    WHY              ││SUBJECT  PROCESS           STANDS A│
        │07:00:01.000 → order.completed    A-1001   PENDING                     ││A-1001   fresh-food-order  INCIDENT│
        │07:00:00.123 ← order.placed       A-1001   STARTED    started fresh-foo││                                   │
        │                                                                       ││                                   │
        │                                                                       ││                                   │
        │                                                                       ││                                   │
        └───────────────────────────────────────────────────────────────────────┘└───────────────────────────────────┘

        b break something · ↑↓ select · x explain · + - rate · q quit
    "#]],
    );
}

#[test]
fn the_menu_lies_over_the_lists() {
    screen(
        Some(Popup::Menu),
        expect![[r#"
        Kapelle 0.1.0 demo · REST http://127.0.0.1:8080 · 0 s
        3.0 ┌ break something · Esc closes ──────────────────────────────────────────────────────────────────────┐
        3 ST│1 wrong key       the next payment has a space behind its key: explain it, see the order wait and be│
        ┌ ev│cancelled                                                                                           │───┐
        │TIM│2 late event      the next payment comes after its order was cancelled: explain it; a refund follows│S A│
        │07:│3 duplicate       the last event is sent again: DUPLICATE, no effect                                │ENT│
        │07:│4 failing worker  the card reader breaks for three jobs without retries: three incidents to resolve │   │
        │   │5 hot truck       the next truck reports 12 degrees: a boundary event re-routes it                  │   │
        │   │6 poison message  an order without an id: its instance stops with an incident where the key is      │   │
        │   │missing                                                                                             │   │
        └───└────────────────────────────────────────────────────────────────────────────────────────────────────┘───┘

        b break something · ↑↓ select · x explain · + - rate · q quit
    "#]],
    );
}

#[test]
fn a_terminal_of_any_size_is_drawn_without_a_panic() {
    let board = Board::picture(Default::default(), Vec::new());
    for (width, height) in [(1, 1), (3, 2), (10, 4), (400, 3)] {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut state = State::picture(Some(Popup::Menu));
        terminal
            .draw(|frame| draw(frame, &board, &mut state))
            .unwrap();
    }
}
