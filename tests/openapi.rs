//! The description of the interface says what is there: every path, parameter, scope and code, and the shape of real answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use avow::access::gate::Publicity;
use avow::http::openapi::DESCRIPTION;
use avow::http::routes::routes;
use reqwest::blocking::Response;
use serde_json::{Map, Value, json};
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event, with_error, with_report};
use crate::support::server::Server;

fn description() -> Value {
    serde_json::from_str(DESCRIPTION).unwrap()
}

/// Returns the operations, by path and method.
fn operations(description: &Value) -> BTreeMap<(String, String), Value> {
    let paths = description["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap();
            methods.iter().map(move |(method, operation)| {
                ((path.clone(), method.to_uppercase()), operation.clone())
            })
        })
        .collect()
}

/// Returns what a reference names, or the value itself.
fn resolved<'a>(description: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref") {
        Some(name) => {
            let pointer = name.as_str().unwrap().strip_prefix('#').unwrap();
            let found = description.pointer(pointer);
            found.unwrap_or_else(|| panic!("{name} is not there"))
        }
        None => value,
    }
}

fn parameters<'a>(description: &'a Value, operation: &'a Value) -> Vec<&'a Value> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters
        .map(|parameter| resolved(description, parameter))
        .collect()
}

fn codes_of(operation: &Value) -> BTreeSet<String> {
    let responses = operation["responses"].as_object().unwrap();
    let failures = responses.iter().filter(|(status, _)| *status != "200");
    failures
        .flat_map(|(_, response)| words_in_backticks(response["description"].as_str().unwrap()))
        .collect()
}

fn words_in_backticks(text: &str) -> Vec<String> {
    let words = text.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

#[test]
fn it_describes_every_path_and_method_and_no_other() {
    let description = description();

    let described: BTreeSet<_> = operations(&description).into_keys().collect();

    let listed = routes().into_iter().map(|at| {
        let path = at.path.replace("{place:.*}", "{place}");
        (path, at.method.to_string())
    });
    assert_eq!(described, listed.collect());
}

#[test]
fn each_path_asks_for_the_scope_that_it_is_said_to_ask_for() {
    let description = description();
    let operations = operations(&description);
    for at in routes() {
        let path = at.path.replace("{place:.*}", "{place}");
        let scope = at.gate.scope(Publicity::default());
        let expected = match scope {
            Some(scope) => json!([{ "bearer": [scope.as_str()] }]),
            None => json!([]),
        };
        let described = &operations[&(path.clone(), at.method.to_string())]["security"];
        assert_eq!(*described, expected, "{path}");
    }
}

#[test]
fn whoever_asks_by_another_method_is_told_which_ones_there_are() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let mut methods: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for at in routes() {
        let of_path = methods.entry(at.path).or_default();
        of_path.push(at.method.to_string());
    }
    for (path, methods) in methods {
        let url = server.url(&filled(path).replace("{place:.*}", "000"));
        let answer = server.client().delete(url).send().unwrap();

        assert_eq!(answer.status(), 405, "{path}");
        assert_eq!(answer.headers()["allow"], methods.join(", "), "{path}");
    }
}

#[test]
fn the_parts_of_each_path_are_its_path_parameters() {
    let description = description();
    for ((path, method), operation) in operations(&description) {
        let parts: BTreeSet<&str> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        let parameters = parameters(&description, &operation);
        let named = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path");
        let named = named.map(|parameter| parameter["name"].as_str().unwrap());
        assert_eq!(named.collect::<BTreeSet<_>>(), parts, "{method} {path}");
    }
}

#[test]
fn each_query_parameter_is_known_where_it_is_described_and_others_are_refused() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let description = description();
    for ((path, method), operation) in operations(&description) {
        let refuses = codes_of(&operation).contains("parameter_unknown");
        if method != "GET" || !refuses {
            continue;
        }
        let path = filled(&path);
        let unknown = server.get_plain(&format!("{path}?nobody_knows_this=1"));
        assert_eq!(code(unknown), "parameter_unknown", "{path}");
        for parameter in parameters(&description, &operation) {
            if parameter["in"] == "query" {
                let name = parameter["name"].as_str().unwrap();
                let value = example(&parameter["schema"]);
                let answer = server.get_plain(&format!("{path}?{name}={value}"));
                assert_ne!(code(answer), "parameter_unknown", "{path} {name}");
            }
        }
    }
}

/// Returns a path with something in each of its braces.
fn filled(path: &str) -> String {
    path.replace("{id}", "vs_1")
        .replace("{sequence}", "0")
        .replace("{place}", "000")
}

