//! The READMEs of crates, which package pages show as they are: rustdoc alone hides lines and links
//! by names.

use std::fs;

use crate::workspace::Workspace;

/// Returns the lines that are meant for rustdoc, and that a package page would show.
pub(super) fn check(workspace: &Workspace) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in workspace.publishable() {
        let Some(folder) = package.manifest_path.parent() else { continue };
        // A README that is not there is found by the check of the layout.
        let Ok(text) = fs::read_to_string(folder.join("README.md")) else { continue };
        wrong.extend(judge(&text).into_iter().map(|what| format!("{}: README.md{what}", package.name)));
    }
    wrong
}

fn judge(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut block: Option<&str> = None;
    let mut includes = false;
    for (number, line) in text.lines().enumerate() {
        if let Some(info) = line.strip_prefix("```") {
            block = if block.is_none() { Some(info) } else { None };
            includes = false;
        } else if let Some(info) = block {
            // What a file of tests brings cannot be shown.
            includes |= line.starts_with("# include!(");
            let is_hidden = line == "#" || line.starts_with("# ");
            if is_hidden && !includes && info.starts_with("rust") {
                wrong.push(format!(":{}: a hidden line: package pages show it", number + 1));
            }
        } else if has_bare_link(line) {
            wrong.push(format!(":{}: a link by name alone: package pages show its brackets", number + 1));
        }
    }
    wrong
}

/// Returns whether a line has code in brackets without a target, such as a type's name.
fn has_bare_link(line: &str) -> bool {
    line.match_indices("[`").any(|(at, _)| {
        let rest = &line[at + 2..];
        // A colon defines a link only where the line begins with the name.
        let targets: &[char] = if at == 0 { &['(', '[', ':'] } else { &['(', '['] };
        rest.find("`]").is_some_and(|end| !rest[end + 2..].starts_with(targets))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_line_is_refused() {
        assert_eq!(judge("```rust\n# fn main() {}\n```\n").len(), 1);
        assert_eq!(judge("```sh\n# a comment\n```\n").len(), 0);
        assert_eq!(judge("```rust\n#[test]\nfn one() {}\n```\n").len(), 0);
    }

    #[test]
    fn link_by_name_alone_is_refused() {
        assert_eq!(judge("see [`Plugin`], too\n").len(), 1);
        assert_eq!(judge("take [`Plugin`]: it is there\n").len(), 1);
        assert_eq!(judge("[`Plugin`]: https://docs.rs/wrapper-core\n").len(), 0);
        assert_eq!(judge("see [`wrapper-pg`](https://docs.rs/wrapper-pg)\n").len(), 0);
    }
}
