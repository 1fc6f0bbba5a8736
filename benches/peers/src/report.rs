//! Medians, as tables, as JSON or as a picture.

use std::fmt::Write;

use crate::workloads::Unit;

/// The peers in pictures, and their colours.
pub const COLORS: [(&str, &str); 3] =
    [("soloop", "#2a6fbb"), ("calloop", "#d98b2b"), ("raw", "#888888")];

/// What one peer came to in one workload.
pub struct Row {
    pub workload: String,
    pub title: String,
    pub unit: Unit,
    pub peer: &'static str,
    pub median: f64,
    /// The inter-quartile range, in per cent of the median.
    pub iqr_pct: f64,
    pub vs_raw: Option<f64>,
    pub vs_calloop: Option<f64>,
}

/// Median and inter-quartile range in per cent of it.
pub fn summary(samples: &mut [f64]) -> (f64, f64) {
    samples.sort_by(f64::total_cmp);
    let median = quantile(samples, 0.5);
    let range = quantile(samples, 0.75) - quantile(samples, 0.25);
    let pct = if median == 0.0 { 0.0 } else { 100.0 * range / median };
    (median, pct)
}

/// By linear interpolation between the closest two.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let below = sorted[at.floor() as usize];
    let above = sorted[at.ceil() as usize];
    below + (above - below) * at.fract()
}

/// The ratios of each row to that of `raw` and of `calloop`.
pub fn compare(rows: &mut [Row]) {
    let median = |rows: &[Row], peer| {
        let row = rows.iter().find(|row| row.peer == peer)?;
        (row.median > 0.0).then_some(row.median)
    };
    let raw = median(rows, "raw");
    let calloop = median(rows, "calloop");
    for row in rows {
        row.vs_raw = raw.map(|raw| row.median / raw);
        row.vs_calloop = calloop.map(|calloop| row.median / calloop);
    }
}

pub fn table_head() {
    println!(
        "{:<15} {:<9} {:>12} {:>7} {:>9} {:>10}",
        "workload", "peer", "median", "iqr %", "× raw", "× calloop"
    );
}

/// The rows of one workload.
pub fn table(rows: &[Row]) {
    let Some(first) = rows.first() else { return };
    println!("\n{}: {} ({})", first.workload, first.title, first.unit.name());
    for row in rows {
        let ratio = |ratio: Option<f64>, width| match ratio {
            Some(ratio) => format!("{ratio:>width$.3}"),
            None => format!("{:>width$}", "–"),
        };
        let digits = if row.unit == Unit::Nanoseconds { 1 } else { 3 };
        println!(
            "{:<15} {:<9} {:>12.digits$} {:>7.1} {} {}",
            row.workload,
            row.peer,
            row.median,
            row.iqr_pct,
            ratio(row.vs_raw, 9),
            ratio(row.vs_calloop, 10),
        );
    }
}

/// A table of many rows: each in the line and in the column that it is assigned.
pub fn grid(rows: &[Row], line: impl Fn(&Row) -> String, column: impl Fn(&Row) -> String) {
    let mut columns: Vec<String> = Vec::new();
    let mut lines: Vec<(String, Vec<(usize, f64)>)> = Vec::new();
    for row in rows {
        let (line, column) = (line(row), column(row));
        let at = columns.iter().position(|name| *name == column).unwrap_or_else(|| {
            columns.push(column);
            columns.len() - 1
        });
        match lines.iter_mut().find(|(name, _)| *name == line) {
            Some((_, cells)) => cells.push((at, row.median)),
            None => lines.push((line, vec![(at, row.median)])),
        }
    }
    let width = |names: &mut dyn Iterator<Item = &String>| {
        names.map(|name| name.chars().count()).max().unwrap_or(0)
    };
    let first = width(&mut lines.iter().map(|(name, _)| name));
    let other = width(&mut columns.iter()).max(9) + 1;
    let head: String = columns.iter().map(|name| format!("{name:>other$}")).collect();
    println!("{:first$}{head}", "");
    for (name, cells) in &lines {
        let cell = |at| match cells.iter().find(|(of, _)| *of == at) {
            Some((_, value)) => format!("{value:>other$.1}"),
            None => format!("{:>other$}", "–"),
        };
        println!("{name:first$}{}", (0..columns.len()).map(cell).collect::<String>());
    }
}

