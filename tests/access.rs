//! Access: who passes which gate, with which token, and what the others are told.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use avow::access::gate::{Gate, Publicity};
use avow::access::scope::Scope;
use avow::http::routes::routes;
use reqwest::Method;
use reqwest::blocking::{Client, Response};
use serde_json::Value;
use tempfile::tempdir;

use crate::support::access::{Guarded, create, guarded, tokens};
use crate::support::delivery::{Delivery, event};
use crate::support::process::{Process, serve};

/// Returns the ids of the tokens of a data directory, in the order in which they were made.
fn ids(data: &Path) -> Vec<String> {
    let output = tokens(data, &["list", "--json"]);
    let listed: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    listed
        .iter()
        .map(|token| token["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Asks for a path with a token, or without.
fn ask(server: &Process, method: &Method, path: &str, token: Option<&str>) -> Response {
    static CLIENT: LazyLock<Client> = LazyLock::new(Client::new);
    let mut request = CLIENT.request(method.clone(), format!("{}{path}", server.url()));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().unwrap()
}

fn get(server: &Process, path: &str, token: Option<&str>) -> Response {
    ask(server, &Method::GET, path, token)
}

/// Asks for users until the answer has this status: a change of a file is noticed within a moment.
fn wait_for_status(server: &Process, token: Option<&str>, status: u16) {
    while get(server, "/v1/users", token).status() != status {
        std::thread::yield_now();
    }
}

fn error_of(response: Response) -> Value {
    response.json::<Value>().unwrap()["error"].clone()
}

/// What a request is answered: `+` if it passes the gate, else the status.
fn passes(response: &Response) -> &'static str {
    match response.status().as_u16() {
        401 => "401",
        403 => "403",
        _ => "+",
    }
}

/// Every path, and how requests without a token, and with one of each scope, fare.
#[rustfmt::skip]
const GATES: &[(&str, &str, [&str; 4])] = &[
    //                                                    none   read   audit  operate
    ("POST", "/webhooks/stripe",                         ["+",   "+",   "+",   "+"]),
    ("GET",  "/v1/users",                                ["401", "+",   "+",   "+"]),
    ("GET",  "/v1/users/{id}",                           ["401", "+",   "+",   "+"]),
    ("GET",  "/v1/users/{id}/explain",                   ["401", "+",   "+",   "+"]),
    ("GET",  "/v1/users/{id}/overrides",                 ["401", "+",   "+",   "+"]),
    ("POST", "/v1/users/{id}/overrides",                 ["401", "403", "403", "+"]),
    ("GET",  "/v1/sessions",                             ["401", "+",   "+",   "+"]),
    ("GET",  "/v1/sessions/{id}",                        ["401", "+",   "+",   "+"]),
    ("GET",  "/v1/sessions/{id}/history",                ["401", "+",   "+",   "+"]),
    ("POST", "/v1/sessions/{id}/erase",                  ["401", "403", "403", "+"]),
    ("POST", "/v1/sessions/{id}/hold",                   ["401", "403", "403", "+"]),
    ("POST", "/v1/sessions/{id}/release",                ["401", "403", "403", "+"]),
    ("GET",  "/v1/anomalies",                            ["401", "+",   "+",   "+"]),
    ("GET",  "/v1/digest",                               ["401", "+",   "+",   "+"]),
    ("GET",  "/v1/rebuilds",                             ["401", "403", "403", "+"]),
    ("POST", "/v1/rebuilds",                             ["401", "403", "403", "+"]),
    ("GET",  "/v1/rebuilds/{id}",                        ["401", "403", "403", "+"]),
    ("POST", "/v1/rebuilds/{id}/cancel",                 ["401", "403", "403", "+"]),
    ("GET",  "/v1/log",                                  ["401", "403", "+",   "403"]),
    ("GET",  "/v1/log/checkpoints",                      ["401", "403", "+",   "403"]),
    ("POST", "/v1/log/exports",                          ["401", "403", "+",   "403"]),
    ("GET",  "/v1/log/entries/{sequence}",               ["401", "403", "+",   "403"]),
    ("GET",  "/v1/log/entries/{sequence}/proof",         ["401", "403", "+",   "403"]),
    ("GET",  "/v1/log/payloads/{place:.*}",              ["401", "403", "+",   "403"]),
    ("GET",  "/checkpoint",                              ["401", "403", "+",   "403"]),
    ("GET",  "/tile/entries/{place:.*}",                 ["401", "403", "+",   "403"]),
    ("GET",  "/tile/{place:.*}",                         ["401", "403", "+",   "403"]),
    ("GET",  "/metrics",                                 ["401", "+",   "+",   "+"]),
    ("GET",  "/openapi.json",                            ["+",   "+",   "+",   "+"]),
    ("GET",  "/healthz",                                 ["+",   "+",   "+",   "+"]),
    ("GET",  "/readyz",                                  ["+",   "+",   "+",   "+"]),
];

/// Returns a path with something in each of its braces.
fn filled(path: &str) -> String {
    path.replace("{id}", "vs_1")
        .replace("{sequence}", "0")
        .replace("{place:.*}", "000")
}

#[test]
fn every_path_has_its_row_in_the_table_of_gates() {
    let listed: Vec<(String, &str)> = routes()
        .iter()
        .map(|at| (at.method.to_string(), at.path))
        .collect();

    let rows: Vec<(String, &str)> = GATES
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), *path))
        .collect();
    assert_eq!(listed, rows);
}

