//! Steps as they end, on a terminal or into a pipe.

use std::{cell::Cell, cell::RefCell};

use super::report::{Step, StepName};
use crate::{
    failure::Failure,
    terminal::{self, Style, wrapped},
};

const FRAMES: [char; 4] = ['-', '\\', '|', '/'];

/// Where the second line of a step begins.
const INDENT: usize = 21;

/// Draws what the doctor finds.
#[derive(Debug)]
pub(super) struct Screen {
    is_silent: bool,
    has_spinner: bool,
    /// The step under way; none after the last.
    current: Cell<Option<StepName>>,
    frame: Cell<usize>,
    is_drawn: Cell<bool>,
    failure: RefCell<Option<Failure>>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { is_silent: false, has_spinner: terminal::can_be_redrawn(), ..Self::silent() }
    }

    /// Returns a screen on which nothing appears until the end.
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

    /// Shows a step that has ended; `next` is under way from now on.
    pub(super) fn show(&self, step: &Step, next: Option<StepName>) {
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

    /// Prints more text, if anything is to appear.
    pub(super) fn print(&self, text: &str) {
        if let Err(failure) = terminal::print(text) {
            self.failure.borrow_mut().get_or_insert(failure);
        }
    }

    /// Draws the next picture of the spinner.
    pub(super) fn turn(&self) {
        let Some(step) = self.current.get() else { return };
        // A source of credentials may be asking the person for a code.
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
            terminal::clear_line();
        }
    }

    /// Returns why something could not be shown.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure.take()
    }
}
