//! `rds-iam completions`, `rds-iam man` and `--help`.

use crate::support::{program, run};

#[tokio::test]
async fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = run(program(), ["completions", shell]).await;

        assert_eq!(ran.code, Some(0));
        assert!(ran.out.contains("doctor") && ran.out.contains("inspect"), "{shell}");
    }
}

#[tokio::test]
async fn manual_has_every_command() {
    let ran = run(program(), ["man"]).await;

    for title in [".TH rds-iam 1", ".TH rds-iam-token 1", ".TH rds-iam-doctor 1", "Exit codes:"] {
        assert!(ran.out.contains(title), "{title} in {}", ran.out);
    }
}

#[tokio::test]
async fn help_has_examples_and_says_who_reads_an_environment() {
    let ran = run(program(), ["exec", "--help"]).await;

    assert!(ran.out.contains("-- psql app"));
    assert!(ran.out.contains("can be read by its own user and by root"));
    assert!(!ran.out.contains('\x1b'), "no colours into a pipe");
}