#[test]
fn each_path_admits_the_scopes_of_its_row_and_nobody_else() {
    let Guarded {
        server,
        data: _data,
        read,
        audit,
        operate,
    } = guarded(&[]);
    let tokens = [None, Some(&*read), Some(&*audit), Some(&*operate)];

    for (method, path, row) in GATES {
        let method: Method = method.parse().unwrap();
        let answers = tokens.map(|token| ask(&server, &method, &filled(path), token));
        assert_eq!(answers.each_ref().map(passes), *row, "{method} {path}");
    }
}

#[test]
fn a_token_of_two_scopes_passes_what_either_passes() {
    let Guarded { server, data, .. } = guarded(&[]);
    let both = create(data.path(), "audit,operate", &[]);
    wait_for_status(&server, Some(&both), 200);

    assert_eq!(get(&server, "/v1/log", Some(&both)).status(), 200);
    let erasure = ask(
        &server,
        &Method::POST,
        "/v1/sessions/vs_1/erase",
        Some(&both),
    );
    assert_eq!(passes(&erasure), "+");
}

#[test]
fn who_is_not_admitted_is_told_what_is_missing_and_nothing_else() {
    let Guarded {
        server,
        data: _data,
        read,
        ..
    } = guarded(&[]);
    let forged = format!("avow_{}", "0".repeat(72));
    let rows = [
        (
            None,
            401,
            "token_missing",
            "Bearer realm=\"avow\"",
            "this needs a token; send `Authorization: Bearer TOKEN`",
        ),
        (
            Some(&*forged),
            401,
            "token_invalid",
            "Bearer realm=\"avow\", error=\"invalid_token\"",
            "this token is not valid here",
        ),
        (
            Some("swordfish"),
            401,
            "token_invalid",
            "Bearer realm=\"avow\", error=\"invalid_token\"",
            "this token is not valid here",
        ),
        (
            Some(&*read),
            403,
            "scope_missing",
            "Bearer realm=\"avow\", error=\"insufficient_scope\", scope=\"operate\"",
            "this needs a token with the scope `operate`",
        ),
    ];

    for (token, status, code, challenge, message) in rows {
        let answer = ask(&server, &Method::POST, "/v1/sessions/vs_1/erase", token);
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["www-authenticate"], challenge);
        assert!(answer.headers().contains_key("request-id"));
        let error = error_of(answer);
        assert_eq!(
            (&error["code"], &error["message"]),
            (&code.into(), &message.into())
        );
    }
}

#[test]
fn whether_something_exists_is_told_to_nobody_without_a_token() {
    let Guarded {
        server,
        data: _data,
        read,
        ..
    } = guarded(&[]);
    let recorded = server
        .deliver(&Delivery::event(&event(
            "evt_1", "vs_1", "user_1", "created", 10,
        )))
        .unwrap();
    assert_eq!(recorded.status(), 200);

    for (path, with_token) in [("/v1/users/user_1", 200), ("/v1/users/user_2", 404)] {
        let refusal = get(&server, path, None);
        assert_eq!(refusal.status(), 401, "{path}");
        assert_eq!(error_of(refusal)["code"], "token_missing");
        assert_eq!(get(&server, path, Some(&read)).status(), with_token);
    }
}

