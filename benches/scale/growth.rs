//! What was measured at each length of a log: as a table, and as plots.

use std::fs;
use std::path::Path;

use plotters::prelude::*;

const SIZE: (u32, u32) = (760, 420);
/// Colours that are told apart by those who see no red or no green, too (Okabe and Ito).
const COLOURS: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

/// What was measured at one length.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    pub(crate) entries: u64,
    pub(crate) sessions: u64,
    pub(crate) appended_per_second: f64,
    pub(crate) ingested_per_second: f64,
    pub(crate) rebuilt_per_second: f64,
    pub(crate) start_ms: f64,
    pub(crate) stop_ms: f64,
    pub(crate) cold_start_ms: f64,
    pub(crate) recovery_ms: f64,
    pub(crate) resident_mib: f64,
    pub(crate) log_bytes: f64,
    pub(crate) projections_bytes: f64,
    pub(crate) warm_p50_ms: f64,
    pub(crate) warm_p99_ms: f64,
    pub(crate) cold_p50_ms: f64,
    pub(crate) cold_p99_ms: f64,
}

/// A column of the table: its name, how many digits it has behind the point, and where it comes from.
type Column = (&'static str, usize, fn(&Point) -> f64);

const COLUMNS: [Column; 14] = [
    ("appended/s", 0, |point| point.appended_per_second),
    ("ingested/s", 0, |point| point.ingested_per_second),
    ("rebuilt/s", 0, |point| point.rebuilt_per_second),
    ("start ms", 0, |point| point.start_ms),
    ("stop ms", 0, |point| point.stop_ms),
    ("cold start ms", 0, |point| point.cold_start_ms),
    ("recovery ms", 0, |point| point.recovery_ms),
    ("resident MiB", 0, |point| point.resident_mib),
    ("log B/event", 0, |point| point.log_bytes),
    ("projections B/event", 0, |point| point.projections_bytes),
    ("GET p50 ms", 3, |point| point.warm_p50_ms),
    ("GET p99 ms", 3, |point| point.warm_p99_ms),
    ("cold p50 ms", 3, |point| point.cold_p50_ms),
    ("cold p99 ms", 3, |point| point.cold_p99_ms),
];

/// A plot: its file, its title, its unit, and the columns in it.
type Plot = (&'static str, &'static str, &'static [&'static str]);

const PLOTS: [Plot; 6] = [
    (
        "throughput.svg",
        "events a second",
        &["appended/s", "ingested/s"],
    ),
    (
        "rebuild.svg",
        "events a second, the whole log folded anew",
        &["rebuilt/s"],
    ),
    (
        "start.svg",
        "milliseconds until everything is answered",
        &["start ms", "cold start ms", "recovery ms"],
    ),
    (
        "memory.svg",
        "MiB resident, default cache",
        &["resident MiB"],
    ),
    (
        "disk.svg",
        "bytes on the disk for each event",
        &["log B/event", "projections B/event"],
    ),
    (
        "reads.svg",
        "milliseconds for GET /v1/users/{id}",
        &["GET p50 ms", "GET p99 ms", "cold p50 ms", "cold p99 ms"],
    ),
];

/// Returns the head of the table.
pub(crate) fn head() -> String {
    let names = COLUMNS.iter().map(|(name, ..)| *name);
    let names: Vec<_> = ["events", "sessions"].into_iter().chain(names).collect();
    format!(
        "| {} |\n|{}",
        names.join(" | "),
        "---:|".repeat(names.len())
    )
}

impl Point {
    /// Returns its row of the table.
    pub(crate) fn row(&self) -> String {
        let cells = COLUMNS
            .iter()
            .map(|(_, digits, of)| format!("{:.digits$}", of(self)));
        let lengths = [self.entries.to_string(), self.sessions.to_string()];
        let cells: Vec<_> = lengths.into_iter().chain(cells).collect();
        format!("| {} |", cells.join(" | "))
    }
}

/// Writes the table, as Markdown, and the plots.
pub(crate) fn write(directory: &Path, points: &[Point]) {
    fs::create_dir_all(directory).unwrap();
    let rows = points.iter().map(Point::row);
    let lines: Vec<_> = [head()].into_iter().chain(rows).collect();
    fs::write(directory.join("scale.md"), lines.join("\n") + "\n").unwrap();
    for (file, title, names) in PLOTS {
        plot(&directory.join(file), title, names, points);
    }
}

fn plot(path: &Path, title: &str, names: &[&str], points: &[Point]) {
    let columns = || COLUMNS.iter().filter(|(name, ..)| names.contains(name));
    let values = columns().flat_map(|(_, _, of)| points.iter().map(of));
    // With room for the legend above the lines.
    let highest = values.fold(0.0, f64::max) * 1.4;
    let lengths = points.iter().map(|point| to_float(point.entries));
    let (first, last) = (
        lengths.clone().fold(f64::INFINITY, f64::min),
        lengths.fold(0.0, f64::max),
    );
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(76)
        .build_cartesian_2d((first..last).log_scale(), 0.0..highest)
        .unwrap();
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("events in the log")
        .x_label_formatter(&|entries| thousands(*entries))
        .y_label_formatter(&|value| thousands(*value))
        .draw()
        .unwrap();
    for ((name, _, of), colour) in columns().zip(COLOURS) {
        let line: Vec<_> = points
            .iter()
            .map(|point| (to_float(point.entries), of(point)))
            .collect();
        let dots = line.iter().map(|at| Circle::new(*at, 3, colour.filled()));
        chart.draw_series(dots).unwrap();
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)))
            .unwrap()
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .draw()
        .unwrap();
    area.present().unwrap();
}

/// Returns a number in a short form: `2.5 M`.
fn thousands(number: f64) -> String {
    match number {
        1e6.. => format!("{} M", number / 1e6),
        1e4.. => format!("{} k", number / 1e3),
        10.0.. => format!("{number:.0}"),
        _ => format!("{number:.1}"),
    }
}

fn to_float(number: u64) -> f64 {
    let [high, low] = [number >> 32, number & u64::from(u32::MAX)];
    let half = |half: u64| f64::from(u32::try_from(half).unwrap());
    half(high).mul_add(4_294_967_296.0, half(low))
}
