//! What the doctor found.

use std::fmt::Write;

use serde::Serialize;

use wrapper_core::escape_control;

use crate::{failure::Failure, terminal::Style};

/// The steps in their order, and what most likely keeps the login from working.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    steps: Vec<Step>,
    causes: Vec<Cause>,
    /// Where the server's own reason stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
}

#[derive(Debug, Serialize)]
struct Step {
    step: StepName,
    status: Status,
    fact: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum StepName {
    Parameters,
    Host,
    Dns,
    Credentials,
    Clock,
    Tcp,
    Tls,
    Login,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warning,
    Failed,
    Skipped,
}

/// One reason with its remedy; the code stays the same from release to release.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Cause {
    code: String,
    text: String,
}

/// What the doctor itself finds; causes of a refused login have the codes of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    CertificateExpired,
    ConnectionClosed,
    CredentialsExpired,
    CredentialsFailed,
    CredentialsMissing,
    CredentialsRefused,
    HostName,
    NotReady,
    Other,
    Parameters,
    PortClosed,
    Region,
    TlsNotOffered,
    Unreachable,
    Unresolved,
    UnknownIssuer,
    WrongName,
}

impl Cause {
    pub(super) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code: code.name().to_owned(), text: escape_control(&text.into()) }
    }
}

impl From<&wrapper_core::Cause> for Cause {
    fn from(cause: &wrapper_core::Cause) -> Self {
        Self { code: cause.code().to_owned(), text: cause.to_string() }
    }
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Self::CertificateExpired => "certificate-expired",
            Self::ConnectionClosed => "connection-closed",
            Self::CredentialsExpired => "credentials-expired",
            Self::CredentialsFailed => "credentials-failed",
            Self::CredentialsMissing => "credentials-missing",
            Self::CredentialsRefused => "credentials-refused",
            Self::HostName => "host-name",
            Self::NotReady => "not-ready",
            Self::Other => "other",
            Self::Parameters => "parameters",
            Self::PortClosed => "port-closed",
            Self::Region => "region",
            Self::TlsNotOffered => "tls-not-offered",
            Self::Unreachable => "unreachable",
            Self::Unresolved => "unresolved",
            Self::UnknownIssuer => "unknown-issuer",
            Self::WrongName => "wrong-name",
        }
    }
}

impl Report {
    pub(super) fn ok(&mut self, step: StepName, fact: impl Into<String>) {
        self.add(step, Status::Ok, fact, None);
    }

    pub(super) fn warning(&mut self, step: StepName, fact: impl Into<String>, remedy: impl Into<String>) {
        self.add(step, Status::Warning, fact, Some(remedy.into()));
    }

    /// Notes a failure; the causes of the first one are those of the whole.
    pub(super) fn failed(
        &mut self,
        step: StepName,
        fact: impl Into<String>,
        causes: impl IntoIterator<Item = Cause>,
    ) {
        let causes: Vec<_> = causes.into_iter().collect();
        let remedy = match &causes[..] {
            [only] => Some(only.text.clone()),
            _ => None,
        };
        if self.causes.is_empty() {
            self.causes = causes;
        }
        self.add(step, Status::Failed, fact, remedy);
    }

    /// Notes that a step was not tried.
    pub(super) fn skipped(&mut self, step: StepName, why: &str) {
        self.add(step, Status::Skipped, why, None);
    }

    pub(super) fn skip_rest(&mut self, why: &str) {
        let all = [
            StepName::Parameters,
            StepName::Host,
            StepName::Dns,
            StepName::Credentials,
            StepName::Clock,
            StepName::Tcp,
            StepName::Tls,
            StepName::Login,
        ];
        for step in &all[self.steps.len()..] {
            self.skipped(*step, why);
        }
    }

    pub(super) fn set_log(&mut self, log: Option<String>) {
        self.log = log.as_deref().map(escape_control);
    }

    fn add(&mut self, step: StepName, status: Status, fact: impl Into<String>, remedy: Option<String>) {
        // Whoever it comes from, here it gets its last form.
        let (fact, remedy) = (escape_control(&fact.into()), remedy.as_deref().map(escape_control));
        self.steps.push(Step { step, status, fact, remedy });
    }

    /// 0, or the number of the first step that failed.
    pub(super) fn exit_code(&self) -> u8 {
        let failed = self.steps.iter().find(|step| step.status == Status::Failed);
        match failed.map(|step| step.step) {
            None | Some(StepName::Clock) => 0,
            Some(StepName::Parameters) => 10,
            Some(StepName::Host) => 11,
            Some(StepName::Dns) => 12,
            Some(StepName::Credentials) => 13,
            Some(StepName::Tcp) => 14,
            Some(StepName::Tls) => 15,
            Some(StepName::Login) => 16,
        }
    }

    pub(super) fn json(&self) -> Result<String, Failure> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Failure::new("the report cannot be written as json").because(error))?;
        Ok(text + "\n")
    }

    pub(super) fn text(&self, colours: bool) -> String {
        let mut text = String::new();
        for Step { step, status, fact, remedy } in &self.steps {
            let status = status.painted(colours);
            let name = format!("{step:?}").to_lowercase();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{status} {name:<12} {fact}");
            if let Some(remedy) = remedy {
                let _ = writeln!(text, "{:21} -> {remedy}", "");
            }
        }
        if self.causes.len() > 1 {
            text.push_str("\nmost likely first:\n");
            for (index, cause) in self.causes.iter().enumerate() {
                let _ = writeln!(text, "  {}. {}", index + 1, cause.text);
            }
        }
        if let Some(log) = &self.log {
            let _ = writeln!(text, "\nthe server writes the reason to {log}");
        }
        text
    }
}

impl Status {
    fn painted(self, colours: bool) -> String {
        let (word, style) = match self {
            Self::Ok => ("ok", Style::Good),
            Self::Warning => ("warning", Style::Odd),
            Self::Failed => ("failed", Style::Bad),
            Self::Skipped => ("skipped", Style::Faint),
        };
        style.paint(&format!("{word:<7}"), colours)
    }
}