#[test]
fn a_path_or_a_method_that_is_not_there_is_not_there_with_a_token_and_without() {
    let Guarded {
        server,
        data: _data,
        read,
        ..
    } = guarded(&[]);
    let rows = [
        (Method::GET, "/nowhere", 404, "path_unknown"),
        (Method::GET, "/v1", 404, "path_unknown"),
        (Method::GET, "/v1/users/", 404, "path_unknown"),
        (Method::DELETE, "/v1/users", 405, "method_not_allowed"),
    ];

    for (method, path, status, code) in rows {
        for token in [None, Some(&*read), Some("swordfish")] {
            let answer = ask(&server, &method, path, token);
            assert_eq!(answer.status(), status, "{method} {path}");
            assert_eq!(error_of(answer)["code"], code, "{method} {path}");
        }
    }
}

#[test]
fn the_header_is_read_as_its_specification_has_it() {
    let Guarded {
        server,
        data: _data,
        read,
        ..
    } = guarded(&[]);
    let rows = [
        (vec![format!("Bearer {read}")], 200),
        (vec![format!("bearer {read}")], 200),
        (vec![format!("Bearer  {read}")], 200),
        (vec![format!("Bearer {read} ")], 200),
        (vec![read.clone()], 401),
        (vec![format!("Bearer{read}")], 401),
        (vec![format!("Basic {read}")], 401),
        (vec![format!("Bearer {}", read.to_uppercase())], 401),
        (vec![format!("Bearer {}", &read[..76])], 401),
        (vec![format!("Bearer {read}0")], 401),
        (vec![format!("Bearer {read},Bearer {read}")], 401),
        (
            vec![format!("Bearer {read}"), format!("Bearer {read}")],
            401,
        ),
        (vec![String::new()], 401),
    ];

    for (values, status) in rows {
        let mut request = Client::new().get(format!("{}/v1/users", server.url()));
        for value in &values {
            request = request.header("authorization", value);
        }
        assert_eq!(request.send().unwrap().status(), status, "{values:?}");
    }
}

#[test]
fn evidence_may_be_public_and_what_shows_more_than_the_log_proves_is_not() {
    let Guarded {
        server,
        data: _data,
        audit,
        ..
    } = guarded(&["access.public_evidence=true"]);
    let recorded = server
        .deliver(&Delivery::event(&event(
            "evt_1", "vs_1", "user_1", "created", 10,
        )))
        .unwrap();
    assert_eq!(recorded.status(), 200);

    for (method, path, row) in GATES.iter().filter(|(_, _, row)| row[3] == "403") {
        let gate = routes()
            .into_iter()
            .find(|at| at.path == *path && at.method == *method)
            .unwrap()
            .gate;
        let expected = if gate == Gate::Evidence { "+" } else { row[0] };
        let answer = ask(&server, &method.parse().unwrap(), &filled(path), None);
        assert_eq!(passes(&answer), expected, "{path}");
    }
    // Whoever shows a token where none is needed is not asked about it.
    assert_eq!(get(&server, "/checkpoint", Some("swordfish")).status(), 200);
    assert_eq!(get(&server, "/checkpoint", Some(&audit)).status(), 200);
}

#[test]
fn metrics_need_a_token_to_read_with_unless_they_are_public() {
    let public = |metrics| Publicity {
        metrics,
        evidence: false,
    };

    assert_eq!(Gate::Metrics.scope(public(false)), Some(Scope::Read));
    assert_eq!(Gate::Metrics.scope(public(true)), None);
}

#[test]
fn without_tokens_this_machine_is_admitted_to_everything_and_start_up_says_so() {
    let data = tempdir().unwrap();
    let server = Process::start(data.path());

    for (method, path, _) in GATES {
        let answer = ask(&server, &method.parse().unwrap(), &filled(path), None);
        assert_eq!(passes(&answer), "+", "{path}");
    }
    assert!(
        server.said().contains("there are no access tokens"),
        "{}",
        server.said()
    );
}

