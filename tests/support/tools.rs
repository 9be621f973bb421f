//! Tools of others that tests ask: a person may do without one, continuous integration may not.

use std::io::Write;

/// Says aloud that a tool is missing, and which script brings it; under `CI=true` that is a failure.
pub(crate) fn is_present(tool: &str, present: bool, script: &str) -> bool {
    let required = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(
        present || !required,
        "{tool} is required here: run {script}"
    );
    if !present {
        // Past the test harness, which would keep what a passing test prints to itself.
        let skipped = format!("\nSKIPPED: {tool} is missing; {script} brings it\n\n");
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
    }
    present
}
