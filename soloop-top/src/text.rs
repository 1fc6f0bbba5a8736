//! Numbers and bars as people read them, and the table as plain text.

use std::time::Duration;

use crate::model::{Model, Row};

pub const TITLES: [&str; 11] = [
    "name", "type", "state", "priority", "backlog", "due in", "calls/s", "time", "worst", "last",
    "wakes/s",
];

pub fn cells(row: &Row) -> [String; 11] {
    let took = |nanos: u64| if row.counts.events == 0 { "-".to_owned() } else { duration(nanos) };
    [
        row.name.clone(),
        row.type_name.clone(),
        match &row.last_error {
            Some(error) => format!("{}: {}", row.state, error.replace(char::is_control, " ")),
            None => row.state.clone(),
        },
        row.priority.clone(),
        if row.backlog == 0 { "-".to_owned() } else { row.backlog.to_string() },
        row.due_in_ns.map_or("-".to_owned(), due),
        rate(row.calls),
        percent(row.share),
        took(row.counts.worst_ns),
        took(row.counts.last_ns),
        rate(row.wakes),
    ]
}

pub fn duration(nanos: u64) -> String {
    format!("{:.1?}", Duration::from_nanos(nanos)).replace(".0", "")
}

fn due(nanos: i64) -> String {
    // Centuries are never.
    match nanos {
        ..0 => "now".to_owned(),
        0..31_536_000_000_000_000 => duration(nanos as u64),
        _ => "-".to_owned(),
    }
}

pub fn rate(rate: f64) -> String {
    match rate {
        0.0 => "-".to_owned(),
        rate if rate < 10.0 => format!("{rate:.1}"),
        rate => format!("{rate:.0}"),
    }
}

pub fn percent(share: f64) -> String {
    if share == 0.0 { "-".to_owned() } else { format!("{:.1}%", share * 100.0) }
}

/// A bar for each share, the highest of them as high as a line is.
pub fn sparkline(shares: &[f64]) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = shares.iter().copied().fold(0.0, f64::max);
    let bar = |share: &f64| match most {
        0.0 => ' ',
        most => BARS[((share / most * 8.0).ceil() as usize).min(8)],
    };
    shares.iter().map(bar).collect()
}

/// What the loop does, in a line.
pub fn summary(model: &Model) -> String {
    let rates = model.rates();
    format!(
        "{} sources, {:.0} rounds/s, {:.0} calls/s, busy {:.1}%",
        model.sources(),
        rates.rounds,
        rates.events,
        rates.busy * 100.0
    )
}

/// Who wakes the loop, in a line.
pub fn wakers(model: &Model) -> String {
    let rates = model.rates();
    let mut text = format!("{:.0} wake-ups/s", rates.wakeups);
    let named = model.wakers().into_iter().take(4).map(|(name, rate)| format!("{name} {rate:.0}"));
    let nothing =
        (rates.for_nothing > 0.0).then(|| format!("for nothing {:.0}", rates.for_nothing));
    for (n, waker) in nothing.into_iter().chain(named).enumerate() {
        text += if n == 0 { ": " } else { ", " };
        text += &waker;
    }
    text
}

/// The table for scripts.
pub fn table(model: &Model) -> String {
    let mut lines = vec![TITLES.map(str::to_owned)];
    lines.extend(model.rows().iter().map(cells));
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; 11] = std::array::from_fn(width);
    let mut text = format!("{}\n{}\n\n", summary(model), wakers(model));
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  "));
        text += cells.collect::<String>().trim_end();
        text.push('\n');
    }
    text
}
