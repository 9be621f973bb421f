//! The declarations as people read them: the reference in Markdown, and the effective configuration as TOML.

use std::iter;

use super::declaration::{Accepts, Declaration};
use super::declarations;
use super::error::ConfigurationError;
use super::secrets;
use super::settings::{SECTIONS, Settings};
use super::sources::{Sources, Values};

const INTRODUCTION: &str = "\
# Configuration

This page is printed by `avow config --reference`, from the same declarations that are parsed.

A setting is taken from the first of these that has it:

1. the command line: `--data-dir DIR`, `--listen ADDRESS`, and `--set KEY=VALUE` for every setting
2. the environment variable that is named with it
3. the TOML file named by `--config FILE` or `AVOW_CONFIG`
4. its default

A value out of bounds is refused, and so is an unknown key of the file or the command line, by name; a variable that
names no setting is not noticed. Relative paths are taken from the working directory. `avow config` prints the
configuration that is in effect, where each value comes from, and whether `avow serve` accepts it. The two secrets come
from their environment variable or from a file of their own, and from nowhere else.
";

/// Returns the reference of all settings, in Markdown.
pub fn markdown() -> String {
    let sections = SECTIONS.iter().map(|(name, doc)| section(name, doc));
    iter::once(INTRODUCTION.to_owned())
        .chain(sections)
        .collect()
}

fn section(name: &str, doc: &str) -> String {
    let title = match name {
        "" => "Before all sections".to_owned(),
        name => format!("`[{name}]`"),
    };
    let heading = format!("\n## {title}\n\n{}\n", unindented(doc));
    iter::once(heading)
        .chain(of_section(name).map(entry))
        .collect()
}

fn entry(declaration: &Declaration) -> String {
    let default = match (declaration.accepts, declaration.default) {
        (Accepts::Secret(_), _) => "Never in the file or on the command line".to_owned(),
        (_, "") => "Default: none".to_owned(),
        (_, default) => format!("Default: `{default}`"),
    };
    format!(
        "\n### `{}`\n\n{}\n\n- {default}\n- Accepts {}\n- Environment: `{}`\n",
        declaration.key,
        unindented(declaration.doc),
        declaration.accepts,
        declaration.environment_name(),
    )
}

/// Returns the configuration in effect as TOML that can be used as a file; each value says where it comes from.
pub fn effective(sources: &Sources<'_>) -> Result<String, ConfigurationError> {
    let values = Values::read(sources)?;
    let settings = Settings::from_values(&values)?;
    let line = |declaration: &'static Declaration| {
        let name = declaration.section_and_name().1;
        match (declaration.accepts, values.find(declaration.key)) {
            (Accepts::Secret(_), _) => {
                let description = secrets::describe(declaration, &settings, sources);
                format!("# {name}: {description}\n")
            }
            (_, Some((value, origin))) => format!("{name} = {value} # {origin}\n"),
            (_, None) => format!("# {name}: not set\n"),
        }
    };
    let lines = SECTIONS.iter().flat_map(|(name, _)| {
        let heading = if name.is_empty() {
            String::new()
        } else {
            format!("\n[{name}]\n")
        };
        iter::once(heading).chain(of_section(name).map(line))
    });
    Ok(lines.collect())
}

fn of_section(name: &str) -> impl Iterator<Item = &'static Declaration> {
    declarations().filter(move |declaration| declaration.section_and_name().0 == name)
}

/// Doc comments keep the space after `///`.
fn unindented(doc: &str) -> String {
    let lines = doc
        .trim_end()
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}
