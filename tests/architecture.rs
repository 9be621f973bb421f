//! The house keeps its shape: a floor names no higher floor, and only the outer ones read clock, environment and
//! chance. Sources are read as the compiler's tokens, so that no comment and no string is taken for code.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The top-level modules of `src/`, from the lowest floor to the highest; a floor may name itself and those before
/// it. The command line stands above the server because it starts one.
const FLOORS: [&str; 16] = [
    "stripe",
    "transparency",
    "access",
    "log",
    "projections",
    "service",
    "system",
    "tls",
    "http",
    "client",
    "config",
    "witness",
    "audit",
    "doctor",
    "cli",
    "main",
];

/// The lowest floor that may read a clock, the environment or a random source, and be async: it hands them down.
const LOWEST_OUTER_FLOOR: &str = "system";

const LINES_MAX: usize = 300;

/// What tells that a file reads what has to be handed in: consecutive segments of a path.
const UNTOLD: [&[&str]; 13] = [
    &["SystemTime", "now"],
    &["Instant", "now"],
    &["Utc", "now"],
    &["Local", "now"],
    &["std", "env"],
    &["Uuid", "now_v7"],
    &["Uuid", "new_v4"],
    &["getrandom"],
    &["rand"],
    &["fastrand"],
    &["OsRng"],
    &["SysRng"],
    &["RandomState"],
];

#[test]
fn the_house_keeps_its_shape() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for sources in ["src", "state-machine/src"] {
        rust_files(&root.join(sources), &mut files);
    }

    let offences: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let path = file.strip_prefix(root).unwrap().to_str().unwrap();
            offences(path, &fs::read_to_string(file).unwrap())
        })
        .collect();

    assert!(
        files.len() > 10,
        "only {} source files were found",
        files.len()
    );
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn the_state_machine_needs_neither_std_nor_any_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("state-machine");

    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let library = fs::read_to_string(root.join("src/lib.rs")).unwrap();

    assert!(!manifest.contains_key("dependencies") && !manifest.contains_key("target"));
    assert!(library.lines().any(|line| line == "#![no_std]"));
}

#[test]
fn a_file_that_breaks_a_rule_is_found() {
    let long = "fn f() {}\n".repeat(LINES_MAX + 1);
    #[rustfmt::skip]
    let rows = [
        ("src/stripe/decode.rs",       "use crate::log::entry::Entry;",                  "names the higher floor log"),
        ("src/stripe/decode.rs",       "use crate::{stripe::secret, http};",             "names the higher floor http"),
        ("src/stripe/decode.rs",       "use super::super::cli;",                         "names the higher floor cli"),
        ("src/stripe/mod.rs",          "use super::{log::{self, entry}};",               "names the higher floor log"),
        ("src/log/mod.rs",             "fn f() { crate::service::ingest() }",            "names the higher floor service"),
        ("src/log/mod.rs",             "macro_rules! m { () => { $crate::http::f() } }", "names the higher floor http"),
        ("src/service.rs",             "use avow::http;",                                "names the higher floor http"),
        ("src/service.rs",             "use crate::*;",                                  "names the whole crate"),
        ("src/http/mod.rs",            "use crate::config::Configuration;",              "names the higher floor config"),
        ("src/metrics.rs",             "",                                               "stands on no floor"),
        ("src/service.rs",             "fn f() { std::time::SystemTime::now(); }",       "reads SystemTime::now"),
        ("src/log/mod.rs",             "fn f() { let start = Instant::now(); }",         "reads Instant::now"),
        ("src/log/mod.rs",             "use std::{env, fs};",                            "reads std::env"),
        ("src/log/mod.rs",             "fn f() { getrandom::fill(b); }",                 "reads getrandom"),
        ("src/log/mod.rs",             "fn f() { uuid::Uuid::now_v7(); }",               "reads Uuid::now_v7"),
        ("src/projections/mod.rs",     "async fn f() {}",                                "is async"),
        ("src/projections/mod.rs",     "fn f() { spawn(async move {}) }",                "is async"),
        ("state-machine/src/retry.rs", "use std::vec::Vec;",                             "names std"),
        ("state-machine/src/lib.rs",   "extern crate std;",                              "names std"),
        ("src/service.rs",             "const USERS: &str = \"/v1/users\";",             "lists the path \"/v1/users\""),
        ("src/http/mod.rs",            &long,                                            "has 301 lines"),
    ];
    for (path, text, rule) in rows {
        assert_eq!(offences(path, text), [format!("{path}: {rule}")], "{text}");
    }
}

