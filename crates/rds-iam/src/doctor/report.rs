//! The report of the doctor: its steps, and the causes of a failure.

use std::{rc::Rc, time::Duration};

use serde::Serialize;

use wrapper_core::text::escape_control;

use super::{
    cause::{Cause, Code},
    screen::Screen,
};
use crate::{
    failure::Failure,
    target::Target,
    terminal::{Style, wrapped},
};

/// The version of the JSON; adding fields does not change it.
const VERSION: u32 = 1;

/// The exit code of an interrupted program, as in shells.
const INTERRUPTED: u8 = 130;

/// The steps in their order, and the causes of the first failure.
#[derive(Debug)]
pub(super) struct Report {
    steps: Vec<Step>,
    causes: Vec<Cause>,
    log: Option<String>,
    target: Option<TargetFacts>,
    has_secret: bool,
    /// Whether a plugin redirects connects to the instances of a cluster.
    pub(super) has_topology: bool,
    is_interrupted: bool,
    screen: Rc<Screen>,
}

/// The report as JSON.
#[derive(Serialize)]
struct JsonReport<'a> {
    version: u32,
    program: &'a str,
    target: Option<&'a TargetFacts>,
    steps: &'a [Step],
    causes: &'a [Cause],
    /// The log group with the server's own reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<&'a str>,
    exit_code: u8,
}

/// The examined database.
#[derive(Debug, Serialize)]
struct TargetFacts {
    engine: &'static str,
    host: String,
    port: u16,
    user: String,
    database: Option<String>,
    signed_host: String,
    signed_port: u16,
    region: Option<String>,
}

/// The result of a step.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) step: StepName,
    pub(super) status: Status,
    /// The code of the first cause, if there is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    pub(super) fact: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

/// The steps, by their names in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum StepName {
    Parameters,
    Host,
    Dns,
    Credentials,
    Secret,
    Clock,
    Tcp,
    Tls,
    Login,
    Topology,
}

/// The outcome of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    Warning,
    Failed,
    Skipped,
}

impl StepName {
    /// The steps in their order; `secret` and `topology` only apply to some connection strings.
    const ALL: [Self; 10] = [
        Self::Parameters,
        Self::Host,
        Self::Dns,
        Self::Credentials,
        Self::Secret,
        Self::Clock,
        Self::Tcp,
        Self::Tls,
        Self::Login,
        Self::Topology,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Parameters => "parameters",
            Self::Host => "host",
            Self::Dns => "dns",
            Self::Credentials => "credentials",
            Self::Secret => "secret",
            Self::Clock => "clock",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Login => "login",
            Self::Topology => "topology",
        }
    }
}

impl Report {
    pub(super) fn new(screen: Rc<Screen>) -> Self {
        Self {
            steps: Vec::new(),
            causes: Vec::new(),
            log: None,
            target: None,
            has_secret: false,
            has_topology: false,
            is_interrupted: false,
            screen,
        }
    }

    /// Records the examined database.
    pub(super) fn set_target(&mut self, target: &Target) {
        self.has_secret = target.secret.is_some();
        self.target = Some(TargetFacts {
            engine: target.engine.word(),
            host: escape_control(&target.host),
            port: target.port,
            user: escape_control(&target.user),
            database: target.database.as_deref().map(escape_control),
            signed_host: escape_control(target.signed_host()),
            signed_port: target.signed_port(),
            region: target.region(),
        });
    }

    /// Records the user that a secret names.
    pub(super) fn set_user(&mut self, user: &str) {
        if let Some(target) = &mut self.target {
            target.user = escape_control(user);
        }
    }

    /// Records a step that succeeded.
    pub(super) fn ok(&mut self, step: StepName, fact: impl Into<String>) {
        self.add(step, Status::Ok, None, fact, None);
    }

    /// Records a step that succeeded, with a remedy for a likely problem.
    pub(super) fn warning(
        &mut self,
        step: StepName,
        fact: impl Into<String>,
        code: Code,
        remedy: impl Into<String>,
    ) {
        self.add(step, Status::Warning, Some(code.name().to_owned()), fact, Some(remedy.into()));
    }

