//! Plugins by their code.

use std::{fmt, sync::Arc};

use crate::{
    ConnectRequest, Error, ErrorKind, Events, Options, Parameter, Plugin, Result,
    adapter::{RawParameters, WRAPPER_PARAMETERS},
    text::{is_name, suggest},
};

/// Plugins, the outermost first.
type Plugins<C> = Vec<Arc<dyn Plugin<C>>>;

/// Builds a plugin out of parameters.
pub trait Factory<C>: Send + Sync {
    /// Returns the code in the parameter `plugins`.
    fn code(&self) -> &str;

    /// Returns alternative codes of the plugin.
    fn aliases(&self) -> &[&str] {
        &[]
    }

    /// Returns the codes of plugins of other wrappers that this one replaces, for the error that
    /// names it.
    fn covers(&self) -> &[&str] {
        &[]
    }

    /// Explains why a plugin of another wrapper, named by its code, does not exist here and what to
    /// do, as a clause that completes "the plugin is"; `None` for other codes.
    fn absence(&self, code: &str) -> Option<String> {
        let _ = code;
        None
    }

    /// Returns the code of the plugin that a parameter of another wrapper belongs to; `None` for
    /// other names.
    fn owner_elsewhere(&self, parameter: &str) -> Option<&'static str> {
        let _ = parameter;
        None
    }

    /// Explains why a parameter of another wrapper has no effect here, as a clause; `None` for
    /// other names.
    fn without_effect(&self, parameter: &str) -> Option<&'static str> {
        let _ = parameter;
        None
    }

    /// Returns the codes of plugins that cannot be combined with this one.
    fn conflicts(&self) -> &[&str] {
        &[]
    }

    /// Returns the parameters that the plugin declares, in addition to the connector's own.
    fn parameters(&self) -> &[Parameter] {
        &[]
    }

    /// Returns the position in a sorted chain: the lowest weight is outermost, authentication has
    /// 1000.
    fn weight(&self) -> i32 {
        500
    }

    /// Builds the plugin.
    ///
    /// # Errors
    ///
    /// A configuration error that names the parameter.
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Plugin<C>>>;

    /// Adds the causes that the plugin knows of to an error of a connect or of its set-up; by
    /// default none.
    ///
    /// Every registered factory is asked, so that one whose plugin is not enabled can say that it
    /// should be: [`ConnectRequest::has_plugin`] tells.
    fn explain(&self, request: &ConnectRequest, error: Error) -> Error {
        let _ = request;
        error
    }
}

/// The configuration that a factory builds its plugin from.
#[derive(Clone, Debug)]
pub struct BuildContext<'a> {
    options: &'a Options,
    requests: &'a [ConnectRequest],
    events: Events,
}

impl<'a> BuildContext<'a> {
    /// Creates a context for options and the requests for the configured hosts.
    pub fn new(options: &'a Options, requests: &'a [ConnectRequest]) -> Self {
        Self { options, requests, events: Events::none() }
    }

    /// As [`new`](Self::new), with listeners.
    #[must_use]
    pub fn with_events(mut self, events: Events) -> Self {
        self.events = events;
        self
    }

    /// Returns the listeners; a plugin keeps a clone to notify them.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Returns the parameters, checked.
    pub fn options(&self) -> &'a Options {
        self.options
    }

    /// Returns the requests, one for each configured host.
    pub fn requests(&self) -> &'a [ConnectRequest] {
        self.requests
    }
}

/// Knows the plugins that can be named in the parameter `plugins`, for connections of type `C`.
pub struct Registry<C>(Vec<Arc<dyn Factory<C>>>);

impl<C> Registry<C> {
    /// Creates a registry without plugins.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a plugin, in place of one with the same code.
    #[must_use]
    pub fn with(mut self, factory: impl Factory<C> + 'static) -> Self {
        self.0.retain(|known| known.code() != factory.code());
        self.0.push(Arc::new(factory));
        self
    }

    /// Returns every parameter that the connector or a plugin declares, with the code of the
    /// plugin.
    pub fn parameters(&self) -> impl Iterator<Item = (Option<&str>, &Parameter)> {
        let wrapper = WRAPPER_PARAMETERS.iter().map(|parameter| (None, parameter));
        wrapper.chain(self.0.iter().flat_map(|factory| {
            factory.parameters().iter().map(|parameter| (Some(factory.code()), parameter))
        }))
    }

    /// Returns whether a parameter of this name is declared, so that it has to be cut out of a
    /// driver's string.
    pub fn declares(&self, name: &str) -> bool {
        self.parameters().any(|(_, parameter)| parameter.name == name)
    }

    /// Returns whether a plugin of this code is known.
    pub fn contains(&self, code: &str) -> bool {
        self.0.iter().any(|factory| factory.code() == code)
    }

    /// Builds the plugins that the parameter `plugins` names, the outermost first, and the options
    /// they were built from.
    ///
    /// # Errors
    ///
    /// A configuration error for an unknown or repeated code, an invalid value or a parameter of a
    /// plugin that is not enabled; a factory's error.
    pub fn build(&self, given: &RawParameters, requests: &[ConnectRequest]) -> Result<(Plugins<C>, Options)> {
        self.build_with_events(given, requests, &Events::none())
    }

