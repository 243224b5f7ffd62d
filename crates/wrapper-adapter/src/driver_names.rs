//! Errors for unknown parameters, with suggestions.

use wrapper_core::{
    Engine, Error, ErrorKind, Registry, Result, Value,
    adapter::RawParameters,
    text::{is_name, suggest},
};

mod elsewhere;

/// The names of a driver's own parameters; only for hints, the driver itself decides.
#[derive(Clone, Copy, Debug)]
pub struct DriverNames<'a> {
    /// The names.
    pub names: &'a [&'a str],
    /// Names of other tools, each with its counterpart here.
    pub known_elsewhere: &'a [(&'a str, &'a str)],
    /// The engine, for names of its other drivers.
    pub engine: Option<Engine>,
}

impl DriverNames<'_> {
    /// No driver: for names that have to be the wrapper's.
    pub(crate) const NONE: Self = Self { names: &[], known_elsewhere: &[], engine: None };

    /// Suggests the known parameter closest to an unknown name, or its counterpart here.
    pub fn suggest<'a, C>(&'a self, registry: &'a Registry<C>, name: &str) -> Option<&'a str> {
        let same = |known: &str| folded(known) == folded(name);
        let declared: Vec<_> = registry.parameters().map(|(_, parameter)| parameter).collect();
        let aliased = declared
            .iter()
            .find(|parameter| parameter.known_aliases().iter().any(|alias| same(alias)))
            .map(|parameter| parameter.name());
        let mut elsewhere = self.known_elsewhere.iter().chain(elsewhere::meant(self.engine));
        let ours = declared.iter().map(|parameter| parameter.name());
        let known = ours.clone().chain(self.names.iter().copied()).filter(|known| *known != name);
        let mut ours = ours.filter(|known| same(known));
        // In this order: `connectTimeout` counts milliseconds, and a driver's `connect_timeout`
        // does not.
        ours.next()
            .or(aliased)
            .or_else(|| elsewhere.find(|(alias, _)| same(alias)).map(|(_, meant)| *meant))
            .or_else(|| known.clone().find(|known| same(known)))
            .or_else(|| match self.without_effect(registry, name) {
                Some(_) => None,
                None => suggest(name, known),
            })
    }

    /// Refuses entries of a map that only other wrappers and drivers know.
    ///
    /// # Errors
    ///
    /// A configuration error that names the first such entry and explains why it has no effect.
    pub fn check_elsewhere<C>(&self, registry: &Registry<C>, entries: &[(String, Value)]) -> Result<()> {
        for (name, value) in entries {
            let is_known = registry.declares(name) || self.names.contains(&&**name) || name == "ssl";
            if *value != Value::Null && !is_known && self.suggest(registry, name).is_none() {
                self.without_effect(registry, name).map_or(Ok(()), Err)?;
            }
        }
        Ok(())
    }

    fn without_effect<C>(&self, registry: &Registry<C>, name: &str) -> Option<Error> {
        // Some rows match a prefix only, and the rest of the name may be a password.
        if !is_name(name) {
            return None;
        }
        let reason = |why| format!("`{name}` has no effect here, leave it out: {why}");
        let explained = registry.explain_parameter(name);
        explained.or_else(|| elsewhere::why(name, self.engine).map(reason)).map(configuration)
    }

    /// Creates the error for a name that neither the wrapper nor the driver knows; it never shows
    /// the value.
    pub fn unknown<C>(&self, registry: &Registry<C>, name: &str) -> Error {
        self.unknown_shown(registry, name, is_name(name))
    }

    /// As [`unknown`](Self::unknown), for a name that may be a piece of a password: it is shown
    /// only if it is close to a known one.
    pub fn unknown_in_doubt<C>(&self, registry: &Registry<C>, name: &str) -> Error {
        self.unknown_shown(registry, name, false)
    }

    fn unknown_shown<C>(&self, registry: &Registry<C>, name: &str, is_shown: bool) -> Error {
        let meant = self.suggest(registry, name);
        // Unless shown, the name may be a piece of a password that begins like one of these.
        if is_shown
            && meant.is_none()
            && let Some(error) = self.without_effect(registry, name)
        {
            return error;
        }
        configuration(match meant.filter(|_| is_name(name)) {
            Some(meant) => format!("unknown parameter `{name}`: did you mean `{meant}`?"),
            None if is_shown => format!("unknown parameter `{name}`"),
            None => "unknown parameter, whose name is not shown as it may be a piece of a password: write \
                     `&` as %26 in a URL, and put values with blanks into single quotes in pairs"
                .to_owned(),
        })
    }
}

/// Collects the parameters set in code, each of which has to be one of the wrapper's.
///
/// # Errors
///
/// A configuration error for an unknown name, which names the place of the driver's own.
pub fn given_in_code<C>(
    registry: &Registry<C>,
    parameters: impl IntoIterator<Item = (String, Value)>,
) -> Result<RawParameters> {
    let mut given = RawParameters::new();
    for (name, value) in parameters {
        if !registry.declares(&name) {
            return Err(unknown_in_code(registry, &name));
        }
        given.set(&name, value)?;
    }
    Ok(given)
}

fn unknown_in_code<C>(registry: &Registry<C>, name: &str) -> Error {
    match DriverNames::NONE.suggest(registry, name) {
        None if is_name(name) && DriverNames::NONE.without_effect(registry, name).is_none() => {
            configuration(format!(
                "`{name}` is not a parameter of the wrapper: set the driver's own in the connection string \
                 or the map"
            ))
        }
        _ => DriverNames::NONE.unknown(registry, name),
    }
}

/// Normalizes a name for comparison: `iam_region`, `iam-region` and `IAMREGION` are equal.
fn folded(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests;
