//! Prints the matrix of failovers.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::{env, process::ExitCode};

use matrix::{HEADER, named, row, run_all};

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    println!("{HEADER}");
    let mut is_right = true;
    // One after the other: side by side they would measure each other.
    run_all(named(&words), 1, |cell, measured| {
        println!("{}", row(cell, measured));
        is_right &= measured.wrong == 0 && measured.beyond_pace == 0;
    })
    .await;
    println!("seconds beyond the outage of the server itself; logins within the worst second");
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
