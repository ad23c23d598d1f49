//! Lays the board out on a terminal. Colour supports, words tell.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Table, Wrap};

use super::state::{Popup, State};
use crate::cli::{brief, clock, subject};
use crate::client::Document;
use crate::demo::board::{Board, Instance};
use crate::demo::breakage::Breakage;

const FAINT: Style = Style::new().fg(Color::DarkGray);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);

pub(super) fn draw(frame: &mut Frame, board: &Board, state: &mut State) {
    let rows = Layout::vertical([
        Constraint::Length(3),
        Constraint::Min(4),
        Constraint::Length(2),
    ]);
    let [head, body, foot] = rows.areas(frame.area());
    draw_head(frame, head, board, state);
    let columns = Layout::horizontal([Constraint::Percentage(66), Constraint::Percentage(34)]);
    let [left, right] = columns.areas(body);
    draw_events(frame, left, board, state);
    draw_instances(frame, right, board);
    draw_foot(frame, foot, state);
    match &state.popup {
        Some(Popup::Menu) => draw_menu(frame),
        Some(Popup::Explanation(text)) => {
            draw_popup(frame, "explain", text.lines().map(Line::from).collect())
        }
        None => {}
    }
}

fn draw_head(frame: &mut Frame, area: Rect, board: &Board, state: &State) {
    let totals = board.totals;
    let mut counts = vec![
        Span::styled(format!("{:.1} orders/s", state.rate), STRONG),
        Span::raw(format!(" · seed {} · ", state.seed)),
        Span::styled(format!("{} active", totals.active), STRONG),
        Span::raw(format!(
            " · {} completed · {} terminated · ",
            totals.completed, totals.terminated
        )),
    ];
    let incidents = format!("{} incidents", totals.incidents);
    counts.push(if totals.incidents > 0 {
        Span::styled(incidents, bad())
    } else {
        Span::raw(incidents)
    });
    let outcomes = board.outcomes.iter().flat_map(|(outcome, count)| {
        [
            Span::styled(format!("{count} {outcome}"), outcome_style(outcome)),
            Span::raw("  "),
        ]
    });
    let elapsed = state.began.elapsed().as_secs();
    let time = match state.left {
        Some(left) => format!(" · {elapsed} of {} s", left.as_secs()),
        None => format!(" · {elapsed} s"),
    };
    let title = Line::from(vec![
        Span::styled(
            concat!("Kapelle ", env!("CARGO_PKG_VERSION"), " demo"),
            STRONG,
        ),
        Span::styled(format!(" · {}{time}", state.addresses), FAINT),
    ]);
    frame.render_widget(
        Paragraph::new(vec![title, Line::from(counts), outcomes.collect()]),
        area,
    );
}

fn draw_events(frame: &mut Frame, area: Rect, board: &Board, state: &State) {
    // Two for the frame, one for the heads.
    let room = usize::from(area.height.saturating_sub(3));
    let newest = board.events.keys().next_back().copied().unwrap_or_default();
    let top = match state.selected {
        // The selection stays in the middle; what is newer scrolls above.
        Some(selected) => board
            .events
            .range(selected..)
            .nth(room / 2)
            .map_or(newest, |(position, _)| *position),
        None => newest,
    };
    let shown = board.events.range(..=top).rev().take(room);
    let rows = shown.map(|(position, event)| event_row(event, state.selected == Some(*position)));
    let widths = [
        Constraint::Length(12),
        Constraint::Length(1),
        Constraint::Length(18),
        Constraint::Length(8),
        Constraint::Length(10),
        Constraint::Fill(1),
    ];
    let heads = Row::new(["TIME", "", "EVENT", "SUBJECT", "OUTCOME", "WHY"]).style(FAINT);
    let title = if state.selected.is_some() {
        " events · paused, Esc follows "
    } else {
        " events "
    };
    frame.render_widget(
        Table::new(rows, widths)
            .header(heads)
            .block(Block::bordered().title(title)),
        area,
    );
}

