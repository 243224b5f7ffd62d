//! Tests of a registry: chains built from options, and its error messages.

use super::*;
use crate::{ConnectRequest, Next, Opening, ParameterKind};

struct Fake {
    code: &'static str,
    weight: i32,
    parameters: &'static [Parameter],
}

#[derive(Debug)]
struct FakePlugin(&'static str);

impl Factory<()> for Fake {
    fn code(&self) -> &str {
        self.code
    }

    fn parameters(&self) -> &[Parameter] {
        self.parameters
    }

    fn aliases(&self) -> &[&str] {
        if self.code == "auth" { &["authentication"] } else { &[] }
    }

    fn covers(&self) -> &[&str] {
        if self.code == "retry" { &["retryV1"] } else { &[] }
    }

    fn absence(&self, code: &str) -> Option<String> {
        (self.code == "auth" && code == "failover2").then(|| "known to `auth`".to_owned())
    }

    fn conflicts(&self) -> &[&str] {
        if self.code == "secret" { &["auth"] } else { &[] }
    }

    fn weight(&self) -> i32 {
        self.weight
    }

    fn build(&self, _: &BuildContext<'_>) -> Result<Arc<dyn Plugin<()>>> {
        Ok(Arc::new(FakePlugin(self.code)))
    }
}

impl Plugin<()> for FakePlugin {
    fn code(&self) -> &str {
        self.0
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, ()>) -> Opening<'a, ()> {
        next.run(request)
    }
}

const AUTH: &[Parameter] =
    &[Parameter::new("authHost", ParameterKind::Text, "", "").aliases(&["loginDomain"]), SHARED];

const SHARED: Parameter = Parameter::new("cloudProfile", ParameterKind::Text, "", "");

const SECRET: &[Parameter] = &[SHARED];

fn registry() -> Registry<()> {
    Registry::new()
        .with(Fake { code: "auth", weight: 1000, parameters: AUTH })
        .with(Fake { code: "retry", weight: 100, parameters: &[] })
        .with(Fake { code: "secret", weight: 1000, parameters: SECRET })
}

fn build(pairs: &[(&str, &str)]) -> Result<Vec<String>> {
    let mut given = RawParameters::new();
    for (name, value) in pairs {
        given.configure(name, *value)?;
    }
    let (plugins, _) = registry().build(&given, &[ConnectRequest::new("a.example", 1, "jane")])?;
    Ok(plugins.iter().map(|plugin| plugin.code().to_owned()).collect())
}

#[track_caller]
fn refused(pairs: &[(&str, &str)], message: &str) {
    assert_eq!(build(pairs).expect_err("refused").to_string(), message);
}

#[test]
fn plugins_are_sorted_by_weight_unless_told_otherwise() {
    assert_eq!(build(&[("plugins", "auth, retry")]).unwrap(), ["retry", "auth"]);
    let kept = [("plugins", "auth,retry"), ("autoSortWrapperPluginOrder", "false")];
    assert_eq!(build(&kept).unwrap(), ["auth", "retry"]);
    assert!(build(&[]).unwrap().is_empty());
}

#[test]
fn plugin_code_wrong() {
    refused(&[("plugins", "atuh")], "unknown plugin `atuh` in `plugins`: did you mean `auth`?");
    refused(&[("plugins", "x")], "unknown plugin `x` in `plugins`: known are `auth`, `retry`, `secret`");
    refused(&[("plugins", "auth,auth")], "plugin `auth` is named twice in `plugins`");
    refused(&[("plugins", "auth,failover2")], "plugin `failover2` is known to `auth`");
    refused(
        &[("plugins", "jane:hunter2")],
        "unknown plugin in `plugins`: known are `auth`, `retry`, `secret`",
    );
}

#[test]
fn plugin_answers_to_its_aliases() {
    assert_eq!(build(&[("plugins", "authentication, retry")]).unwrap(), ["retry", "auth"]);
    refused(&[("plugins", "auth,authentication")], "plugin `authentication` is named twice in `plugins`");
}

#[test]
fn plugin_whose_work_another_does_is_named_with_that() {
    refused(
        &[("plugins", "auth,retry_v1")],
        "plugin `retry_v1` is covered by `retry`: write that in its place in `plugins`",
    );
}

#[test]
fn plugins_that_exclude_each_other_are_refused_in_any_order() {
    for plugins in ["auth,secret", "secret,authentication", "retry,secret,auth"] {
        refused(
            &[("plugins", plugins)],
            "plugins `secret` and `auth` exclude each other: take one out of `plugins`",
        );
    }
}

#[test]
fn parameter_of_a_plugin_that_is_not_enabled_is_refused() {
    refused(
        &[("plugins", "retry"), ("authHost", "h")],
        "`authHost` belongs to plugin `auth`, which is not enabled: add plugins=auth",
    );
}

#[test]
fn parameter_of_several_plugins_needs_one_of_them() {
    for code in ["auth", "secret"] {
        assert_eq!(build(&[("plugins", code), ("cloudProfile", "p")]).unwrap(), [code]);
    }
    refused(
        &[("plugins", "retry"), ("cloudProfile", "p")],
        "`cloudProfile` belongs to the plugins `auth` and `secret`, none of which is enabled: add \
         plugins=auth",
    );
}
