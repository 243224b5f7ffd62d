//! This workspace and its peers side by side, in one run.

mod cache;
mod foreign;
mod hosts;
mod misses;
mod proxy;
mod report;
mod timing;
mod tokens;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(proxy::ARGUMENT) {
        return proxy::serve(&arguments.next().ok_or("missing URL")?);
    }
    report::tokens(&tokens::run(None), &tokens::run(Some(tokens::session_token())), foreign::run());
    report::cache(&cache::run());
    report::hosts(&hosts::run());
    report::misses(&misses::run());
    proxy::run()
}