fn event_row(event: &Document, is_selected: bool) -> Row<'static> {
    let text = |member: &str| event.text(member).unwrap_or_default().to_owned();
    let arrow = if event.text("direction") == Some("out") {
        "→"
    } else {
        "←"
    };
    let outcome = text("outcome");
    let style = outcome_style(&outcome);
    let row = Row::new([
        Cell::from(clock(&text("time")).to_owned()).style(FAINT),
        Cell::from(arrow),
        Cell::from(text("type")),
        Cell::from(subject(event)),
        Cell::from(outcome).style(style),
        Cell::from(brief(&text("reason"))),
    ]);
    if is_selected {
        row.style(Style::new().add_modifier(Modifier::REVERSED))
    } else {
        row
    }
}

fn draw_instances(frame: &mut Frame, area: Rect, board: &Board) {
    let rows = board.instances.iter().map(instance_row);
    let widths = [
        Constraint::Length(8),
        Constraint::Length(17),
        Constraint::Fill(1),
    ];
    let heads = Row::new(["SUBJECT", "PROCESS", "STANDS AT"]).style(FAINT);
    let title = format!(" {} process instances ", board.totals.active);
    frame.render_widget(
        Table::new(rows, widths)
            .header(heads)
            .block(Block::bordered().title(title)),
        area,
    );
}

fn instance_row(instance: &Instance) -> Row<'static> {
    let subject = if instance.subject.is_empty() {
        instance.key.clone()
    } else {
        instance.subject.clone()
    };
    let mut place = instance.elements.join(", ");
    if instance.has_incident {
        place.insert_str(0, "INCIDENT ");
    }
    let place = Cell::from(place).style(if instance.has_incident {
        bad()
    } else {
        Style::new()
    });
    Row::new([
        Cell::from(subject),
        Cell::from(instance.process.clone()).style(FAINT),
        place,
    ])
}

fn draw_foot(frame: &mut Frame, area: Rect, state: &State) {
    let keys = "b break something · ↑↓ select · x explain · + - rate · q quit";
    let lines = vec![
        Line::raw(state.said().unwrap_or_default().to_owned()),
        Line::styled(keys, FAINT),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_menu(frame: &mut Frame) {
    let line = |(index, breakage): (usize, &Breakage)| {
        Line::from(vec![
            Span::styled(format!("{} {:<15} ", index + 1, breakage.title()), STRONG),
            Span::raw(breakage.effect()),
        ])
    };
    draw_popup(
        frame,
        "break something · Esc closes",
        Breakage::ALL.iter().enumerate().map(line).collect(),
    );
}

fn draw_popup(frame: &mut Frame, title: &str, lines: Vec<Line<'_>>) {
    const MARGIN: u16 = 4;
    let screen = frame.area();
    let width = screen.width.saturating_sub(2 * MARGIN).min(116);
    let inner = usize::from(width.saturating_sub(2)).max(1);
    // What wraps needs more rows than it has lines.
    let rows: usize = lines
        .iter()
        .map(|line| line.width().div_ceil(inner).max(1))
        .sum();
    let height = u16::try_from(rows + 2)
        .unwrap_or(u16::MAX)
        .min(screen.height);
    let area = Rect {
        x: (screen.width - width) / 2,
        y: (screen.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(format!(" {title} "));
    frame.render_widget(
        Paragraph::new(lines)
            .wrap(Wrap { trim: false })
            .block(block),
        area,
    );
}

fn bad() -> Style {
    Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
}

fn outcome_style(outcome: &str) -> Style {
    match outcome {
        "STARTED" | "CORRELATED" | "DELIVERED" => Style::new().fg(Color::Green),
        "BUFFERED" | "PENDING" | "FILTERED" | "DUPLICATE" => Style::new().fg(Color::Yellow),
        _ => Style::new().fg(Color::Red),
    }
}

#[cfg(test)]
mod tests;
