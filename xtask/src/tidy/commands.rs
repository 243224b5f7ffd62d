//! The commands of documents and workflows: what they name is there.

use std::{fs, path::Path};

use cargo_metadata::Package;

use crate::workspace::{Workspace, is_publishable};

/// Cargo's own subcommands that documents name without anything of this workspace, and tools that
/// are installed.
const OTHERS: &[&str] = &["add", "audit", "clippy", "deny", "fmt", "new", "publish"];

/// The beginnings of the code in prose that is a command.
const COMMANDS: &[&str] = &["cargo ", "sudo apt-get "];

/// Returns the commands whose task, package, example, test or folder does not exist.
pub(super) fn check(workspace: &Workspace, listed: &[String], usage: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let gate = fs::read_to_string(workspace.root().join(".ci/run")).unwrap_or_default();
    for path in listed {
        let is_page = path.ends_with(".md");
        if !is_page && !path.starts_with(".github/workflows/") && path != ".ci/run" {
            continue;
        }
        // Deleted but not yet committed files are listed.
        let Ok(text) = fs::read_to_string(workspace.root().join(path)) else { continue };
        let commands = match is_page {
            true => commands_of_page(&text),
            false => text.lines().map(plain).filter(|command| command.starts_with("cargo ")).collect(),
        };
        let members = workspace.members();
        let context = Context { root: workspace.root(), members: &members, usage, gate: &gate };
        let found = commands
            .iter()
            .filter_map(|command| Some(format!("{path}: `{command}`: {}", context.judge(command)?)));
        wrong.extend(found);
    }
    wrong
}

/// Returns the lines of the shell's blocks, and the code within the prose that is a command.
fn commands_of_page(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    // `block` is the language of the open fence; `begun` a command that goes on in the next line.
    let (mut block, mut begun, mut paragraph) = (None, String::new(), String::new());
    // The empty line ends a paragraph that the page ends with.
    for line in text.lines().chain([""]) {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            // Fences do not nest: the next one closes, whatever follows it.
            block = if block.is_none() { Some(language) } else { None };
        } else if block == Some("sh") {
            begun.push_str(line.trim_end_matches('\\'));
            if !line.ends_with('\\') {
                commands.push(plain(&std::mem::take(&mut begun)));
            }
        } else if block.is_none() && !line.is_empty() {
            // Code may go on in the next line.
            paragraph.push_str(line);
            paragraph.push(' ');
        } else if block.is_none() {
            let code = std::mem::take(&mut paragraph);
            // Backticks alternate: every second piece is code.
            let code = code.split('`').skip(1).step_by(2);
            commands
                .extend(code.filter(|code| COMMANDS.iter().any(|start| code.starts_with(start))).map(plain));
        }
    }
    commands
}

/// Returns a line without a workflow's key, the variables that it sets, and its comment.
fn plain(line: &str) -> String {
    let line = line.trim().trim_start_matches("- run: ");
    let line = line.split(" # ").next().unwrap_or_default();
    let words = line.split_whitespace().skip_while(|word| is_setting(word));
    words.collect::<Vec<_>>().join(" ")
}

/// Returns whether a word sets a variable for the program behind it.
pub(super) fn is_setting(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

/// What commands may name.
struct Context<'a> {
    root: &'a Path,
    members: &'a [&'a Package],
    usage: &'a str,
    gate: &'a str,
}

