//! A connect through plugins that only pass requests on.

use std::sync::Arc;

use wrapper_core::{
    ConnectRequest, Next, Plugin,
    adapter::{PassThrough, ReadyDriver, Wrapper, ready},
    plugin_fn,
};

use crate::{
    Result,
    report::{Report, Section, Table},
    timing::{Case, measure},
};

/// The numbers of plugins.
const LENGTHS: [usize; 4] = [0, 1, 5, 10];

pub(crate) fn run(report: &mut Report) -> Result<()> {
    let mut section = Section::new("A chain of pass-through plugins");
    let mut table = Table::new(["plugins", "as futures", "as closures"]);
    let closure = || plugin_fn("passThrough", |request, next: Next<'_, ()>| next.run(request));
    let futures = measure(LENGTHS.map(|length| connect(length, || Arc::new(PassThrough))));
    let closures = measure(LENGTHS.map(|length| connect(length, || Arc::new(closure()))));
    for ((length, future), closure) in LENGTHS.iter().zip(&futures).zip(&closures) {
        table.row([
            length.to_string(),
            format!("{:.0} ns", future.nanos),
            format!("{:.0} ns", closure.nanos),
        ]);
    }
    section.table(&table);
    for (kind, [none, .., ten]) in [("future", &futures), ("closure", &closures)] {
        section.target(
            &format!("nanoseconds of a plugin as a {kind}"),
            (ten.nanos - none.nanos) / 10.0,
            ..=25.0,
        );
    }
    report.add(section)
}

fn connect(length: usize, plugin: impl Fn() -> Arc<dyn Plugin<()>>) -> Case<'static> {
    let wrapper = Wrapper::new(ReadyDriver::new(), (0..length).map(|_| plugin()).collect());
    let request = ConnectRequest::new("a.example", 1, "jane");
    Case::new("connect", move || ready(wrapper.connect(request.clone())))
}