    /// As [`build`](Self::build), with listeners that the plugins notify.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_with_events(
        &self,
        given: &RawParameters,
        requests: &[ConnectRequest],
        events: &Events,
    ) -> Result<(Plugins<C>, Options)> {
        // Read twice: the list of plugins decides which further parameters are declared.
        let wrapper = Options::read(given, WRAPPER_PARAMETERS)?;
        let mut chosen: Vec<&Arc<dyn Factory<C>>> = Vec::new();
        for code in wrapper.get(&Options::PLUGINS).into_iter().flatten() {
            let factory = self.factory(code)?;
            if chosen.iter().any(|known| known.code() == factory.code()) {
                return Err(configuration(format!("plugin `{code}` is named twice in `plugins`")));
            }
            chosen.push(factory);
        }
        check_conflicts(&chosen)?;
        self.check_owners(given, &chosen)?;
        if *wrapper.get(&Options::AUTO_SORT_WRAPPER_PLUGIN_ORDER).unwrap_or(&true) {
            // Stable: plugins of equal weight keep the order in which they are named.
            chosen.sort_by_key(|factory| factory.weight());
        }
        let declared = chosen.iter().flat_map(|factory| factory.parameters());
        let options = Options::read(given, WRAPPER_PARAMETERS.iter().chain(declared))?;
        let context = BuildContext::new(&options, requests).with_events(events.clone());
        let plugins = chosen.iter().map(|factory| factory.build(&context)).collect::<Result<_>>()?;
        Ok((plugins, options))
    }

    /// Explains why a parameter of another wrapper's plugin has no effect, and what to do; `None`
    /// for other names.
    pub fn explain_parameter(&self, name: &str) -> Option<String> {
        if let Some(why) = self.0.iter().find_map(|factory| factory.without_effect(name)) {
            return Some(format!("`{name}` has no effect here, leave it out: {why}"));
        }
        let code = self.0.iter().find_map(|factory| factory.owner_elsewhere(name))?;
        let absence = || self.0.iter().find_map(|factory| factory.absence(code));
        Some(match (self.contains(code), absence()) {
            (false, Some(why)) => format!("`{name}` belongs to plugin `{code}`, which is {why}"),
            _ => format!("`{name}` has no effect here: leave it out"),
        })
    }

    /// Lets every factory explain an error of a connect or of its set-up.
    pub fn explain(&self, request: &ConnectRequest, error: Error) -> Error {
        self.0.iter().fold(error, |error, factory| factory.explain(request, error))
    }

    fn factory(&self, code: &str) -> Result<&Arc<dyn Factory<C>>> {
        let answers =
            |factory: &&Arc<dyn Factory<C>>| factory.code() == code || factory.aliases().contains(&code);
        if let Some(factory) = self.0.iter().find(answers) {
            return Ok(factory);
        }
        // From the most helpful answer to the least; a suggestion is a guess and comes last.
        let covers = |factory: &&Arc<dyn Factory<C>>| {
            factory.covers().iter().any(|covered| folded(covered) == folded(code))
        };
        if let Some(factory) = self.0.iter().find(covers) {
            let covering = factory.code();
            return Err(configuration(format!(
                "plugin `{code}` is covered by `{covering}`: write that in its place in `plugins`"
            )));
        }
        if let Some(why) = self.0.iter().find_map(|factory| factory.absence(code)) {
            return Err(configuration(format!("plugin `{code}` is {why}")));
        }
        if code == "none" {
            return Err(configuration(
                "`plugins=none` does not name a plugin: leave `plugins` out".to_owned(),
            ));
        }
        let codes: Vec<_> = self.0.iter().map(|factory| format!("`{}`", factory.code())).collect();
        let hint = match suggest(code, self.0.iter().map(|factory| factory.code())) {
            Some(nearest) => format!(": did you mean `{nearest}`?"),
            None if codes.is_empty() => ": no plugin is registered".to_owned(),
            None => format!(": known are {}", codes.join(", ")),
        };
        let code = if is_name(code) { format!(" `{code}`") } else { String::new() };
        Err(configuration(format!("unknown plugin{code} in `plugins`{hint}")))
    }

    fn check_owners(&self, given: &RawParameters, chosen: &[&Arc<dyn Factory<C>>]) -> Result<()> {
        for factory in &self.0 {
            // Several plugins may declare one parameter, such as where credentials come from.
            let has_owner = |name: &str| chosen.iter().any(|chosen| declares(&***chosen, name));
            let is_stray =
                |parameter: &&Parameter| given.contains(parameter.name) && !has_owner(parameter.name);
            if let Some(Parameter { name, .. }) = factory.parameters().iter().find(is_stray) {
                let owners = self.0.iter().filter(|owner| declares(&***owner, name));
                let codes: Vec<_> = owners.map(|owner| owner.code()).collect();
                return Err(configuration(match &codes[..] {
                    [code] => {
                        format!(
                            "`{name}` belongs to plugin `{code}`, which is not enabled: add plugins={code}"
                        )
                    }
                    codes => {
                        let listed = codes.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>();
                        format!(
                            "`{name}` belongs to the plugins {}, none of which is enabled: add plugins={}",
                            listed.join(" and "),
                            codes[0]
                        )
                    }
                }));
            }
        }
        Ok(())
    }
}

fn declares<C>(factory: &dyn Factory<C>, name: &str) -> bool {
    factory.parameters().iter().any(|parameter| parameter.name == name)
}

fn check_conflicts<C>(chosen: &[&Arc<dyn Factory<C>>]) -> Result<()> {
    for factory in chosen {
        if let Some(other) = chosen.iter().find(|other| factory.conflicts().contains(&other.code())) {
            let (code, other) = (factory.code(), other.code());
            return Err(configuration(format!(
                "plugins `{code}` and `{other}` exclude each other: take one out of `plugins`"
            )));
        }
    }
    Ok(())
}

/// Returns a code as it is compared: `failover_v2` and `failoverV2` are one.
fn folded(code: &str) -> String {
    code.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

impl<C> Default for Registry<C> {
    fn default() -> Self {
        Self::new()
    }
}

// A derive would ask for `C: Clone`.
impl<C> Clone for Registry<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C> fmt::Debug for Registry<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|factory| factory.code())).finish()
    }
}

#[cfg(test)]
mod tests;
