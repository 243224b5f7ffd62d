//! Parameters that were checked against their declarations.

use std::collections::BTreeMap;

use super::{Origin, Parameter, ParameterKind, RawParameters, Value, spec::Parsed};
use crate::{Error, ErrorKind, Result, sanitize::shown};

/// Holds parameters whose values fit their declarations.
#[derive(Clone, Debug, Default)]
pub struct Options {
    values: BTreeMap<&'static str, Given>,
}

#[derive(Clone, Debug)]
struct Given {
    origin: Origin,
    parsed: Parsed,
}

impl Options {
    /// Reads the declared parameters from the given ones and checks each value; undeclared names
    /// are ignored.
    ///
    /// # Errors
    ///
    /// A configuration error that names the parameter, the value and the accepted values.
    pub fn read<'a>(
        given: &RawParameters,
        declared: impl IntoIterator<Item = &'a Parameter>,
    ) -> Result<Self> {
        let mut values = BTreeMap::new();
        for parameter in declared {
            if let Some(value) = given.value(parameter.name) {
                let origin = given.origin(parameter.name).unwrap_or(Origin::Text);
                let value = parameter.checked(value)?;
                // A string is read by more hands than a map or code: it names files only.
                let is_pem =
                    |value: &Value| matches!(value, Value::Text(text) if text.contains("-----BEGIN "));
                if origin == Origin::Text && is_pem(&value) {
                    return Err(Error::new(
                        ErrorKind::Configuration,
                        format!(
                            "`{}` contains PEM text, but in a connection string it names a file: pass PEM \
                             text in a map or to the builder",
                            parameter.name
                        ),
                    ));
                }
                let parsed = (parameter.parse)(parameter.name, &value)?;
                values.insert(parameter.name, Given { origin, parsed });
            }
        }
        Ok(Self { values })
    }

    /// Returns the value of a parameter, where given.
    pub fn get<T: 'static>(&self, parameter: &Parameter<T>) -> Option<&T> {
        let value = self.values.get(parameter.name)?.parsed.downcast_ref();
        debug_assert!(value.is_some(), "`{}` is declared with two types", parameter.name);
        value
    }

    /// Returns whether a value is given for a name.
    pub fn contains(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Returns whether the value was set in code or in a map, which is as trusted, and not in a
    /// connection string.
    pub fn is_trusted(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|given| given.origin > Origin::Text)
    }
}

impl Parameter {
    fn checked(&self, value: &Value) -> Result<Value> {
        let text = match self.kind {
            ParameterKind::List => value.several(self.name)?,
            _ => value.single(self.name)?,
        };
        let text = text.trim();
        let fitting = match self.kind {
            ParameterKind::Boolean => text.parse().ok().map(Value::Boolean),
            ParameterKind::Integer { min, max } => {
                text.parse().ok().filter(|number| (min..=max).contains(number)).map(Value::Integer)
            }
            ParameterKind::List => Some(text)
                .filter(|text| text.split(',').all(|entry| !entry.trim().is_empty()))
                .map(Value::from),
            ParameterKind::Text => Some(text).filter(|text| !text.is_empty()).map(Value::from),
        };
        fitting.ok_or_else(|| {
            Error::new(
                ErrorKind::Configuration,
                format!("`{}` must be {}, not {}", self.name, self.kind.description(), shown(text)),
            )
        })
    }
}

