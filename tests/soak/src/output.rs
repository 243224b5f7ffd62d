//! What the program says.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the one place that prints")]

use std::fmt;

pub(crate) fn line(text: impl fmt::Display) {
    println!("{text}");
}

pub(crate) fn error(text: impl fmt::Display) {
    eprintln!("error: {text}");
}
