//! Schemathesis asks a server whatever the server's own description allows and forbids: every answer is one that is
//! described, nothing is answered without the token that it needs, and nothing fails. `tests/schemathesis/install` brings it;
//! a person may do without, continuous integration may not.

use std::path::Path;
use std::process::Command;

use crate::support::access::{Guarded, create, guarded};
use crate::support::delivery::{Delivery, event, with_error, with_report};
use crate::support::tools::is_present;

const CONFIGURATION: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/schemathesis/schemathesis.toml"
);
/// How many requests for each operation; `AVOW_SCHEMATHESIS_EXAMPLES` asks for more.
const EXAMPLES: &str = "5";

#[test]
fn a_server_answers_whatever_it_is_asked_as_its_description_says() {
    // Cargo's folder for the files of tests stands directly in the target directory, as this one does.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("schemathesis");
    let is_installed = folder.join("installed").exists();
    if !is_present("Schemathesis", is_installed, "tests/schemathesis/install") {
        return;
    }
    let Guarded { server, data, .. } = guarded(&["http.min_sequence_wait_seconds_max=0"]);
    let token = create(data.path(), "audit,operate", &[]);
    server.hang_up();
    let failed = event("evt_2", "vs_1", "user_1", "requires_input", 30);
    let failed = with_report(with_error(failed, "document_expired"), "vr_1");
    for delivery in [
        Delivery::event(&event("evt_1", "vs_1", "user_1", "created", 10)),
        Delivery::event(&failed),
        Delivery::event(&event("evt_3", "vs_2", "user_2", "verified", 40)),
        Delivery::of("no JSON"),
    ] {
        assert_eq!(server.deliver(&delivery).unwrap().status(), 200);
    }

    let examples = std::env::var_os("AVOW_SCHEMATHESIS_EXAMPLES");
    let output = Command::new(folder.join("python/bin/st"))
        .args([
            "--config-file",
            CONFIGURATION,
            "run",
            "--seed=1",
            "--no-color",
        ])
        .args(["--phases=coverage,fuzzing", "--generation-database=none"])
        .args(["--warnings=off", "--header"])
        .arg(format!("Authorization: Bearer {token}"))
        .arg("--max-examples")
        .arg(examples.unwrap_or(EXAMPLES.into()))
        .arg(format!("{}/openapi.json", server.url()))
        .current_dir(data.path())
        .output()
        .unwrap();

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Tested: 30"), "{said}");
    server.stop();
}