    /// Records a failed step; the causes of the first one are those of the report.
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
        let code = causes.first().map(|cause| cause.code.clone());
        // Later failures often follow from the first one.
        if self.causes.is_empty() {
            self.causes = causes;
        }
        self.add(step, Status::Failed, code, fact, remedy);
    }

    /// Records that a step was skipped.
    pub(super) fn skipped(&mut self, step: StepName, why: &str) {
        self.add(step, Status::Skipped, None, why, None);
    }

    /// Records all remaining steps as skipped.
    pub(super) fn skip_rest(&mut self, why: &str) {
        while let Some(step) = self.current() {
            self.skipped(step, why);
        }
    }

    /// Ends the report after an interrupt.
    pub(super) fn interrupt(&mut self) {
        self.is_interrupted = true;
        self.skip_rest("interrupted");
    }

    /// Ends the report when the time is up.
    pub(super) fn run_out_of_time(&mut self, limit: Duration) {
        // The clock step never fails.
        if self.current() == Some(StepName::Clock) {
            self.skipped(StepName::Clock, "no time left");
        }
        if let Some(step) = self.current() {
            let cause = match step {
                StepName::Credentials => Cause::new(
                    Code::CredentialsFailed,
                    "their source does not answer: try `aws sts get-caller-identity`, which uses the same \
                     source",
                ),
                _ => Cause::new(
                    Code::TimedOut,
                    format!("find out why the {} step takes so long, or raise --timeout", step.name()),
                ),
            };
            let fact = format!("not finished within the {limit:?} of --timeout");
            self.failed(step, fact, [cause]);
        }
        self.skip_rest("no time left");
    }

    /// Records the log group with the server's own reason.
    pub(super) fn set_log(&mut self, log: Option<String>) {
        self.log = log.as_deref().map(escape_control);
    }

    /// Returns the next step.
    fn current(&self) -> Option<StepName> {
        self.step_at(self.steps.len())
    }

    fn step_at(&self, index: usize) -> Option<StepName> {
        let is_tried = |step: &StepName| match step {
            StepName::Secret => self.has_secret,
            StepName::Topology => self.has_topology,
            _ => true,
        };
        StepName::ALL.into_iter().filter(is_tried).nth(index)
    }

    fn add(
        &mut self,
        step: StepName,
        status: Status,
        code: Option<String>,
        fact: impl Into<String>,
        remedy: Option<String>,
    ) {
        // The only way to the screen and into the JSON: no text gets past this escaping.
        let (fact, remedy) = (escape_control(&fact.into()), remedy.as_deref().map(escape_control));
        let step = Step { step, status, code, fact, remedy };
        self.screen.show(&step, self.step_at(self.steps.len() + 1));
        self.steps.push(step);
    }

    /// Returns 0, or the code of the first step that failed.
    pub(super) fn exit_code(&self) -> u8 {
        if self.is_interrupted {
            return INTERRUPTED;
        }
        let failed = self.steps.iter().find(|step| step.status == Status::Failed);
        match failed.map(|step| step.step) {
            None | Some(StepName::Clock | StepName::Topology) => 0,
            Some(StepName::Parameters) => 10,
            Some(StepName::Host) => 11,
            Some(StepName::Dns) => 12,
            Some(StepName::Credentials) => 13,
            Some(StepName::Tcp) => 14,
            Some(StepName::Tls) => 15,
            Some(StepName::Login) => 16,
            Some(StepName::Secret) => 17,
        }
    }

    /// Prints the causes, or the whole report as JSON.
    pub(super) fn finish(&self, as_json: bool) -> Result<(), Failure> {
        let text = if as_json { self.json()? } else { self.conclusion() };
        self.screen.print(&text);
        self.screen.failure().map_or(Ok(()), Err)
    }

    fn json(&self) -> Result<String, Failure> {
        let printed = JsonReport {
            version: VERSION,
            program: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")),
            target: self.target.as_ref(),
            steps: &self.steps,
            causes: &self.causes,
            log: self.log.as_deref(),
            exit_code: self.exit_code(),
        };
        let text = serde_json::to_string_pretty(&printed)
            .map_err(|error| Failure::new("the report cannot be written as JSON").because(error))?;
        Ok(text + "\n")
    }

    fn conclusion(&self) -> String {
        let mut text = String::new();
        if self.causes.len() > 1 {
            text.push_str("\nmost likely first:\n");
            for (index, cause) in self.causes.iter().enumerate() {
                text.push_str(&format!("  {}. {}\n", index + 1, wrapped(&cause.text, 5)));
            }
        }
        if let Some(log) = &self.log {
            text.push_str(&format!("\n{}\n", wrapped(&format!("the server writes the reason to {log}"), 0)));
        }
        text
    }
}

impl Status {
    /// Returns the word in its colour, padded to equal width.
    pub(super) fn painted(self) -> String {
        let (word, style) = match self {
            Self::Ok => ("ok", Style::Good),
            Self::Warning => ("warning", Style::Odd),
            Self::Failed => ("failed", Style::Bad),
            Self::Skipped => ("skipped", Style::Faint),
        };
        style.paint(&format!("{word:<7}"))
    }
}