#[test]
fn a_file_that_breaks_no_rule_is_left_alone() {
    let tests = format!(
        "#[cfg(test)]\nmod tests {{\n{}}}\n",
        "    use crate::http;\n".repeat(LINES_MAX)
    );
    let rows = [
        (
            "src/stripe/decode.rs",
            "use super::secret::Secret; use crate::stripe::json; pub(crate) fn f() {}",
        ),
        (
            "src/log/mod.rs",
            "// crate::http\n/* std::env */ /// crate::cli\nfn f() -> &'static str { \"crate::http\" }",
        ),
        (
            "src/log/mod.rs",
            "use crate::stripe::decode; use super::log; fn f(now: Now) { now.now() }",
        ),
        (
            "src/http/routes.rs",
            "async fn f() { SystemTime::now(); } const USERS: &str = \"/v1/users\";",
        ),
        (
            "src/cli/serve.rs",
            "use crate::{config, http, service}; const HELP: &str = \"see /v1/users\";",
        ),
        ("src/main.rs", "use avow::cli;"),
        ("src/lib.rs", "pub mod http; pub mod cli;"),
        ("src/log/mod.rs", &tests),
        (
            "state-machine/src/retry.rs",
            "use alloc::vec::Vec; use core::fmt; use crate::id::SessionId;",
        ),
    ];
    for (path, text) in rows {
        assert_eq!(offences(path, text), [""; 0], "{text}");
    }
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Returns every rule that the file at `path` breaks, each once.
fn offences(path: &str, text: &str) -> Vec<String> {
    let code = Code::read(text.parse().unwrap());
    let mut offences = match path.strip_prefix("src/") {
        Some(inside) => offences_of_floor(inside, &code),
        None => code
            .paths
            .iter()
            .filter(|path| path[0] == "std")
            .map(|_| "names std".to_owned())
            .collect(),
    };
    let lines = lines_without_tests(text);
    if lines > LINES_MAX {
        offences.push(format!("has {lines} lines"));
    }
    offences.sort();
    offences.dedup();
    offences
        .iter()
        .map(|offence| format!("{path}: {offence}"))
        .collect()
}

fn offences_of_floor(path: &str, code: &Code) -> Vec<String> {
    let module_path: Vec<&str> = path
        .trim_end_matches(".rs")
        .split('/')
        .filter(|name| *name != "mod")
        .collect();
    // The library's root lists the floors, and stands on none.
    if module_path == ["lib"] {
        return Vec::new();
    }
    let height = |module: &str| FLOORS.iter().position(|floor| *floor == module);
    let Some(own_height) = height(module_path[0]) else {
        return vec!["stands on no floor".to_owned()];
    };

    let mut offences = Vec::new();
    for named in code
        .paths
        .iter()
        .filter_map(|path| module_of_crate(path, module_path.len()))
    {
        if named == "*" {
            offences.push("names the whole crate".to_owned());
        } else if height(named).is_some_and(|height| height > own_height) {
            offences.push(format!("names the higher floor {named}"));
        }
    }
    if Some(own_height) < height(LOWEST_OUTER_FLOOR) {
        let names = |segments: &[&str]| code.paths.iter().any(|path| contains(path, segments));
        let untold = UNTOLD.iter().filter(|segments| names(segments));
        offences.extend(untold.map(|segments| format!("reads {}", segments.join("::"))));
        offences.extend(names(&["async"]).then(|| "is async".to_owned()));
    }
    // A command names what it asks a server for; that a path exists is said by `routes()` alone.
    if !["http", "cli"].contains(&module_path[0]) {
        let routes = code
            .literals
            .iter()
            .filter(|literal| literal.starts_with("\"/v1/"));
        offences.extend(routes.map(|literal| format!("lists the path {literal}")));
    }
    offences
}

/// Returns the top-level module that `path` names from a file `depth` modules deep.
fn module_of_crate(path: &[String], depth: usize) -> Option<&str> {
    let supers = path
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    let to_root = match path[0].as_str() {
        "crate" | "avow" => 1,
        "super" if supers >= depth => supers,
        _ => return None,
    };
    path.get(to_root).map(String::as_str)
}

fn contains(path: &[String], segments: &[&str]) -> bool {
    path.windows(segments.len())
        .any(|window| window == segments)
}

/// What a source text names, without its comments and inline tests.
#[derive(Default)]
struct Code {
    /// Every path, those of `use` trees one by one; a lone word is a path too.
    paths: Vec<Vec<String>>,
    literals: Vec<String>,
}

impl Code {
    fn read(stream: TokenStream) -> Self {
        let mut code = Self::default();
        code.read_trees(&stream.into_iter().collect::<Vec<_>>());
        code
    }

    fn read_trees(&mut self, mut trees: &[TokenTree]) {
        while let Some((tree, rest)) = trees.split_first() {
            trees = match tree {
                TokenTree::Ident(_) => self.read_path(Vec::new(), trees),
                TokenTree::Punct(_) => after_doc_or_tests(trees).unwrap_or(rest),
                TokenTree::Literal(literal) => {
                    self.literals.push(literal.to_string());
                    rest
                }
                TokenTree::Group(group) => {
                    self.read_trees(&group.stream().into_iter().collect::<Vec<_>>());
                    rest
                }
            };
        }
    }

    /// Reads the path that starts here and continues `path`, and returns what stands behind it.
    fn read_path<'trees>(
        &mut self,
        mut path: Vec<String>,
        trees: &'trees [TokenTree],
    ) -> &'trees [TokenTree] {
        match trees {
            [TokenTree::Group(group), rest @ ..] if group.delimiter() == Delimiter::Brace => {
                let branches: Vec<TokenTree> = group.stream().into_iter().collect();
                for branch in branches.split(|tree| is_punct(tree, ',')) {
                    self.read_path(path.clone(), branch);
                }
                rest
            }
            [
                segment @ (TokenTree::Ident(_) | TokenTree::Punct(_)),
                rest @ ..,
            ] => {
                path.push(segment.to_string());
                match rest {
                    [first, second, rest @ ..] if is_punct(first, ':') && is_punct(second, ':') => {
                        self.read_path(path, rest)
                    }
                    _ => {
                        self.paths.push(path);
                        rest
                    }
                }
            }
            _ => {
                self.paths.push(path);
                trees
            }
        }
    }
}

