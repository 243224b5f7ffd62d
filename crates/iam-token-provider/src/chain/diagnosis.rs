//! Explains missing credentials to the person who has to fix them.

use std::{env, error::Error as _, time::SystemTime};

use aws_config::profile::{Profile, ProfileSet};
use aws_credential_types::provider::error::CredentialsError;

use super::known_end::{KEYS, NotedEnd};
use crate::error::{CredentialsFailure, Error, ErrorKind};

/// The step at which loading failed.
pub(super) enum Failure {
    Base(CredentialsError),
    Known(Error),
    Role(String, CredentialsError),
}

type Explained = (CredentialsFailure, String);

/// Explains a failure by the contents of the profile files.
pub(super) async fn of(failure: Failure, profile: Option<&str>, now: SystemTime) -> Error {
    let source = source(profile);
    match failure {
        Failure::Known(error) => error,
        Failure::Role(role, error) => refused_role(&role, &source, error),
        Failure::Base(error) => {
            let profiles = Profiles::load(profile).await;
            match profiles.and_then(|profiles| profiles.explain(profile, &error, now)) {
                Some((failure, message)) => caused(failure, message, error),
                None => general(&source, profile.is_some(), error),
            }
        }
    }
}

fn caused(failure: CredentialsFailure, message: String, error: CredentialsError) -> Error {
    Error::caused(ErrorKind::Credentials(failure), message, error)
}

/// Names the source that the chain asked first.
fn source(profile: Option<&str>) -> String {
    match (profile, by_variable()) {
        (Some(profile), _) => format!("profile `{}`", profile.escape_debug()),
        (None, Some(profile)) => format!("profile `{}` (AWS_PROFILE)", profile.escape_debug()),
        (None, None) => "the AWS default chain".to_owned(),
    }
}

fn by_variable() -> Option<String> {
    env::var("AWS_PROFILE").ok().filter(|profile| !profile.is_empty())
}

fn refused_role(role: &str, source: &str, error: CredentialsError) -> Error {
    // The SDK's text for an answer of the service; a connection failure reads differently.
    let message = if text_of(&error).contains("service error") {
        format!(
            "STS did not allow the credentials of {source} to assume role {role}: check its name, its trust \
             policy, and that they may call sts:AssumeRole"
        )
    } else {
        format!("failed to reach STS for role {role}: check the network and the region")
    };
    caused(CredentialsFailure::Failed, message, error)
}

fn general(source: &str, is_profile: bool, error: CredentialsError) -> Error {
    let remedy = match is_profile {
        true => "give it keys, a role, a `credential_process` or an SSO session",
        false => "set AWS_PROFILE or `awsProfile` or AWS_ACCESS_KEY_ID, log in, or give the machine a role",
    };
    let (failure, message) = match &error {
        CredentialsError::CredentialsNotLoaded(_) => {
            (CredentialsFailure::NotConfigured, format!("no AWS credentials found in {source}: {remedy}"))
        }
        CredentialsError::ProviderTimedOut(_) => {
            (CredentialsFailure::TimedOut, format!("{source} timed out while providing AWS credentials"))
        }
        CredentialsError::InvalidConfiguration(_) => {
            (CredentialsFailure::Failed, format!("{source} has an invalid configuration of AWS credentials"))
        }
        _ if is_profile => {
            (CredentialsFailure::Failed, format!("{source} failed to provide AWS credentials"))
        }
        _ => (CredentialsFailure::Failed, format!("{source} failed to provide AWS credentials: {remedy}")),
    };
    caused(failure, message, error)
}

/// The profiles of the files that the SDK reads.
pub(super) struct Profiles(ProfileSet);

impl Profiles {
    /// Reads the files. An unreadable file gives `None`, since the SDK reports it itself.
    pub(super) async fn load(profile: Option<&str>) -> Option<Self> {
        let selected = profile.map(|profile| profile.to_owned().into());
        let loaded = aws_config::profile::load(
            &Default::default(),
            &Default::default(),
            &Default::default(),
            selected,
        )
        .await;
        loaded.ok().map(Self)
    }

    pub(super) fn selected(&self) -> &str {
        self.0.selected_profile()
    }

    /// Returns the earliest expiry noted beside the static keys of a profile.
    pub(super) fn noted_end(&self, name: &str) -> Option<NotedEnd> {
        let profile = self.0.get_profile(name)?;
        profile.get("aws_access_key_id")?;
        let keys_of = format!("profile `{}`", name.escape_debug());
        let ends = KEYS.into_iter().filter_map(|key| NotedEnd::read(key, profile.get(key)?, keys_of.clone()));
        ends.min_by_key(NotedEnd::end)
    }

    /// Explains what is wrong with the selected profile, or with a profile that it gets its
    /// credentials from.
    fn explain(&self, named: Option<&str>, error: &CredentialsError, now: SystemTime) -> Option<Explained> {
        let is_named = named.is_some() || by_variable().is_some();
        let mut visited: Vec<&str> = Vec::new();
        let mut name = self.selected();
        loop {
            let shown = name.escape_debug();
            let Some(profile) = self.0.get_profile(name) else {
                return match visited.last() {
                    None if !is_named => None,
                    None if named.is_none() => Some(missing(&format!("`{shown}` (AWS_PROFILE)"))),
                    None => Some(missing(&format!("`{shown}`"))),
                    Some(by) => Some(missing(&format!("`{shown}` (source of `{}`)", by.escape_debug()))),
                };
            };
            if let Some(Err(message)) = self.noted_end(name).map(|noted| noted.check(now)) {
                return Some((CredentialsFailure::Expired, message));
            }
            visited.push(name);
            match profile.get("source_profile") {
                // A profile may name itself, or one before it, as its source.
                Some(source) if !visited.contains(&source) => name = source,
                _ => return log_in(name, profile, error),
            }
        }
    }
}

fn missing(which: &str) -> Explained {
    let file = |variable, default: &str| env::var(variable).unwrap_or_else(|_| default.to_owned());
    let config = file("AWS_CONFIG_FILE", "~/.aws/config");
    let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials");
    let message = format!(
        "profile {which} not found in {} or {}: check its name with `aws configure list-profiles`",
        config.escape_debug(),
        credentials.escape_debug()
    );
    (CredentialsFailure::NotConfigured, message)
}

/// Suggests a login if the profile needs one and nothing else seems wrong.
fn log_in(name: &str, profile: &Profile, error: &CredentialsError) -> Option<Explained> {
    let (text, shown) = (text_of(error), name.escape_debug());
    let is_malformed = matches!(error, CredentialsError::InvalidConfiguration(_));
    if profile.get("login_session").is_some() && is_malformed && !cfg!(feature = "login") {
        let message =
            format!("profile `{shown}` uses `aws login`: enable the feature `login` of this library");
        return Some((CredentialsFailure::Failed, message));
    }
    // Network, time and throttling: a login would not change these.
    let elsewhere = ["dispatch failure", "timeout", "Forbidden", "TooManyRequests"];
    if is_malformed || elsewhere.iter().any(|words| text.contains(words)) {
        return None;
    }
    if profile.get("sso_session").or_else(|| profile.get("sso_start_url")).is_some() {
        let message =
            format!("profile `{shown}` is not logged in to SSO: run `aws sso login --profile {shown}`");
        return Some((CredentialsFailure::Failed, message));
    }
    profile.get("login_session")?;
    let message = format!("profile `{shown}` is not logged in: run `aws login --profile {shown}`");
    Some((CredentialsFailure::Failed, message))
}

/// Returns an error and its causes, as one text.
fn text_of(error: &CredentialsError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
