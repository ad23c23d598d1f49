//! Keys and what they mean. A thread waits for them, because a terminal can only be read by waiting.

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use crate::demo::breakage::Breakage;

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Quit,
    Interrupt,
    Break,
    Choose(Breakage),
    Explain,
    Faster,
    Slower,
    Up,
    Down,
    Newest,
    Close,
    /// The terminal changed its size.
    Redraw,
}

pub(super) struct Keys(mpsc::Receiver<Action>);

/// A person types slower than this fills; a pasted text may lose its end.
const KEYS_MAX: usize = 64;

impl Keys {
    pub(super) fn start() -> Self {
        let (sender, receiver) = mpsc::channel(KEYS_MAX);
        // Ends with the process: nothing can wake it from waiting, and it holds nothing.
        std::thread::spawn(move || {
            while let Ok(event) = event::read() {
                if let Some(action) = meaning(&event)
                    && sender.blocking_send(action).is_err()
                {
                    return;
                }
            }
        });
        Self(receiver)
    }

    /// The next one; a terminal that is gone means Ctrl-C.
    pub(super) async fn next(&mut self) -> Action {
        self.0.recv().await.unwrap_or(Action::Interrupt)
    }
}

fn meaning(event: &Event) -> Option<Action> {
    match event {
        Event::Key(KeyEvent {
            kind: KeyEventKind::Release,
            ..
        }) => None,
        Event::Key(KeyEvent {
            code: KeyCode::Char('c' | 'd'),
            modifiers,
            ..
        }) if modifiers.contains(KeyModifiers::CONTROL) => Some(Action::Interrupt),
        Event::Key(key) => of_key(key.code),
        Event::Resize(..) => Some(Action::Redraw),
        _ => None,
    }
}

fn of_key(code: KeyCode) -> Option<Action> {
    match code {
        KeyCode::Char('q') => Some(Action::Quit),
        KeyCode::Char('b') => Some(Action::Break),
        KeyCode::Char('x') | KeyCode::Enter => Some(Action::Explain),
        KeyCode::Char('+' | '=') => Some(Action::Faster),
        KeyCode::Char('-') => Some(Action::Slower),
        KeyCode::Up | KeyCode::Char('k') => Some(Action::Up),
        KeyCode::Down | KeyCode::Char('j') => Some(Action::Down),
        KeyCode::End | KeyCode::Char('G') => Some(Action::Newest),
        KeyCode::Esc => Some(Action::Close),
        KeyCode::Char(digit) => {
            let index = usize::try_from(digit.to_digit(10)?).ok()?.checked_sub(1)?;
            Breakage::ALL.get(index).copied().map(Action::Choose)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_bottom_line_says() {
        assert_eq!(of_key(KeyCode::Char('q')), Some(Action::Quit));
        assert_eq!(
            of_key(KeyCode::Char('1')),
            Some(Action::Choose(Breakage::WrongKey))
        );
        assert_eq!(of_key(KeyCode::Char('7')), None);
        assert_eq!(of_key(KeyCode::Char('0')), None);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(meaning(&Event::Key(interrupt)), Some(Action::Interrupt));
    }
}
