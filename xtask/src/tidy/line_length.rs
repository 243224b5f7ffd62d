//! The rule for the length of lines: code at most 110 columns, prose at most 100.
//!
//! rustfmt holds neither: it leaves comments alone, and gives up on code around a string that is
//! too long.

/// The maximum columns of a line of code.
const CODE: usize = 110;

/// The maximum columns of a line of prose, in a comment or in Markdown.
const PROSE: usize = 100;

/// Reports each line that is too long, and can be broken.
pub(super) fn judge(path: &str, text: &str) -> Vec<String> {
    let Some(language) = Language::of(path) else { return Vec::new() };
    let mut wrong = Vec::new();
    // Whether the open fence holds Rust.
    let mut is_fenced = None;
    for (number, line) in text.lines().enumerate() {
        let prose = language.prose(line);
        let fence = prose.and_then(|prose| prose.trim_start().strip_prefix("```"));
        is_fenced = match (fence, is_fenced) {
            // A fence in a comment ends with the comment at the latest.
            (None, _) if prose.is_none() => None,
            (None, fenced) => fenced,
            (Some(_), Some(_)) => None,
            (Some(language), None) => Some(is_rust(language)),
        };
        let most = match (prose, is_fenced) {
            // Commands and outputs, which a reader copies or compares as they are.
            (_, Some(false)) => continue,
            (Some(_), None) => PROSE,
            _ => CODE,
        };
        let columns = line.chars().count();
        let is_free = prose.is_none() && language.is_data();
        if columns > most && !is_free && is_breakable(line, prose.filter(|_| is_fenced.is_none()), most) {
            wrong.push(format!("{path}:{}: {columns} columns, at most {most} may be", number + 1));
        }
    }
    wrong
}

/// Returns whether a fence holds Rust. Commands and outputs stay on one line.
fn is_rust(language: &str) -> bool {
    language.is_empty()
        || ["rust", "no_run", "ignore", "compile_fail", "should_panic"]
            .iter()
            .any(|word| language.starts_with(word))
}

/// The prose of a file.
#[derive(Clone, Copy)]
enum Language {
    Markdown,
    /// Code, by the sign that starts its comments.
    Code(&'static str),
    /// TOML, whose values cannot be broken.
    Data,
}

impl Language {
    /// Returns the language of a file; `None` for data, whose lines are as long as they must be.
    fn of(path: &str) -> Option<Self> {
        match path.rsplit_once('.')?.1 {
            "md" => Some(Self::Markdown),
            "c" | "cjs" | "h" | "js" | "rs" => Some(Self::Code("//")),
            "ci/run" | "py" | "sh" => Some(Self::Code("#")),
            "toml" => Some(Self::Data),
            _ => None,
        }
    }

    /// Returns the prose of a line, without the sign of a comment.
    fn prose(self, line: &str) -> Option<&str> {
        match self {
            Self::Markdown => Some(line),
            Self::Code(sign) => comment(line, sign),
            Self::Data => comment(line, "#"),
        }
    }

    /// Returns whether only the comments are measured.
    fn is_data(self) -> bool {
        matches!(self, Self::Data)
    }
}

/// Returns the text of a line that holds only a comment.
fn comment<'a>(line: &'a str, sign: &str) -> Option<&'a str> {
    let comment = line.trim_start().strip_prefix(sign)?;
    Some(comment.trim_start_matches(['/', '!']))
}

/// Returns whether a line has a place to break it: not in a row of a table or the target of a link,
/// and not in a single long word.
fn is_breakable(line: &str, prose: Option<&str>, most: usize) -> bool {
    let content = prose.unwrap_or(line).trim_start();
    if prose.is_some() && (content.starts_with('|') || content.starts_with("<!--") || is_link_target(content))
    {
        return false;
    }
    let content = content.trim_start_matches("- ");
    let indent = line.chars().count() - content.chars().count();
    content.chars().take(most.saturating_sub(indent) + 1).any(char::is_whitespace)
}

/// Returns whether a line is `[name]: target`.
fn is_link_target(content: &str) -> bool {
    content.starts_with('[') && content.contains("]: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(columns: usize) -> String {
        let words = "some words ".repeat(20);
        words[..columns - 1].to_owned() + "."
    }

    fn long_lines(path: &str, lines: &[&str]) -> usize {
        judge(path, &lines.join("\n")).len()
    }

    #[test]
    fn code_above_110_columns_is_refused() {
        assert_eq!(long_lines("a.rs", &[&words(110)]), 0);
        assert_eq!(long_lines("a.rs", &[&words(111)]), 1);
        assert_eq!(long_lines("a.py", &[&words(111)]), 1);
        assert_eq!(long_lines(".ci/run", &[&words(111)]), 1);
    }

    #[test]
    fn prose_above_100_columns_is_refused() {
        for (path, sign) in
            [("a.rs", "// "), ("a.rs", "    /// "), ("a.rs", "//! "), ("a.toml", "# "), ("a.md", "")]
        {
            let comment = |columns: usize| sign.to_owned() + &words(columns - sign.len());
            assert_eq!(long_lines(path, &[&comment(100)]), 0, "{sign}");
            assert_eq!(long_lines(path, &[&comment(101)]), 1, "{sign}");
        }
    }

    #[test]
    fn fenced_code_counts_as_code() {
        let (fits, too_long) = (words(110), words(111));
        assert_eq!(long_lines("a.md", &["```", &fits, "```"]), 0);
        assert_eq!(long_lines("a.md", &["```", &too_long, "```"]), 1);
        assert_eq!(long_lines("a.md", &["```", "x", "```", &fits]), 1);
        assert_eq!(long_lines("a.md", &["```text", &too_long, "```", &fits]), 1);
        assert_eq!(long_lines("a.rs", &["/// ```", "fn a() {}", &("// ".to_owned() + &words(98))]), 1);
    }

    #[test]
    fn unbreakable_line_may_be_long() {
        let word = "x".repeat(120);
        assert_eq!(long_lines("a.rs", &[&format!("        \"{word}\",")]), 0);
        assert_eq!(long_lines("a.rs", &[&format!("/// [name]: https://{word}")]), 0);
        assert_eq!(long_lines("a.md", &[&format!("- https://{word}")]), 0);
        assert_eq!(long_lines("a.md", &[&format!("| a | {word} |")]), 0);
        assert_eq!(long_lines("a.toml", &[&format!("description = \"{}\"", words(110))]), 0);
        assert_eq!(long_lines("a.tsv", &[&format!("a {word}")]), 0);
        assert_eq!(long_lines("a.md", &[&format!("See {word}")]), 1);
    }
}