impl ParameterKind {
    /// Describes the accepted values.
    pub fn description(&self) -> String {
        match self {
            ParameterKind::Boolean => "`true` or `false`".to_owned(),
            ParameterKind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            ParameterKind::List => "values separated by commas".to_owned(),
            ParameterKind::Text => "text that is not empty".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use host_pattern::Region;

    use super::*;

    const FLAG: Parameter<bool> = Parameter::typed("flag", ParameterKind::Boolean, "", "");
    const NUMBER: Parameter<u64> =
        Parameter::typed("number", ParameterKind::Integer { min: 0, max: 900 }, "", "");
    const LIST: Parameter<Vec<String>> = Parameter::typed("list", ParameterKind::List, "", "");
    const NAME: Parameter<String> = Parameter::typed("name", ParameterKind::Text, "", "");
    const REGION: Parameter<Region> = Parameter::typed("region", ParameterKind::Text, "", "");

    const DECLARED: &[Parameter] =
        &[FLAG.untyped(), NUMBER.untyped(), LIST.untyped(), NAME.untyped(), REGION.untyped()];

    fn read(name: &str, value: impl Into<Value>) -> Result<Options> {
        let mut given = RawParameters::new();
        given.configure(name, value)?;
        Options::read(&given, DECLARED)
    }

    #[track_caller]
    fn refused(name: &str, value: impl Into<Value>, message: &str) {
        assert_eq!(read(name, value).expect_err("does not fit").to_string(), message);
    }

    #[test]
    fn values_that_fit_are_read_ok() {
        assert_eq!(read("flag", "true").unwrap().get(&FLAG), Some(&true));
        assert_eq!(read("flag", false).unwrap().get(&FLAG), Some(&false));
        assert_eq!(read("number", 900).unwrap().get(&NUMBER), Some(&900));
        assert_eq!(read("number", " 7 ").unwrap().get(&NUMBER), Some(&7));
        assert_eq!(read("list", " a , b ").unwrap().get(&LIST).unwrap(), &["a", "b"]);
        assert_eq!(read("list", vec!["a", "b"]).unwrap().get(&LIST).unwrap(), &["a", "b"]);
        assert_eq!(read("name", Value::Null).unwrap().get(&NAME), None);
        assert_eq!(read("name", "x").unwrap().get(&NAME).unwrap(), "x");
    }

    #[test]
    fn value_has_the_type_of_its_parameter() {
        let options = read("region", "us-east-2").unwrap();
        assert_eq!(options.get(&REGION).unwrap().as_str(), "us-east-2");
        let error = read("region", "mars").expect_err("no region");
        assert_eq!(error.kind(), ErrorKind::Region);
        assert!(error.to_string().starts_with("`region` does not fit: "), "{error}");
    }

    #[test]
    fn values_that_do_not_fit_are_named_wrong() {
        refused("flag", "yes", "`flag` must be `true` or `false`, not `yes`");
        refused("number", 901, "`number` must be a whole number from 0 to 900, not `901`");
        refused("number", "-1", "`number` must be a whole number from 0 to 900, not `-1`");
        refused("number", "many", "`number` must be a whole number from 0 to 900, not `many`");
        refused(
            "list",
            "a,,b",
            "`list` must be values separated by commas, not the given text of 4 characters",
        );
        refused(
            "number",
            "jane:hunter2",
            "`number` must be a whole number from 0 to 900, not the given text of 12 characters",
        );
        refused("number", vec![1], "`number` must be a single value, not a list");
        refused("name", " ", "`name` must be text that is not empty, not empty text");
    }

    #[test]
    fn values_that_are_not_given_are_missing() {
        let settings = Options::read(&RawParameters::new(), DECLARED).unwrap();

        assert_eq!(settings.get(&FLAG), None);
        assert_eq!(settings.get(&NUMBER), None);
        assert_eq!(settings.get(&LIST), None);
        assert_eq!(settings.get(&NAME), None);
    }

    #[test]
    fn code_holds_against_configuration() {
        let mut given = RawParameters::new();
        given.set("name", "prod").unwrap();

        assert!(given.configure("name", "prod").is_ok());
        let error = given.configure("name", "staging").expect_err("locked");

        assert!(error.to_string().contains("`name` is set in code"), "{error}");
        assert!(!error.to_string().contains("staging"), "{error}");
        assert!(Options::read(&given, DECLARED).unwrap().is_trusted("name"));
    }

    #[test]
    fn pem_text_is_for_maps_and_code() {
        let pem = "-----BEGIN CERTIFICATE-----";
        assert!(read("name", pem).expect_err("a string").to_string().contains("it names a file"));

        let mut given = RawParameters::new();
        given.configure_from_map("name", pem).unwrap();
        assert!(Options::read(&given, DECLARED).unwrap().is_trusted("name"));
    }

    #[test]
    fn repeated_names_and_control_characters_are_refused() {
        let mut given = RawParameters::new();
        given.configure("name", "a").unwrap();

        let error = given.configure("name", "secret").expect_err("repeated");
        assert_eq!(error.to_string(), "parameter `name` is given more than once");
        let error = given.configure("flag", "se\0cret").expect_err("control character");
        assert_eq!(error.to_string(), "parameter `flag` contains a control character");
    }
}
