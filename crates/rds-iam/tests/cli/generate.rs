//! `rds-iam completions`, `rds-iam man` and `--help`.

use std::{fs, path::PathBuf};

use tokio::process::Command;

use crate::support::{folder, installed, program, run};

#[tokio::test]
async fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = run(program(), ["completions", shell]).await;

        assert_eq!(ran.code, Some(0));
        assert!(ran.out.contains("doctor") && ran.out.contains("inspect"), "{shell}");
    }
}

/// What a shell offers behind a line, by the script that the program prints for it.
async fn offered(shell: &str, script: &str) -> String {
    let mut command = Command::new(shell);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", folder("completions"));
    command.env("RDS_IAM", env!("CARGO_BIN_EXE_rds-iam")).env("TERM", "dumb");
    let output = command.args(["-c", script]).output().await.expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("is text")
}

const BASH: &str = r#"
source <("$RDS_IAM" completions bash)
offer() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    local function=$(complete -p rds-iam | sed 's/.*-F \([^ ]*\).*/\1/')
    "$function" rds-iam "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo "$*: ${COMPREPLY[*]}"
}
offer rds-iam to
offer rds-iam token --fo
offer rds-iam token --format ''
offer rds-iam doctor --ti
"#;

const FISH: &str = r#"
$RDS_IAM completions fish | source
for line in 'rds-iam to' 'rds-iam token --fo' 'rds-iam token --format ' 'rds-iam doctor --ti'
    echo "$line:" (complete --do-complete $line | string split -f 1 \t)
end
"#;

// zsh completes in a terminal alone: the functions that would offer something are made to tell what
// they are asked.
const ZSH: &str = r#"
autoload -Uz compinit && compinit -u -D 2>/dev/null
eval "$($RDS_IAM completions zsh)"
zmodload zsh/zpty
zpty -b shell 'zsh -f'
send() { zpty -w -n shell "$1" }
send $'autoload -Uz compinit && compinit -u -D; PS1=; unsetopt zle_bracketed_paste\n'
send $'eval "$('$RDS_IAM$' completions zsh)"; zstyle ":completion:*" list-prompt ""; LISTMAX=10000\n'
send $'echo REA""DY\n'
read_until() {
    local text= part
    repeat 1000; do
        zpty -rt shell part && text+=$part || sleep 0.1
        [[ $text == *$1* ]] && break
    done
    print -r -- $text
}
read_until READY >/dev/null
send $'rds-iam to\t'; send $'\C-e#END1\n'; read_until 'END1'
send $'rds-iam token --fo\t'; send $'\C-e#END2\n'; read_until 'END2'
send $'rds-iam doctor --ti\t'; send $'\C-e#END3\n'; read_until 'END3'
zpty -d shell
"#;

#[tokio::test]
async fn bash_completes_behind_a_command() {
    if installed("bash").await {
        assert_eq!(
            offered("bash", BASH).await,
            "rds-iam to: token\nrds-iam token --fo: --format\nrds-iam token --format : plain json env\n\
             rds-iam doctor --ti: --time-url --timeout\n"
        );
    }
}

#[tokio::test]
async fn fish_completes_behind_a_command() {
    if installed("fish").await {
        assert_eq!(
            offered("fish", FISH).await,
            "rds-iam to: token\nrds-iam token --fo: --format\nrds-iam token --format : env json plain\n\
             rds-iam doctor --ti: --timeout --time-url\n"
        );
    }
}

#[tokio::test]
async fn zsh_completes_behind_a_command() {
    if installed("zsh").await {
        let screen = offered("zsh", ZSH).await;
        for part in ["rds-iam token", "--format", "--time"] {
            assert!(screen.contains(part), "{part} in {screen:?}");
        }
    }
}

/// The pages that `--dir` writes.
async fn pages(test: &str) -> Vec<PathBuf> {
    let folder = folder(&format!("man-{test}"));
    let ran = run(program(), ["man", "--dir", &folder.to_string_lossy()]).await;
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let mut pages: Vec<_> =
        fs::read_dir(folder).expect("is there").map(|page| page.expect("is read").path()).collect();
    pages.sort();
    pages
}

#[tokio::test]
async fn manual_has_a_page_for_each_command() {
    let pages = pages("commands").await;

    let names: Vec<_> =
        pages.iter().map(|page| page.file_name().expect("a name").to_string_lossy()).collect();
    let mut expected = ["-completions", "-doctor", "-inspect", "-man", "-token", ""]
        .map(|name| format!("rds-iam{name}.1"))
        .to_vec();
    if cfg!(unix) {
        expected.insert(2, "rds-iam-exec.1".to_owned());
        expected.insert(5, "rds-iam-proxy.1".to_owned());
    }
    assert_eq!(names, expected);
    for page in &pages {
        let text = fs::read_to_string(page).expect("is text");
        assert_eq!(text.matches(".TH ").count(), 1, "{}", page.display());
        for (at, _) in text.match_indices("(1)") {
            let start = text[..at].rfind(|c: char| c.is_whitespace()).map_or(0, |start| start + 1);
            let named = format!("{}.1", text[start..at].replace("\\-", "-"));
            assert!(names.contains(&named.as_str().into()), "{named} in {}", page.display());
        }
    }
    let ran = run(program(), ["man", "doctor"]).await;
    assert!(ran.out.contains(".TH rds-iam-doctor 1") && ran.out.contains("Exit codes:"), "{}", ran.out);
    assert_eq!(run(program(), ["man", "doktor"]).await.code, Some(2));
}

#[tokio::test]
async fn manual_is_clean() {
    if !installed("groff").await {
        return;
    }
    for page in pages("clean").await {
        let output =
            Command::new("groff").args(["-ww", "-man", "-Tutf8"]).arg(&page).output().await.expect("runs");

        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{}", page.display());
        assert!(!output.stdout.is_empty());
    }
}

#[tokio::test]
async fn help_fits_a_terminal_of_80_columns() {
    for command in ["", "token", "exec", "doctor", "inspect", "proxy"] {
        let mut program = program();
        program.env("COLUMNS", "80");

        let ran = run(program, [command, "--help"].into_iter().filter(|word| !word.is_empty())).await;

        let long: Vec<_> = ran.out.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{command}: {long:#?}");
    }
}

#[tokio::test]
async fn exec_help_has_an_example_and_the_exposure_of_variables() {
    let ran = run(program(), ["exec", "--help"]).await;

    assert!(ran.out.contains("-- psql app"));
    assert!(ran.out.contains("can be read by its own user and\nby root"));
    assert!(!ran.out.contains('\x1b'), "no colours into a pipe");
}