#[test]
fn without_tokens_no_other_machine_is_served() {
    let data = tempdir().unwrap();
    let on_the_network = || {
        let mut command = serve(data.path());
        command.arg("--set=listen=0.0.0.0:0");
        Process::of(command)
    };

    let refused = on_the_network().err().expect("it does not serve");
    let token = create(data.path(), "read", &[]);
    let guarded = on_the_network().unwrap();

    assert_eq!(refused.status.code(), Some(2));
    assert!(
        refused
            .stderr
            .contains("make a token with `avow tokens create`"),
        "{}",
        refused.stderr
    );
    let url = guarded.url().replace("0.0.0.0", "127.0.0.1");
    let answer = Client::new()
        .get(format!("{url}/v1/users"))
        .bearer_auth(&token);
    assert_eq!(answer.send().unwrap().status(), 200);
    assert!(!guarded.said().contains("there are no access tokens"));
}

#[test]
fn a_running_server_takes_the_first_token_another_and_the_loss_of_each() {
    let data = tempdir().unwrap();
    let server = Process::start(data.path());
    assert_eq!(get(&server, "/v1/users", None).status(), 200);

    let first = create(data.path(), "read", &[]);
    wait_for_status(&server, None, 401);
    wait_for_status(&server, Some(&first), 200);

    let second = create(data.path(), "operate", &["--expires", "90d"]);
    wait_for_status(&server, Some(&second), 200);

    for (id, token) in ids(data.path()).iter().zip([&first, &second]) {
        assert!(tokens(data.path(), &["revoke", id]).status.success());
        wait_for_status(&server, Some(token), 401);
    }
    assert_eq!(get(&server, "/v1/users", None).status(), 401);
}

#[test]
fn a_token_ends_by_itself() {
    let data = tempdir().unwrap();
    let soon = avow::system::now_seconds().plus_seconds(3).0.to_string();
    let token = create(data.path(), "read", &["--expires", &soon]);
    let server = Process::start(data.path());

    wait_for_status(&server, Some(&token), 401);

    assert!(avow::system::now_seconds().0 >= soon.parse().unwrap());
    let listed = tokens(data.path(), &["list"]).stdout;
    assert!(String::from_utf8(listed).unwrap().contains("  expired  "));
}

#[test]
fn a_file_of_tokens_that_is_set_has_to_be_there() {
    let data = tempdir().unwrap();
    let file = data.path().join("elsewhere.json");
    let setting = format!("--set=access.tokens_file={}", file.display());
    let start = || {
        let mut command = serve(&data.path().join("data"));
        command.arg(&setting);
        Process::of(command)
    };

    let refused = start().err().expect("it does not serve");
    let made = tokens(
        data.path(),
        &["create", "--name=a", "--scope=read", &setting],
    );
    let server = start().unwrap();

    assert!(
        refused
            .stderr
            .contains("`access.tokens_file` names is not there"),
        "{}",
        refused.stderr
    );
    let token = String::from_utf8(made.stdout).unwrap();
    assert_eq!(
        get(&server, "/v1/users", Some(token.trim_end())).status(),
        200
    );
    assert_eq!(get(&server, "/v1/users", None).status(), 401);
}

