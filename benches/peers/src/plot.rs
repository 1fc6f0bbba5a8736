//! What a workload costs as it grows, as a picture: one panel a workload, both axes logarithmic.

use std::fmt::Write;

use crate::report::{COLORS, Row, escape};
use crate::workloads::SIZES;

const COLUMNS: usize = 4;
const WIDTH: usize = 270;
const HEIGHT: usize = 176;
/// Where the axes of a panel begin and end.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 256.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 150.0;

/// A row at its place: the decimal logarithms of its size and of its median.
struct Point<'a> {
    row: &'a Row,
    x: f64,
    y: f64,
}

/// The rows of `--growth`.
pub fn svg(rows: &[Row]) -> String {
    let mut panels: Vec<(&str, Vec<Point<'_>>)> = Vec::new();
    for row in rows {
        let Some((id, size)) = row.workload.split_once('@') else { continue };
        let Some(&(n, _)) = SIZES.iter().find(|(_, name)| *name == size) else { continue };
        let point = Point { row, x: (n as f64).log10(), y: row.median.log10() };
        match panels.iter_mut().find(|(of, _)| *of == id) {
            Some((_, points)) => points.push(point),
            None => panels.push((id, vec![point])),
        }
    }
    let height = panels.len().div_ceil(COLUMNS) * HEIGHT + 34;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{height}\" \
         viewBox=\"0 0 {0} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"8\" y=\"18\" font-size=\"13\">Nanoseconds an operation (upwards) at n (to the right), \
         both logarithmic; flat is good",
        COLUMNS * WIDTH,
    );
    out.push_str("</text>\n");
    for (n, (peer, color)) in COLORS.into_iter().enumerate() {
        let x = (COLUMNS - 1) * WIDTH + n * 70;
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"18\" font-size=\"13\" font-weight=\"bold\" fill=\"{color}\">{peer}</text>"
        );
    }
    for (n, (id, points)) in panels.iter().enumerate() {
        let (x, y) = (n % COLUMNS * WIDTH, n / COLUMNS * HEIGHT + 30);
        let _ = writeln!(
            out,
            "<g transform=\"translate({x},{y})\"><text x=\"8\" y=\"14\" font-weight=\"bold\">{id}</text>\
             <text x=\"30\" y=\"14\">{}</text>",
            escape(&points[0].row.title),
        );
        panel(&mut out, points);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn panel(out: &mut String, points: &[Point<'_>]) {
    let least = |of: fn(&Point<'_>) -> f64| points.iter().map(of).fold(f64::INFINITY, f64::min);
    let most = |of: fn(&Point<'_>) -> f64| points.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
    let (first, last) = (least(|point| point.x), most(|point| point.x).max(2.0));
    let low = least(|point| point.y).floor();
    let high = most(|point| point.y).ceil().max(low + 1.0);
    let across = |x: f64| LEFT + (RIGHT - LEFT) * (x - first) / (last - first);
    let up = |y: f64| BOTTOM - (BOTTOM - TOP) * (y - low) / (high - low);
    for decade in low as i32..=high as i32 {
        let y = up(f64::from(decade));
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"8\" fill=\"#666666\" text-anchor=\"end\">{}</text>",
            LEFT - 4.0,
            y + 3.0,
            10_f64.powi(decade),
        );
    }
    for (n, name) in SIZES {
        let decade = (n as f64).log10();
        if (first..=last).contains(&decade) {
            let x = across(decade);
            let _ = writeln!(
                out,
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{BOTTOM}\" stroke=\"#eeeeee\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"8\" fill=\"#666666\" text-anchor=\"middle\">{name}</text>",
                BOTTOM + 11.0,
            );
        }
    }
    // soloop, the first of them, is drawn over the others.
    for (peer, color) in COLORS.into_iter().rev() {
        let of = || points.iter().filter(|point| point.row.peer == peer);
        if of().next().is_none() {
            continue;
        }
        let line: Vec<String> =
            of().map(|point| format!("{:.1},{:.1}", across(point.x), up(point.y))).collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            line.join(" "),
        );
        for point in of() {
            let _ = writeln!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\" fill=\"{color}\"/>",
                across(point.x),
                up(point.y),
            );
        }
    }
}