impl Context<'_> {
    /// Returns what a command names that does not exist.
    fn judge(&self, command: &str) -> Option<String> {
        let words: Vec<&str> = command.split(' ').collect();
        if let ["sudo", "apt-get", "install", packages @ ..] = words.as_slice() {
            return self.judge_packages(packages);
        }
        let ["cargo", subcommand, rest @ ..] = words.as_slice() else { return None };
        // What follows is for the program.
        let rest: Vec<&str> = rest.iter().copied().take_while(|word| *word != "--").collect();
        match *subcommand {
            "xtask" => self.judge_task(&rest),
            "install" => self.judge_install(&rest),
            "build" | "check" | "doc" | "run" | "test" => self.judge_targets(&rest),
            other if OTHERS.contains(&other) => None,
            // Refused rather than ignored, so that a slip in a subcommand is found.
            other => Some(format!("tidy knows no `cargo {other}`: see xtask/src/tidy/commands.rs")),
        }
    }

    /// What a page lets people install is what the gate installs, on a machine with nothing else.
    fn judge_packages(&self, words: &[&str]) -> Option<String> {
        let is_installed = |name: &&str| self.gate.split([' ', '(', ')']).any(|word| word == *name);
        let mut packages = words.iter().filter(|word| !word.starts_with('-'));
        packages.find(|name| !is_installed(name)).map(|name| format!(".ci/run does not install `{name}`"))
    }

    fn judge_task(&self, words: &[&str]) -> Option<String> {
        let task = words.first()?;
        // The usage is what the program itself prints, so it cannot be out of date.
        let is_shown = |word: &str| {
            self.usage.lines().any(|line| {
                line.split_whitespace().next() == Some(task)
                    && line.split([' ', '[', ']']).any(|it| it == word)
            })
        };
        if !is_shown(task) {
            return Some(format!("there is no task `{task}`"));
        }
        // The suite has options of its own, which its tests read in its pages.
        let option = words.iter().find(|word| word.starts_with("--") && !is_shown(word));
        option.filter(|_| *task != "integration").map(|option| format!("`{task}` has no option `{option}`"))
    }

    fn judge_install(&self, words: &[&str]) -> Option<String> {
        if let Some(path) = value(words, &["--path"]) {
            return (!self.root.join(path).join("Cargo.toml").is_file())
                .then(|| format!("no package in `{path}`"));
        }
        let ours = words.iter().filter(|word| word.starts_with("rds-") || word.starts_with("wrapper-"));
        let is_program = |name: &str| {
            let package = self.member(name);
            package.is_some_and(|package| {
                is_publishable(package) && package.targets.iter().any(|it| it.is_bin())
            })
        };
        ours.copied()
            .find(|name| !is_program(name))
            .map(|name| format!("`{name}` is no program that is published"))
    }

    fn judge_targets(&self, words: &[&str]) -> Option<String> {
        // Without a package, cargo takes all members: nothing is named that could be missing.
        let name = value(words, &["-p", "--package"])?;
        let Some(package) = self.member(name) else { return Some(format!("there is no package `{name}`")) };
        for (option, kind) in [("--example", "example"), ("--test", "test")] {
            let Some(target) = value(words, &[option]) else { continue };
            let is_there = package
                .targets
                .iter()
                .any(|it| it.name == target && if kind == "test" { it.is_test() } else { it.is_example() });
            if !is_there {
                return Some(format!("`{name}` has no {kind} `{target}`"));
            }
        }
        None
    }

    fn member(&self, name: &str) -> Option<&Package> {
        self.members.iter().copied().find(|member| member.name.as_str() == name)
    }
}

/// Returns the word behind one of these options.
fn value<'a>(words: &[&'a str], options: &[&str]) -> Option<&'a str> {
    let at = words.iter().position(|word| options.contains(word))?;
    words.get(at + 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: &str =
        "usage: x\n\n  soak [--minutes N]  pools\n  ci --slow  weekly\n  integration --local  real";

    #[test]
    fn commands_of_blocks_and_prose_are_found() {
        let page = "Run `cargo xtask\ntidy`, not `tidy`.\n\n\
                    ```sh\nA=b cargo run \\\n  -p examples   # why\n```\n\n\
                    ```rust\ncargo no\n```\n";
        assert_eq!(commands_of_page(page), ["cargo xtask tidy", "cargo run -p examples"]);
    }

    #[test]
    fn name_that_does_not_exist_is_found() -> crate::Result<()> {
        let workspace = Workspace::load()?;
        let members = workspace.members();
        let context =
            Context { root: workspace.root(), members: &members, usage: USAGE, gate: "needed=(gcc git)" };
        for command in [
            "cargo xtask soak --minutes 1",
            "cargo xtask integration --rds",
            "cargo run -p examples --example quickstart -- --example none",
            "cargo test -p e2e --test postgres",
            "cargo install --path crates/rds-iam",
            "cargo install rds-testkit",
            "cargo publish --workspace",
            "sudo apt-get install -y gcc git",
            "psql app",
        ] {
            assert_eq!(context.judge(command), None, "{command}");
        }
        for command in [
            "cargo xtask soke",
            "cargo xtask soak --hours 1",
            "cargo run -p examples --example quikstart",
            "cargo run -p exemples --example quickstart",
            "cargo test -p e2e --test none",
            "cargo install --path crates/none",
            "cargo install rds-wrapper",
            "cargo frobnicate",
            "sudo apt-get install -y gcc make",
        ] {
            assert!(context.judge(command).is_some(), "{command}");
        }
        Ok(())
    }
}