fn example(schema: &Value) -> String {
    match (schema["enum"].get(0), schema["type"].as_str().unwrap()) {
        (Some(word), _) => word.as_str().unwrap().to_owned(),
        (None, "integer") => "1".to_owned(),
        (None, "boolean") => "false".to_owned(),
        (None, _) => String::new(),
    }
}

/// Returns the code of an answer that is an error.
fn code(answer: Response) -> String {
    let body: Value = answer.json().unwrap_or_default();
    body["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn each_code_that_is_described_is_one_that_is_answered_and_documented() {
    let description = description();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for folder in ["src/http", "src/stripe"] {
        read_sources(&root.join(folder), &mut sources);
    }
    let listed: BTreeSet<String> =
        serde_json::from_value(description["components"]["schemas"]["ErrorCode"]["enum"].clone())
            .unwrap();

    for code in &listed {
        assert!(sources.contains(&format!("\"{code}\"")), "{code}");
    }
    let mut described: BTreeSet<String> = operations(&description)
        .values()
        .flat_map(codes_of)
        .collect();
    // Any path may be asked for by another method, and any other path.
    described.extend(["method_not_allowed", "path_unknown"].map(str::to_owned));
    assert_eq!(described, listed);
}

fn read_sources(path: &Path, sources: &mut String) {
    if path.is_dir() {
        for file in fs::read_dir(path).unwrap() {
            read_sources(&file.unwrap().path(), sources);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        sources.push_str(&fs::read_to_string(path).unwrap());
    }
}

#[test]
fn real_answers_have_the_shape_that_is_described() {
    let directory = tempdir().unwrap();
    let server = Server::start_with(directory.path(), |settings| {
        settings.default_world.livemode = false;
    });
    tell_a_story(&server);
    let description = description();
    let words = json!({ "actor": "an operator", "reason": "a test" });
    let grant = json!({ "action": "grant", "attempts": 1, "actor": "a", "reason": "r" });
    let manifest = json!({ "manifest_sha256": "b5".repeat(32) });
    #[rustfmt::skip]
    let rows = [
        ("GET",  "/v1/users/{id}",              "/v1/users/user_1",              None),
        ("GET",  "/v1/users/{id}",              "/v1/users/user_2",              None),
        ("GET",  "/v1/users/{id}/explain",      "/v1/users/user_1/explain",      None),
        ("GET",  "/v1/users",                   "/v1/users",                     None),
        ("GET",  "/v1/sessions",                "/v1/sessions?as_of=2",          None),
        ("POST", "/v1/users/{id}/overrides",    "/v1/users/user_1/overrides",    Some(&grant)),
        ("GET",  "/v1/users/{id}/overrides",    "/v1/users/user_1/overrides",    None),
        ("GET",  "/v1/users/{id}",              "/v1/users/user_1",              None),
        ("GET",  "/v1/sessions/{id}",           "/v1/sessions/vs_1",             None),
        ("GET",  "/v1/sessions/{id}",           "/v1/sessions/vs_2",             None),
        ("GET",  "/v1/sessions/{id}/history",   "/v1/sessions/vs_1/history",     None),
        ("GET",  "/v1/sessions",                "/v1/sessions",                  None),
        ("POST", "/v1/sessions/{id}/hold",      "/v1/sessions/vs_2/hold",        Some(&words)),
        ("POST", "/v1/sessions/{id}/erase",     "/v1/sessions/vs_2/erase",       Some(&words)),
        ("GET",  "/v1/sessions/{id}",           "/v1/sessions/vs_2",             None),
        ("POST", "/v1/sessions/{id}/release",   "/v1/sessions/vs_2/release",     Some(&words)),
        ("POST", "/v1/sessions/{id}/erase",     "/v1/sessions/vs_1/erase",       Some(&words)),
        ("GET",  "/v1/anomalies",               "/v1/anomalies",                 None),
        ("GET",  "/v1/digest",                  "/v1/digest",                    None),
        ("GET",  "/v1/log",                     "/v1/log",                       None),
        ("POST", "/v1/log/exports",             "/v1/log/exports",               Some(&manifest)),
        ("GET",  "/healthz",                    "/healthz",                      None),
        ("GET",  "/readyz",                     "/readyz",                       None),
        ("GET",  "/openapi.json",               "/openapi.json",                 None),
        ("GET",  "/v1/users/{id}",              "/v1/users/nobody",              None),
        ("GET",  "/v1/users",                   "/v1/users?limit=0",             None),
        ("POST", "/v1/sessions/{id}/erase",     "/v1/sessions/vs_1/erase",       Some(&manifest)),
        ("GET",  "/v1/log/entries/{sequence}",  "/v1/log/entries/0",             None),
    ];
    for (method, path, asked, body) in rows {
        let url = server.url(asked);
        let answer = match (method, body) {
            ("GET", _) => server.client().get(url).send(),
            (_, Some(body)) => server.client().post(url).json(body).send(),
            (_, None) => server.client().post(url).send(),
        };
        let answer = answer.unwrap();
        let status = answer.status().as_u16().to_string();
        let body: Value = answer.json().unwrap();

        let operation = &description["paths"][path][method.to_lowercase()];
        let response = &operation["responses"][&status];
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {asked} answers {status}");
        if let Err(problem) = conforms(&description, schema, &body) {
            panic!("{method} {asked}: {problem}\n{body:#}");
        }
        let code = body["error"]["code"].as_str();
        assert!(
            code.is_none_or(|code| codes_of(operation).contains(code)),
            "{body}"
        );
    }
}

/// Delivers events of every kind, so that answers have something in each of their parts.
fn tell_a_story(server: &Server) {
    let failed = with_report(
        with_error(
            event("evt_2", "vs_1", "user_1", "requires_input", 30),
            "document_expired",
        ),
        "vr_1",
    );
    let other = with_report(event("evt_1", "vs_1", "user_1", "verified", 20), "vr_1");
    for delivery in [
        Delivery::event(&event("evt_1", "vs_1", "user_1", "created", 10)),
        Delivery::event(&failed),
        Delivery::event(&other),
        Delivery::event(&event("evt_3", "vs_2", "user_2", "verified", 40)),
        Delivery::of("no JSON"),
    ] {
        server.record(&delivery);
    }
    // An entry is shown once a checkpoint covers it.
    while server.get_plain("/v1/log/entries/4").status() == 404 {
        std::thread::yield_now();
    }
}

/// Holds a value against a schema, of the few words that the description uses; any other word is a failure.
fn conforms(description: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolved(description, schema);
    let words = schema.as_object().unwrap();
    for (word, said) in words {
        match word.as_str() {
            "description" | "minLength" | "maxLength" | "minimum" => Ok(()),
            "type" => is_of_type(said, value),
            "enum" => said
                .as_array()
                .unwrap()
                .contains(value)
                .then_some(())
                .ok_or_else(|| format!("{value} is none of {said}")),
            "required" => has_all(said, value),
            "properties" => members_conform(description, words, value),
            "additionalProperties" => others_conform(description, words, value),
            "items" => value.as_array().into_iter().flatten().try_for_each(|item| {
                conforms(description, said, item).map_err(|problem| format!("[]: {problem}"))
            }),
            "oneOf" => {
                let choices = said.as_array().unwrap().iter();
                let fits = choices.filter(|choice| conforms(description, choice, value).is_ok());
                match fits.count() {
                    1 => Ok(()),
                    count => Err(format!("{count} of {said} fit {value}")),
                }
            }
            other => Err(format!("`{other}` is not looked at")),
        }?;
    }
    Ok(())
}

fn is_of_type(types: &Value, value: &Value) -> Result<(), String> {
    let of_type = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    let is = match types.as_array() {
        Some(types) => types.iter().any(|name| of_type(name.as_str().unwrap())),
        None => of_type(types.as_str().unwrap()),
    };
    is.then_some(())
        .ok_or_else(|| format!("{value} is no {types}"))
}

fn has_all(names: &Value, value: &Value) -> Result<(), String> {
    let mut missing = names
        .as_array()
        .unwrap()
        .iter()
        .filter(|name| value.is_object() && value.get(name.as_str().unwrap()).is_none());
    match missing.next() {
        None => Ok(()),
        Some(name) => Err(format!("{name} is missing")),
    }
}

fn members_conform(
    description: &Value,
    schema: &Map<String, Value>,
    value: &Value,
) -> Result<(), String> {
    for (name, schema) in schema["properties"].as_object().unwrap() {
        if let Some(member) = value.get(name) {
            conforms(description, schema, member)
                .map_err(|problem| format!("{name}: {problem}"))?;
        }
    }
    Ok(())
}

fn others_conform(
    description: &Value,
    schema: &Map<String, Value>,
    value: &Value,
) -> Result<(), String> {
    let known = schema.get("properties").and_then(Value::as_object);
    let others = value.as_object().into_iter().flatten();
    for (name, member) in
        others.filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)))
    {
        match schema["additionalProperties"].as_bool() {
            Some(true) => {}
            Some(false) => return Err(format!("{name} is not described")),
            None => conforms(description, &schema["additionalProperties"], member)?,
        }
    }
    Ok(())
}
