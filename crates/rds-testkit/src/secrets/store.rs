//! Secrets, their versions and the stages that point to them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";
const PREVIOUS: &str = "AWSPREVIOUS";

/// The content of a secret.
#[derive(Clone)]
pub(super) enum Content {
    Binary(Vec<u8>),
    Text(String),
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// All secrets by name.
#[derive(Default)]
pub(super) struct Store(BTreeMap<String, Vec<Version>>, u64);

/// One version of a secret.
#[derive(Clone)]
pub(super) struct Version {
    id: String,
    stages: Vec<&'static str>,
    content: Content,
}

impl Store {
    pub(super) fn put(&mut self, name: &str, content: Content) -> String {
        let id = self.add(name, content, CURRENT);
        self.settle(name, &id);
        id
    }

    pub(super) fn rotate(&mut self, name: &str, content: Content) -> String {
        for version in self.0.get_mut(name).into_iter().flatten() {
            version.stages.retain(|stage| *stage != PENDING);
        }
        self.add(name, content, PENDING)
    }

    pub(super) fn finish(&mut self, name: &str) -> bool {
        let pending = self.version(name, None, Some(PENDING)).map(|version| version.id);
        if let Some(id) = &pending {
            self.settle(name, id);
        }
        pending.is_some()
    }

    pub(super) fn delete(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// Returns a secret's name, given its name or its ARN with or without the last six characters.
    pub(super) fn name(&self, id: &str, arns: &str) -> Option<String> {
        let bare = id.strip_prefix(arns).unwrap_or(id);
        let is_meant = |name: &&String| {
            **name == bare || (id.len() > bare.len() && bare == format!("{name}-{}", super::suffix(name)))
        };
        self.0.keys().find(is_meant).cloned()
    }

    /// Finds a version by its id, its stage or both; without either, the current one.
    pub(super) fn version(&self, name: &str, id: Option<&str>, stage: Option<&str>) -> Option<Version> {
        let stage = if id.is_none() { Some(stage.unwrap_or(CURRENT)) } else { stage };
        let is_asked = |version: &&Version| {
            id.is_none_or(|id| version.id == id) && stage.is_none_or(|stage| version.stages.contains(&stage))
        };
        self.0.get(name)?.iter().find(is_asked).cloned()
    }

    fn add(&mut self, name: &str, content: Content, stage: &'static str) -> String {
        self.1 += 1;
        // The service's ids have the form of a UUID.
        let id = format!("00000000-0000-4000-8000-{:012}", self.1);
        let version = Version { id: id.clone(), stages: vec![stage], content };
        self.0.entry(name.to_owned()).or_default().push(version);
        id
    }

    /// Makes a version `AWSCURRENT`, and the former one `AWSPREVIOUS`.
    fn settle(&mut self, name: &str, id: &str) {
        for version in self.0.get_mut(name).into_iter().flatten() {
            let was_current = version.id != id && version.stages.contains(&CURRENT);
            version.stages.clear();
            if version.id == id {
                version.stages.push(CURRENT);
            } else if was_current {
                version.stages.push(PREVIOUS);
            }
        }
        // The service deletes versions without a stage.
        if let Some(versions) = self.0.get_mut(name) {
            versions.retain(|version| !version.stages.is_empty());
        }
    }
}

impl Version {
    pub(super) fn describe(&self, name: &str, arn: &str, now: SystemTime) -> Value {
        let created = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut answer = json!({
            "ARN": arn,
            "Name": name,
            "VersionId": self.id,
            "VersionStages": self.stages,
            "CreatedDate": created,
        });
        match &self.content {
            Content::Binary(bytes) => answer["SecretBinary"] = BASE64.encode(bytes).into(),
            Content::Text(text) => answer["SecretString"] = text.as_str().into(),
        }
        answer
    }
}
