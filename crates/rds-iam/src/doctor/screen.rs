//! Prints the steps as they end, with a spinner on a terminal.

use std::{cell::Cell, cell::RefCell};

use super::report::{Step, StepName};
use crate::{
    failure::Failure,
    terminal::{self, Style, wrapped},
};

const FRAMES: [char; 4] = ['-', '\\', '|', '/'];

/// The widest frame of the spinner: a status, the longest name of a step, and what follows.
const SPINNER_WIDTH: usize = 7 + 1 + 12 + 2;

/// The column of a step's text, also on further lines.
const INDENT: usize = 21;

/// The output of the doctor.
#[derive(Debug)]
pub(super) struct Screen {
    is_silent: bool,
    has_spinner: bool,
    /// The running step; `None` after the last.
    current: Cell<Option<StepName>>,
    frame: Cell<usize>,
    is_drawn: Cell<bool>,
    failure: RefCell<Option<Failure>>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { is_silent: false, has_spinner: terminal::can_be_redrawn(), ..Self::silent() }
    }

    /// Returns a screen that shows nothing until the end.
    pub(super) fn silent() -> Self {
        Self {
            is_silent: true,
            has_spinner: false,
            current: Cell::new(Some(StepName::Parameters)),
            frame: Cell::new(0),
            is_drawn: Cell::new(false),
            failure: RefCell::new(None),
        }
    }

    /// Shows a step that has ended; `next` is running now.
    pub(super) fn show(&self, step: &Step, next: Option<StepName>) {
        // Cells suffice: the steps and the spinner run in one task.
        self.current.set(next);
        if self.is_silent {
            return;
        }
        self.clear();
        let status = step.status.painted();
        let mut text = format!("{status} {:<12} {}\n", step.step.name(), wrapped(&step.fact, INDENT));
        if let Some(remedy) = &step.remedy {
            text.push_str(&format!("{:INDENT$} -> {}\n", "", wrapped(remedy, INDENT + 4)));
        }
        self.print(&text);
    }

    /// Prints text, and keeps the first failure.
    pub(super) fn print(&self, text: &str) {
        if let Err(failure) = terminal::print(text) {
            self.failure.borrow_mut().get_or_insert(failure);
        }
    }

    /// Draws the next frame of the spinner.
    pub(super) fn draw_frame(&self) {
        let Some(step) = self.current.get() else { return };
        // The source of credentials may be asking for an MFA code on this terminal.
        if !self.has_spinner || step == StepName::Credentials {
            return;
        }
        let frame = self.frame.get();
        self.frame.set(frame + 1);
        self.is_drawn.set(true);
        let picture = Style::Faint.paint(&format!("{:<7} {} …", FRAMES[frame % FRAMES.len()], step.name()));
        self.print(&format!("\r{picture}"));
    }

    fn clear(&self) {
        if self.is_drawn.replace(false) {
            terminal::clear_line(SPINNER_WIDTH);
        }
    }

    /// Takes the first failure to print.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure.take()
    }
}