/// Text as XML has it.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// One object a line. `median_ns` is in `unit`, which is not always nanoseconds.
pub fn json(rows: &[Row]) {
    for row in rows {
        let ratio = |ratio: Option<f64>| match ratio {
            Some(ratio) => format!("{ratio:.4}"),
            None => "null".to_owned(),
        };
        println!(
            r#"{{"workload":"{}","peer":"{}","median_ns":{:.4},"iqr_pct":{:.1},"vs_raw":{},"vs_calloop":{},"unit":"{}"}}"#,
            row.workload,
            row.peer,
            row.median,
            row.iqr_pct,
            ratio(row.vs_raw),
            ratio(row.vs_calloop),
            row.unit.name(),
        );
    }
}

/// One panel a workload: soloop, calloop and raw on a logarithmic scale.
pub fn svg(rows: &[Row]) -> String {
    const COLUMNS: usize = 4;
    const WIDTH: usize = 270;
    const HEIGHT: usize = 96;
    const LEFT: f64 = 62.0;
    const BAR: f64 = 140.0;
    let mut ids: Vec<&str> = Vec::new();
    for row in rows {
        if row.unit == Unit::Nanoseconds && !ids.contains(&row.workload.as_str()) {
            ids.push(&row.workload);
        }
    }
    let height = ids.len().div_ceil(COLUMNS) * HEIGHT + 34;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{height}\" \
         viewBox=\"0 0 {0} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"8\" y=\"18\" font-size=\"13\">Nanoseconds an operation, logarithmic, each decade the \
         width between two lines; shorter is better</text>\n",
        COLUMNS * WIDTH,
    );
    for (n, &id) in ids.iter().enumerate() {
        let (x, y) = (n % COLUMNS * WIDTH, n / COLUMNS * HEIGHT + 30);
        let of: Vec<(&Row, &str)> = COLORS
            .into_iter()
            .filter_map(|(peer, color)| {
                let row = rows
                    .iter()
                    .find(|row| row.workload == id && row.peer == peer && row.median > 0.0)?;
                Some((row, color))
            })
            .collect();
        let Some((first, _)) = of.first() else { continue };
        let logs = of.iter().map(|(row, _)| row.median.log10());
        let low = logs.clone().fold(f64::INFINITY, f64::min).floor();
        let high = logs.fold(f64::NEG_INFINITY, f64::max).ceil().max(low + 1.0);
        let mut title = first.title.clone();
        if title.chars().count() > 34 {
            title = title.chars().take(33).collect::<String>() + "…";
        }
        let _ = writeln!(
            out,
            "<g transform=\"translate({x},{y})\"><text x=\"8\" y=\"14\"><tspan font-weight=\"bold\">{id}</tspan> \
             {}</text>",
            escape(&title),
        );
        for decade in 0..=(high - low) as i32 {
            let at = LEFT + BAR * f64::from(decade) / (high - low);
            let _ = writeln!(
                out,
                "<line x1=\"{at:.1}\" y1=\"20\" x2=\"{at:.1}\" y2=\"76\" stroke=\"#dddddd\"/>\
                 <text x=\"{at:.1}\" y=\"87\" font-size=\"8\" fill=\"#666666\" text-anchor=\"middle\">{}</text>",
                10_f64.powi(low as i32 + decade),
            );
        }
        for (line, (row, color)) in of.iter().enumerate() {
            let y = 22 + line * 18;
            let width = BAR * (row.median.log10() - low) / (high - low);
            let _ = writeln!(
                out,
                "<text x=\"8\" y=\"{0}\">{1}</text><rect x=\"{LEFT}\" y=\"{y}\" width=\"{2:.1}\" height=\"14\" \
                 fill=\"{color}\"/><text x=\"{3:.1}\" y=\"{0}\">{4:.0}</text>",
                y + 11,
                row.peer,
                width.max(1.0),
                LEFT + width.max(1.0) + 4.0,
                row.median,
            );
        }
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}
