//! Names that nobody here declares: what was meant, and why a name has no place.

use super::{
    Registry, configuration,
    elsewhere::{self, Why},
    folded,
};
use crate::{Engine, Error, Result, Value, is_name, suggest};

/// What a driver calls its own parameters; only for hints, the driver itself decides.
#[derive(Clone, Copy, Debug)]
pub struct DriverNames<'a> {
    /// The names.
    pub names: &'a [&'a str],
    /// Names that people may know from elsewhere, each with what is written here.
    pub known_elsewhere: &'a [(&'a str, &'a str)],
    /// The engine, for names that its other drivers have.
    pub engine: Option<Engine>,
}

impl DriverNames<'_> {
    /// For names that only the wrapper may know.
    pub const NONE: Self = Self { names: &[], known_elsewhere: &[], engine: None };
}

impl<C> Registry<C> {
    /// Suggests the known parameter closest to an unknown name, or what is written in its place.
    pub fn suggest<'a>(&'a self, name: &str, driver: &'a DriverNames<'_>) -> Option<&'a str> {
        let same = |known: &str| folded(known) == folded(name);
        let aliased = self.parameters().find_map(|(_, parameter)| {
            parameter.aliases.iter().any(|alias| same(alias)).then_some(parameter.name)
        });
        let mut elsewhere = driver.known_elsewhere.iter().chain(elsewhere::meant(driver.engine));
        let declared: Vec<_> = self.parameters().map(|(_, parameter)| parameter.name).collect();
        let known = declared.iter().chain(driver.names).copied().filter(|known| *known != name);
        let ours = declared.iter().copied().find(|known| same(known));
        // In this order: `connectTimeout` counts milliseconds, and a driver's `connect_timeout` does not.
        ours.or(aliased)
            .or_else(|| elsewhere.find(|(alias, _)| same(alias)).map(|(_, meant)| *meant))
            .or_else(|| known.clone().find(|known| same(known)))
            .or_else(|| match elsewhere::why(name, driver.engine) {
                Some(_) => None,
                None => suggest(name, known),
            })
    }

    /// Refuses entries of a map that other wrappers and drivers know, and that have no place here.
    ///
    /// # Errors
    ///
    /// A configuration error that names the first such entry, and why it has none.
    pub fn check_elsewhere(&self, entries: &[(String, Value)], driver: &DriverNames<'_>) -> Result<()> {
        for (name, value) in entries {
            let is_known = self.declares(name) || driver.names.contains(&&**name) || name == "ssl";
            if *value != Value::Null && !is_known && self.suggest(name, driver).is_none() {
                self.of_no_use(name, driver).map_or(Ok(()), Err)?;
            }
        }
        Ok(())
    }

    fn of_no_use(&self, name: &str, driver: &DriverNames<'_>) -> Option<Error> {
        let is_registered = |code: &str| self.0.iter().any(|factory| factory.code() == code);
        Some(configuration(match elsewhere::why(name, driver.engine)? {
            Why::Plugin(code) if is_registered(code) => format!("`{name}` is of no use here: leave it out"),
            Why::Plugin(code) => {
                format!(
                    "`{name}` belongs to plugin `{code}`, which is known, not available yet: leave it out"
                )
            }
            Why::Reason(why) => format!("`{name}` is of no use here, leave it out: {why}"),
        }))
    }

    /// An error for a name that neither the wrapper nor the driver knows; it never shows the value.
    pub fn unknown_parameter(&self, name: &str, driver: &DriverNames<'_>) -> Error {
        self.unknown(name, driver, is_name(name))
    }

    /// The same for a name that may be a piece of a password: it is shown only if it is near to a known one.
    pub fn unknown_parameter_in_doubt(&self, name: &str, driver: &DriverNames<'_>) -> Error {
        self.unknown(name, driver, false)
    }

    /// The same for a name that was set in code, where there are only the wrapper's.
    pub fn unknown_parameter_in_code(&self, name: &str) -> Error {
        match self.suggest(name, &DriverNames::NONE) {
            None if is_name(name) && elsewhere::why(name, None).is_none() => configuration(format!(
                "`{name}` is no parameter of the wrapper: the driver's own stand in the connection string or the map"
            )),
            _ => self.unknown_parameter(name, &DriverNames::NONE),
        }
    }

    fn unknown(&self, name: &str, driver: &DriverNames<'_>, is_shown: bool) -> Error {
        // The name may be a piece of a password that begins as one of these.
        if is_shown
            && self.suggest(name, driver).is_none()
            && let Some(error) = self.of_no_use(name, driver)
        {
            return error;
        }
        let meant = self.suggest(name, driver).filter(|_| is_name(name));
        configuration(match meant {
            Some(meant) => format!("unknown parameter `{name}`: did you mean `{meant}`?"),
            None if is_shown => format!("unknown parameter `{name}`"),
            None => "unknown parameter, whose name is not shown as it may be a piece of a password: write `&` as %26 in a URL, and put values with blanks into single quotes in pairs"
                .to_owned(),
        })
    }
}
