//! The table on the page of parameters follows the declarations.

use std::fmt::Write;

use rds_wrapper::{plugin::ParameterKind, plugins};

const BEGIN: &str =
    "<!-- written by the test `parameter_table_matches_the_declarations` with UPDATE_PARAMETERS=1 -->\n";
const END: &str = "<!-- end of parameters -->";

fn table() -> String {
    let mut table = "| parameter | values | default | meaning |\n|---|---|---|---|\n".to_owned();
    let registry = plugins::<()>();
    let mut named = Vec::new();
    for (_, parameter) in registry.parameters() {
        let name = parameter.name();
        if named.contains(&name) {
            continue;
        }
        named.push(name);
        let values = match parameter.kind() {
            ParameterKind::Integer { min, max } => format!("{min}–{max}"),
            kind => kind.description(),
        };
        // Several plugins may declare one parameter.
        let owners = registry.parameters().filter(|(_, other)| other.name() == name);
        let owners: Vec<_> = owners.filter_map(|(plugin, _)| Some(format!("`{}`", plugin?))).collect();
        let owner = match owners.len() {
            0 => String::new(),
            1 => format!(" (plugin {})", owners[0]),
            _ => format!(" (plugins {})", owners.join(", ")),
        };
        let (default, help) = (parameter.default_text(), parameter.help());
        writeln!(table, "| `{name}`{owner} | {values} | {default} | {help} |").expect("writes to a string");
    }
    table
}

#[test]
fn parameter_table_matches_the_declarations() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/rds-wrapper/docs/parameters.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    let (before, rest) = page.split_once(BEGIN).expect("the table has its begin");
    let (found, after) = rest.split_once(END).expect("the table has its end");
    let table = table();
    if std::env::var_os("UPDATE_PARAMETERS").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).expect("the page can be written");
        return;
    }
    assert_eq!(found, table, "run this test with UPDATE_PARAMETERS=1");
}
