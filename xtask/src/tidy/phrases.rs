//! The rule against phrases that are unusual in the field.

/// Phrases, and what to write instead.
const PHRASES: &[(&str, &str)] = &[
    ("came from further in", "the inner plugin's"),
    ("is no matter of", "does not concern, or is ignored"),
    ("is none:", "is invalid"),
    ("may come to nothing", "may fail"),
    ("named so", "the name of what is invalid"),
    ("or as you like", "at your option"),
    ("sees to it", "makes sure"),
    ("set up so", "the settings are invalid"),
    ("takes leave", "disconnects"),
    ("that is none", "invalid"),
    ("what is no such", "malformed"),
    ("what stands", "what precedes, follows or is written"),
];

/// Reports each phrase of a file, also across the end of a line.
pub(super) fn judge(path: &str, text: &str) -> Vec<String> {
    if path == FILE || ![".md", ".rs", ".toml"].iter().any(|end| path.ends_with(end)) {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let mut before = String::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim().trim_start_matches(['/', '!']).trim_start().to_lowercase();
        let both = format!("{before} {line}");
        for (phrase, better) in PHRASES {
            // One that the previous line holds was reported there.
            if both.contains(phrase) && !before.contains(phrase) {
                let place = number + 1;
                wrong.push(format!("{path}:{place}: `{phrase}` is foreign: say {better}"));
            }
        }
        before = line;
    }
    wrong
}

/// This file, which lists them.
const FILE: &str = "xtask/src/tidy/phrases.rs";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrase_is_refused_in_prose_code_and_messages() {
        for (path, text) in [
            ("README.md", "# Title\n\nA token, and what stands before it.\n"),
            ("crates/a/src/b.rs", "//! B.\n\n/// What stands before it.\n"),
            ("crates/a/src/b.rs", "//! B.\nconst TEXT: &str =\n    \"host 1 is none: bad\";\n"),
        ] {
            let wrong = judge(path, text);
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            assert!(wrong[0].starts_with(&format!("{path}:3: `")), "{wrong:?}");
        }
    }

    #[test]
    fn phrase_over_the_end_of_a_line_is_refused_once() {
        let wrong =
            judge("crates/a/src/b.rs", "/// Its own, or what came\n/// from further in.\n/// More.\n");
        assert_eq!(wrong.len(), 1, "{wrong:?}");
    }

    #[test]
    fn words_of_a_phrase_are_allowed_elsewhere() {
        assert_eq!(judge("README.md", "What it says stands further down; none of it is set up.\n").len(), 0);
        assert_eq!(judge("data.tsv", "takes leave\n").len(), 0);
    }
}
