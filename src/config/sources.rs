//! Where values come from: the defaults, above them the file, then the environment, then the command line.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::declaration::{Accepts, Declaration};
use super::declarations;
use super::error::ConfigurationError;
use super::value::FromValue;

/// Everything a configuration is read from. The environment is a function, so that tests need no process's own.
#[derive(Clone, Copy)]
pub struct Sources<'sources> {
    /// The file, if one is named.
    pub file: Option<&'sources Path>,
    /// Looks up an environment variable.
    pub environment: &'sources dyn Fn(&str) -> Option<String>,
    /// Settings from the command line, each `KEY=VALUE`; a later one wins.
    pub command_line: &'sources [String],
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The setting's declaration.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("the default"),
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Environment(name) => formatter.write_str(name),
            Self::CommandLine => formatter.write_str("the command line"),
        }
    }
}

/// The value of each setting that has one, within its bounds, and where it comes from.
#[derive(Debug)]
pub(super) struct Values(BTreeMap<&'static str, (Value, Origin)>);

impl Values {
    /// Reads all sources, the weakest first.
    pub(super) fn read(sources: &Sources<'_>) -> Result<Self, ConfigurationError> {
        let mut values = Self(BTreeMap::new());
        values.put_defaults()?;
        if let Some(path) = sources.file {
            let origin = Origin::File(path.into());
            values.put_table("", read_file(path)?, &origin)?;
        }
        for declaration in declarations().filter(|declaration| !declaration.is_secret()) {
            let name = declaration.environment_name();
            if let Some(text) = (sources.environment)(&name) {
                values.put_text(declaration, &text, Origin::Environment(name))?;
            }
        }
        for text in sources.command_line {
            values.put_argument(text)?;
        }
        Ok(values)
    }

    /// Returns a setting's value and its origin.
    pub(super) fn find(&self, key: &str) -> Option<&(Value, Origin)> {
        self.0.get(key)
    }

    /// Returns a setting's value in its own type.
    pub(super) fn typed<T: FromValue>(&self, key: &'static str) -> Result<T, ConfigurationError> {
        let found = self.0.get(key);
        let typed = found.map_or_else(T::unset, |(value, _)| T::from_value(value));
        typed.ok_or_else(|| match (found, declaration(key)) {
            (Some((value, origin)), Some(declaration)) => {
                refused(declaration, value, origin.clone())
            }
            _ => ConfigurationError::UnknownKey {
                origin: Origin::Default,
                key: key.into(),
            },
        })
    }

    fn put_defaults(&mut self) -> Result<(), ConfigurationError> {
        for declaration in declarations().filter(|declaration| !declaration.default.is_empty()) {
            let value: Value = declaration.default.parse().map_err(|_| {
                refused(
                    declaration,
                    &Value::String(declaration.default.into()),
                    Origin::Default,
                )
            })?;
            self.put(declaration, value, Origin::Default)?;
        }
        Ok(())
    }

    /// Puts what a table of the file sets; `prefix` is its section's, with the dot.
    fn put_table(
        &mut self,
        prefix: &str,
        table: Table,
        origin: &Origin,
    ) -> Result<(), ConfigurationError> {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            match (declaration(&key), value) {
                (Some(declaration), value) => self.put(declaration, value, origin.clone())?,
                (None, Value::Table(section)) if prefix.is_empty() && is_section(&name) => {
                    self.put_table(&format!("{key}."), section, origin)?;
                }
                (None, _) => {
                    return Err(ConfigurationError::UnknownKey {
                        origin: origin.clone(),
                        key,
                    });
                }
            }
        }
        Ok(())
    }

    fn put_argument(&mut self, text: &str) -> Result<(), ConfigurationError> {
        let origin = Origin::CommandLine;
        let Some((key, value)) = text.split_once('=') else {
            return Err(ConfigurationError::SetWithoutValue);
        };
        match declaration(key.trim()) {
            Some(declaration) => self.put_text(declaration, value.trim(), origin),
            None => Err(ConfigurationError::UnknownKey {
                origin,
                key: key.trim().into(),
            }),
        }
    }

    fn put_text(
        &mut self,
        declaration: &'static Declaration,
        text: &str,
        origin: Origin,
    ) -> Result<(), ConfigurationError> {
        let value = declaration
            .accepts
            .read(text)
            .unwrap_or_else(|| Value::String(text.into()));
        self.put(declaration, value, origin)
    }

    fn put(
        &mut self,
        declaration: &'static Declaration,
        value: Value,
        origin: Origin,
    ) -> Result<(), ConfigurationError> {
        if declaration.is_secret() {
            return Err(ConfigurationError::SecretMisplaced {
                origin,
                key: declaration.key,
                environment: declaration.environment_name(),
                key_of_file: format!("{}_file", declaration.key),
            });
        }
        if !declaration.accepts.admits(&value) {
            return Err(refused(declaration, &value, origin));
        }
        self.0.insert(declaration.key, (value, origin));
        Ok(())
    }
}

fn refused(declaration: &Declaration, value: &Value, origin: Origin) -> ConfigurationError {
    ConfigurationError::Refused {
        origin,
        key: declaration.key,
        value: value.to_string(),
        accepts: declaration.accepts,
    }
}

fn declaration(key: &str) -> Option<&'static Declaration> {
    declarations().find(|declaration| declaration.key == key)
}

fn is_section(name: &str) -> bool {
    declarations().any(|declaration| declaration.section_and_name().0 == name)
}

fn read_file(path: &Path) -> Result<Table, ConfigurationError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigurationError::FileUnreadable {
            path: path.into(),
            source,
        })?;
    text.parse().map_err(|error: toml::de::Error| {
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        ConfigurationError::FileInvalid {
            path: path.into(),
            line: before.matches('\n').count() + 1,
            problem: error.message().into(),
        }
    })
}

impl Declaration {
    fn is_secret(&self) -> bool {
        matches!(self.accepts, Accepts::Secret(_))
    }
}