fn is_punct(tree: &TokenTree, character: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == character)
}

/// Returns what stands behind a doc comment, or behind an inline module of tests, if one starts here.
fn after_doc_or_tests(trees: &[TokenTree]) -> Option<&[TokenTree]> {
    let (attribute, rest) = match trees {
        [hash, TokenTree::Group(attribute), rest @ ..] if is_punct(hash, '#') => (attribute, rest),
        [hash, bang, TokenTree::Group(attribute), rest @ ..]
            if is_punct(hash, '#') && is_punct(bang, '!') =>
        {
            (attribute, rest)
        }
        _ => return None,
    };
    let attribute = attribute.stream().to_string();
    match rest {
        _ if attribute.starts_with("doc") => Some(rest),
        [
            TokenTree::Ident(keyword),
            TokenTree::Ident(_),
            TokenTree::Group(_),
            rest @ ..,
        ] if attribute == "cfg (test)" && keyword == "mod" => Some(rest),
        _ => None,
    }
}

/// Counts the lines outside inline modules of tests, which end at the first unindented brace.
fn lines_without_tests(text: &str) -> usize {
    let mut in_tests = false;
    let mut count = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        in_tests |=
            line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod "));
        count += usize::from(!in_tests);
        in_tests &= line != "}";
    }
    count
}
