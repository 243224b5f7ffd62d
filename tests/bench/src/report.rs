//! `BENCHMARKS.md`: a section for each thing measured, of which a run replaces those it measured.

use std::{
    collections::BTreeMap,
    env, fs,
    ops::RangeBounds,
    path::{Path, PathBuf},
};

use crate::{Result, notes, output};

const HEAD: &str = "\
# Benchmarks

Written by `cargo xtask bench`; its [README](tests/bench/README.md) says what is compared, and how.
Ratios within a section carry over to other machines, absolute times do not. Each section names the
load of the machine (the average over a minute) when it was measured.
";

/// The length of a line of prose.
const COLUMNS: usize = 100;

/// The sections of one run.
pub(crate) struct Report {
    path: PathBuf,
    /// The text of each section, by its title.
    sections: BTreeMap<String, String>,
}

/// One section.
pub(crate) struct Section {
    title: String,
    text: String,
}

/// Rows of cells, padded to columns at the end.
pub(crate) struct Table(Vec<Vec<String>>);

impl Report {
    /// Reads the sections of earlier runs.
    pub(crate) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../BENCHMARKS.md");
        let earlier = fs::read_to_string(&path).unwrap_or_default();
        let sections = earlier.split("\n## ").skip(1).filter_map(|section| section.split_once('\n'));
        let sections = sections.map(|(title, text)| (title.to_owned(), text.trim().to_owned())).collect();
        Self { path, sections }
    }

    /// Replaces a section and writes the document.
    pub(crate) fn add(&mut self, section: Section) -> Result<()> {
        self.sections.insert(section.title, section.text.trim().to_owned());
        let sections = self.sections.iter().map(|(title, text)| format!("\n## {title}\n\n{text}\n"));
        fs::write(&self.path, format!("{HEAD}{}", sections.collect::<String>()))?;
        Ok(())
    }
}

impl Section {
    /// Begins a section, with the machine that it is measured on.
    pub(crate) fn new(title: impl Into<String>) -> Self {
        let title = title.into();
        output::line(format_args!("\n## {title}\n"));
        let mut section = Self { title, text: String::new() };
        section.text(&machine());
        section
    }

    /// Adds a paragraph.
    pub(crate) fn text(&mut self, text: &str) {
        self.print(&format!("{text}\n\n"));
    }

    /// Adds a table.
    pub(crate) fn table(&mut self, table: &Table) {
        self.print(&format!("{}\n", table.render()));
    }

    /// Adds a target with its verdict and, where it is missed, the note on it.
    pub(crate) fn target(&mut self, of: &str, value: f64, wanted: impl RangeBounds<f64> + std::fmt::Debug) {
        let is_met = wanted.contains(&value);
        let verdict = if is_met { "met" } else { "**missed**" };
        self.print(&format!("- {of}: {value:.2}, target {wanted:?}: {verdict}\n"));
        if !is_met {
            let note = notes::on(&self.title, of).unwrap_or("not explained yet");
            self.print(&indented(&format!("Why, and what was tried: {note}.")));
        }
    }

    fn print(&mut self, text: &str) {
        output::text(text);
        self.text.push_str(text);
    }
}

impl Table {
    /// Creates a table of the named columns.
    pub(crate) fn new<const N: usize>(columns: [&str; N]) -> Self {
        Self(vec![columns.map(str::to_owned).into()])
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.push(cells.into());
    }

    /// Renders it as Markdown: words to the left, figures to the right.
    fn render(&self) -> String {
        let columns = self.0.first().map_or(0, Vec::len);
        let width = |at: usize| self.0.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(at, (cell, &width))| match at {
                0 => format!(" {cell:<width$} |"),
                _ => format!(" {cell:>width$} |"),
            });
            format!("|{}\n", cells.collect::<String>())
        };
        let rule = widths.iter().enumerate().map(|(at, &width)| match at {
            0 => format!("{}|", "-".repeat(width + 2)),
            _ => format!("{}:|", "-".repeat(width + 1)),
        });
        let rule = format!("|{}\n", rule.collect::<String>());
        let body = self.0.iter().skip(1).map(line);
        format!("{}{rule}{}", self.0.first().map(line).unwrap_or_default(), body.collect::<String>())
    }
}

/// Wraps a text to lines that continue an item of a list.
fn indented(text: &str) -> String {
    let mut lines = vec![String::from(" ")];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < COLUMNS => line.extend([" ", word]),
            _ => lines.push(format!("  {word}")),
        }
    }
    lines.join("\n") + "\n"
}

/// Returns the cores and the load of the machine, as far as it tells.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown");
    format!("{cores} cores of {}, load {load}.", env::consts::ARCH)
}
