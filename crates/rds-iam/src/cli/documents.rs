//! The commands of help texts and documents: each is understood.

use std::{fs, path::PathBuf};

use clap::{Parser as _, error::ErrorKind};

use super::{Cli, help};

/// A command, and whether it is whole: within prose the arguments may be missing.
#[derive(Debug, PartialEq)]
struct Example {
    words: Vec<String>,
    is_whole: bool,
}

/// Returns what is wrong with a command.
fn judge(example: &Example) -> Option<String> {
    let error = Cli::try_parse_from(&example.words).err()?;
    let is_understood = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
        ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand => !example.is_whole,
        _ => false,
    };
    (!is_understood).then(|| format!("{}: {error}", example.words.join(" ")))
}

/// Returns the commands of a text in the shell's language.
fn commands(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let starts = text.match_indices("rds-iam ").filter(|(at, _)| {
        text[..*at].chars().next_back().is_none_or(|before| before.is_whitespace() || before == '(')
    });
    starts.filter_map(|(at, _)| words(&text[at..])).collect()
}

/// Returns the words of a text's first command, unless a comment mentions it.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for sign in text.chars() {
        match (quote, sign) {
            (Some(open), _) if sign == open => quote = None,
            (Some(_), _) => word.push(sign),
            (None, '\'' | '"') => quote = Some(sign),
            (None, ' ') => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            (None, '\n' | ')' | ';' | '|' | '<' | '>' | '#') => break,
            (None, _) => word.push(sign),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    (words.len() > 1).then_some(words)
}

/// Returns the commands of a page: of its blocks for the shell, and of the code in its prose.
fn examples(page: &str) -> Vec<Example> {
    let mut found = Vec::new();
    for (part, text) in page.split("\n```").enumerate() {
        if part % 2 == 0 {
            let code = text.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " "));
            let code = code.filter(|code| code.starts_with("rds-iam "));
            found
                .extend(code.filter_map(|code| words(&code)).map(|words| Example { words, is_whole: false }));
        } else if let Some(block) = text.strip_prefix("sh\n") {
            found.extend(commands(block).into_iter().map(|words| Example { words, is_whole: true }));
        }
    }
    found
}

/// Returns the repository's pages, and of a package alone its own.
fn pages() -> Vec<PathBuf> {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folders = ["", "../..", "../rds-wrapper", "../rds-wrapper/docs", "../wrapper-proxy"];
    let files =
        folders.iter().filter_map(|folder| fs::read_dir(package.join(folder)).ok()).flatten().flatten();
    files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

#[test]
fn command_of_a_page_is_understood() {
    let mut wrong = Vec::new();
    let mut found = 0;
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        for example in examples(&page) {
            found += 1;
            wrong.extend(judge(&example).map(|what| format!("{}: {what}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(found >= 20, "{found} commands are found");
}

#[test]
fn command_of_a_help_text_is_understood() {
    for text in [
        help::EXAMPLES,
        help::TOKEN_EXAMPLES,
        help::EXEC_EXAMPLES,
        help::PROXY_EXAMPLES,
        help::DOCTOR_EXAMPLES,
    ] {
        let examples = text.split("\n\nExit codes").next().unwrap();
        // Behind the examples, sentences name the program.
        let examples = examples.lines().take_while(|line| line.is_empty() || line.starts_with([' ', 'E']));
        let found = commands(&examples.collect::<Vec<_>>().join("\n"));
        assert!(found.len() >= 4, "{found:?}");
        for words in found {
            assert_eq!(judge(&Example { words, is_whole: true }), None);
        }
    }
}

#[test]
fn commands_are_split_as_the_shell_does() {
    let text =
        "A=\"$(rds-iam token \\\n  --user jane)\" psql\napp() { rds-iam exec --url 'a b' -- \"${@}\"; }\n";
    assert_eq!(
        commands(text),
        [vec!["rds-iam", "token", "--user", "jane"], vec!["rds-iam", "exec", "--url", "a b", "--", "${@}"]]
    );
}

#[test]
fn command_that_is_not_understood_is_found() {
    let page = "Ask `rds-iam doktor`, or `rds-iam token`; `rds-iam: no` is a message.\n\n\
                ```sh\nrds-iam inspect --hots a   # why\nrds-iam inspect\n```\n";
    let examples = examples(page);
    assert_eq!(examples.len(), 4);
    assert_eq!(examples.iter().filter_map(judge).count(), 3, "{examples:?}");
}
