//! This workspace and its peers side by side, in one run.

mod cache;
mod foreign;
mod hosts;
mod misses;
mod report;
mod timing;
mod tokens;

fn main() {
    report::tokens(&tokens::run(None), &tokens::run(Some(tokens::session_token())), foreign::run());
    report::cache(&cache::run());
    report::hosts(&hosts::run());
    report::misses(&misses::run());
}