#[test]
fn a_file_of_tokens_that_was_cut_off_anywhere_admits_nobody_and_nothing_starts() {
    let data = tempdir().unwrap();
    let path: PathBuf = data.path().join("tokens.json");
    create(data.path(), "read", &[]);
    let id = ids(data.path()).remove(0);
    assert!(tokens(data.path(), &["revoke", &id]).status.success());
    let whole = fs::read(&path).unwrap();

    for length in 0..whole.len() - 1 {
        let cut = avow::access::register::Register::parse(&whole[..length]);
        assert!(cut.is_err(), "{length} bytes of {}", whole.len());
    }

    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let refused = Process::of(serve(data.path()))
        .err()
        .expect("it does not serve");
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        refused.stderr.contains("damaged or cut off"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_file_of_tokens_that_is_damaged_is_refused_field_by_field_without_being_repeated() {
    let data = tempdir().unwrap();
    create(data.path(), "read", &[]);
    let text = fs::read_to_string(data.path().join("tokens.json")).unwrap();
    let id = &text[text.find("tok_").unwrap()..][..20];
    let rows = [
        (
            text.replace(id, "tok_0000000000000000"),
            "token 1 in it is damaged: its id cannot be",
        ),
        (
            text.replace("\"read\"", "\"reap\""),
            "token 1 in it is damaged: its scopes cannot be",
        ),
        (
            text.replace("a test", "a\\ntest"),
            "token 1 in it is damaged: its name cannot be",
        ),
        (
            text.replace("\"avow_tokens\": 1", "\"avow_tokens\": 2"),
            "it is in a format of version 2, which this version of avow does not know",
        ),
        (
            text.replace("\"revoked\": null", "\"revoke\": null"),
            "it is no list of tokens: damaged or cut off at line 13, or something else",
        ),
        (
            text.replace(",\n      \"revoked\": null", ""),
            "it is no list of tokens: damaged or cut off at line 13, or something else",
        ),
        (
            "\0".repeat(text.len()),
            "it is no list of tokens: damaged or cut off at line 1, or something else",
        ),
    ];

    for (damaged, sentence) in rows {
        assert_ne!(damaged, text, "{sentence}");
        let error = avow::access::register::Register::parse(damaged.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), sentence);
    }
}

#[test]
fn a_token_is_recognised_shown_once_and_kept_as_a_hash_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempdir().unwrap();
    let out = data.path().join("token");

    let shown = create(data.path(), "read", &[]);
    let written = create(data.path(), "read", &["--out", out.to_str().unwrap()]);

    assert!(shown.starts_with("avow_") && shown.len() == 77, "{shown}");
    assert_eq!(written, "", "it is in the file");
    let written = fs::read_to_string(&out).unwrap();
    let file = data.path().join("tokens.json");
    let kept = fs::read_to_string(&file).unwrap();
    for token in [&*shown, written.trim_end()] {
        assert!(!kept.contains(&token[5..]), "{kept}");
    }
    for path in [&file, &out] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn tokens_made_at_once_are_all_kept() {
    let data = tempdir().unwrap();

    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| create(data.path(), "read", &[]));
        }
    });

    assert_eq!(ids(data.path()).len(), 8);
}

#[test]
fn a_token_in_no_log_line_whatever_is_asked_with_it() {
    let data = tempdir().unwrap();
    let token = create(data.path(), "read", &[]);
    let mut command = serve(data.path());
    command.arg("--set=trace.filter=trace");
    let server = Process::of(command).unwrap();

    assert_eq!(get(&server, "/v1/users", Some(&token)).status(), 200);
    assert_eq!(get(&server, "/v1/log", Some(&token)).status(), 403);
    let id = ids(data.path()).remove(0);
    assert!(tokens(data.path(), &["revoke", &id]).status.success());
    wait_for_status(&server, Some(&token), 401);

    let said = server.said();
    assert!(!said.contains(&token[5..]), "the token is in the log");
    assert!(said.contains(&id), "who it was is told");
}

#[test]
fn public_evidence_is_audited_by_strangers_and_with_its_payloads_by_whoever_may() {
    let Guarded {
        server,
        audit: token,
        data: _data,
        ..
    } = guarded(&["access.public_evidence=true"]);
    for number in 0..3 {
        let event = event(&format!("evt_{number}"), "vs_1", "user", "processing", 10);
        assert_eq!(
            server.deliver(&Delivery::event(&event)).unwrap().status(),
            200
        );
    }
    let head = |log: Value| (log["size"].as_u64().unwrap(), log["vkey"].clone());
    let vkey = loop {
        let (size, vkey) = head(get(&server, "/v1/log", None).json().unwrap());
        if size == 4 {
            break vkey.as_str().unwrap().to_owned();
        }
    };
    let keys = tempdir().unwrap();
    let token_file = keys.path().join("token");
    fs::write(&token_file, token).unwrap();
    let token_file = token_file.to_str().unwrap();
    #[rustfmt::skip]
    let rows: [(&[&str], i32, &str); 3] = [
        (&["--no-payloads"],            0, "payloads: not looked at"),
        (&[],                           2, "/v1/log/payloads/000.p/4 answers 401"),
        (&["--token-file", token_file], 0, "payloads: 3 match their leaves"),
    ];
    for (arguments, code, told) in rows {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_avow"))
            .args(["audit", "verify", server.url(), "--vkey", &vkey])
            .args(arguments)
            .env_clear()
            .output()
            .unwrap();

        let report = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {report}");
        assert!(report.contains(told), "{report}");
    }
}
