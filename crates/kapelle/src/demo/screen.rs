//! The demo in a terminal: events and their outcomes on the left, process instances on the right, keys below.

mod draw;
mod keys;
mod state;

use std::time::{Duration, Instant};

use super::Wish;
use super::board::Board;
use super::host::Host;
use super::shop::Shop;
use crate::cli::{Failure, Style, explanation, one_signal};
use keys::{Action, Keys};
use state::{Popup, State};

/// Fast enough to look alive, slow enough for a terminal over a slow line.
const FRAME: Duration = Duration::from_millis(100);
/// Lists and counts cost the server more than the event feed.
const INSTANCES_EVERY: Duration = Duration::from_millis(400);

/// Shows the demo until `q`, Ctrl-C, or the end of its time.
pub(super) async fn run(
    host: &Host,
    shop: &Shop,
    board: &mut Board,
    wish: &Wish,
) -> Result<(), Failure> {
    let mut terminal = ratatui::try_init().map_err(|error| {
        Failure::failed("KAP-2006", "cannot use the terminal")
            .why(error.to_string())
            .hint("--plain prints lines instead")
    })?;
    let mut state = State::new(host, shop, wish);
    let mut keys = Keys::start();
    let mut instances_read = None;
    let mut frames = tokio::time::interval(FRAME);
    // In a terminal Ctrl-C is a key; this is for `kill`.
    let stop = one_signal();
    tokio::pin!(stop);
    let result = loop {
        // Cancel-safe: a key stays in the channel, a tick that is lost is followed by the next.
        tokio::select! {
            action = keys.next() => {
                if act(action, &mut state, shop, board).await {
                    break Ok(());
                }
            }
            () = &mut stop => break Ok(()),
            _ = frames.tick() => refresh(shop, board, &mut state, &mut instances_read).await,
        }
        if wish
            .lasting
            .is_some_and(|lasting| state.began.elapsed() >= lasting)
            || host.has_ended()
        {
            break Ok(());
        }
        if let Err(error) = terminal.draw(|frame| draw::draw(frame, board, &mut state)) {
            break Err(
                Failure::failed("KAP-2006", "cannot draw on the terminal").why(error.to_string())
            );
        }
    };
    ratatui::restore();
    result
}

async fn refresh(
    shop: &Shop,
    board: &mut Board,
    state: &mut State,
    instances_read: &mut Option<Instant>,
) {
    if let Err(error) = board.read_events().await {
        shop.note_trouble(&error);
    }
    if instances_read.is_none_or(|at| at.elapsed() >= INSTANCES_EVERY) {
        *instances_read = Some(Instant::now());
        let read = async {
            board.read_instances().await?;
            board.read_totals().await
        };
        if let Err(error) = read.await {
            shop.note_trouble(&error);
        }
    }
    state.rate = shop.rate();
    if let Some(trouble) = shop.trouble() {
        state.say(format!("simulator: {trouble}"));
    }
}

/// Does what a key means; answers whether to end.
async fn act(action: Action, state: &mut State, shop: &Shop, board: &Board) -> bool {
    match action {
        Action::Quit if state.popup.is_none() => return true,
        Action::Quit | Action::Close if state.popup.is_some() => state.popup = None,
        Action::Interrupt => return true,
        Action::Break => state.popup = Some(Popup::Menu),
        Action::Choose(breakage) if matches!(state.popup, Some(Popup::Menu)) => {
            shop.break_something(breakage);
            state.popup = None;
            state.say(format!("{}: {}", breakage.title(), breakage.effect()));
        }
        Action::Explain => explain(state, board).await,
        Action::Faster => shop.change_rate(1.5),
        Action::Slower => shop.change_rate(1.0 / 1.5),
        Action::Up => state.select(board, 1),
        Action::Down => state.select(board, -1),
        Action::Close | Action::Newest => state.selected = None,
        Action::Choose(_) | Action::Redraw | Action::Quit => {}
    }
    false
}

async fn explain(state: &mut State, board: &Board) {
    let Some(position) = state.selected.or_else(|| board.most_puzzling()) else {
        return;
    };
    state.selected = Some(position);
    let text = match board.explain(position).await {
        Ok(found) => explanation(&found, Style::plain()),
        Err(error) => error.to_string(),
    };
    state.popup = Some(Popup::Explanation(text));
}
