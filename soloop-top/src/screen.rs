//! What is on the screen.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table};

use crate::model::{BARS, Model, Sort};
use crate::text::{TITLES, cells, duration, sparkline, summary, wakers};

/// What is shown besides the model.
#[derive(Default)]
pub struct View {
    pub program: String,
    pub pid: u32,
    pub paused: bool,
    /// The filter is being typed.
    pub typing: bool,
    pub top: usize,
    /// Why the program says nothing, if it does not.
    pub silence: Option<String>,
    pub slow_ms: f64,
}

pub fn draw(frame: &mut Frame<'_>, model: &Model, view: &mut View) {
    let slow_height = (frame.area().height / 3).clamp(3, 10);
    let [head, table, slow, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(3),
        Constraint::Length(slow_height),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_head(frame, head, model, view);
    draw_table(frame, table, model, view);
    draw_slow(frame, slow, model, view);
    draw_foot(frame, foot, model, view);
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, model: &Model, view: &View) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut first = vec![
        Span::styled(format!("{} ({})", view.program, view.pid), bold),
        Span::raw("  "),
        Span::raw(summary(model)),
    ];
    let alarm = Style::new().fg(Color::Black).bg(Color::Yellow);
    if let Some(silence) = &view.silence {
        first.push(Span::styled(format!("  {silence}"), alarm));
    } else if view.paused {
        first.push(Span::styled("  paused", alarm));
    }
    let second = Span::styled(wakers(model), Style::new().fg(Color::Cyan));
    frame.render_widget(Paragraph::new(vec![Line::from(first), Line::from(second)]), area);
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, model: &Model, view: &mut View) {
    let rows = model.rows();
    let visible = usize::from(area.height.saturating_sub(1));
    view.top = view.top.min(rows.len().saturating_sub(visible));
    let sorted = match model.sort {
        Sort::Name => 0,
        Sort::Calls => 6,
        Sort::Time => 7,
        Sort::Worst => 8,
        Sort::Wakes => 10,
    };
    let title = Style::new().fg(Color::Black).bg(Color::Green);
    let titles = TITLES.iter().enumerate().map(|(column, text)| {
        let style = if column == sorted {
            title.add_modifier(Modifier::UNDERLINED | Modifier::BOLD)
        } else {
            title
        };
        Cell::from(*text).style(style)
    });
    let header = Row::new(titles.chain([Cell::from("time, lately").style(title)])).style(title);
    let body = rows.iter().skip(view.top).take(visible).map(|row| {
        let style = match row {
            row if row.last_error.is_some() => Style::new().fg(Color::Red),
            row if row.share >= 0.5 => Style::new().fg(Color::Yellow),
            row if row.calls == 0.0 => Style::new().fg(Color::DarkGray),
            _ => Style::new(),
        };
        let bars = Cell::from(sparkline(&row.history)).style(Style::new().fg(Color::Cyan));
        Row::new(cells(row).map(Cell::from).into_iter().chain([bars])).style(style)
    });
    let widths = [
        Constraint::Min(16),
        Constraint::Max(26),
        Constraint::Max(16),
        Constraint::Length(8),
        Constraint::Length(7),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(BARS as u16),
    ];
    frame.render_widget(Table::new(body, widths).header(header), area);
}

fn draw_slow(frame: &mut Frame<'_>, area: Rect, model: &Model, view: &View) {
    let title = format!(" callbacks of more than {} ms ", view.slow_ms);
    let block = Block::new().borders(Borders::TOP).title(title);
    let now = model.now();
    let lines = model.slow.iter().map(|slow| {
        let ago = now.saturating_sub(slow.at_ns) / 1_000_000_000;
        let waited = slow.took_ns.saturating_sub(slow.on_cpu_ns);
        let mut text = format!(
            "{ago:>4}s ago  {}  took {}: computed for {}, waited for {}",
            slow.name,
            duration(slow.took_ns),
            duration(slow.on_cpu_ns),
            duration(waited)
        );
        if slow.kind != "source" {
            text += &format!("  ({})", slow.kind);
        }
        if let Some(late) = slow.late_ns {
            text += &format!("; began {} late", duration(late));
        }
        Line::from(text)
    });
    let none = model.slow.is_empty().then(|| Line::from("none so far"));
    frame.render_widget(
        Paragraph::new(none.into_iter().chain(lines).collect::<Vec<_>>()).block(block),
        area,
    );
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, model: &Model, view: &View) {
    let text = if view.typing {
        format!("filter: {}_", model.filter)
    } else if model.filter.is_empty() {
        "q quit  p pause  ←→ sort  ↑↓ scroll  / filter".to_owned()
    } else {
        format!("q quit  p pause  ←→ sort  ↑↓ scroll  / filter: {} (esc drops it)", model.filter)
    };
    frame.render_widget(Paragraph::new(text).style(Style::new().fg(Color::DarkGray)), area);
}
