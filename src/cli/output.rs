//! Where words go: data to stdout, talk to stderr.

use std::io::{self, Write};

/// Writes data to stdout, whole lines at once, so that a reader of a pipe sees them when they are true.
pub(super) fn data(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}

/// Says something on stderr; where nobody listens there is nobody to tell.
pub(super) fn talk(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}
