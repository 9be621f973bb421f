//! A connection by hand: any bytes are sent, and what comes back is read as it is.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// No test waits so long: it is what a server that waits for good is told by.
const FOR_GOOD: Duration = Duration::from_mins(1);

/// Connects to the server of a URL.
pub(crate) fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(FOR_GOOD)).unwrap();
    stream.set_write_timeout(Some(FOR_GOOD)).unwrap();
    stream
}

/// Sends bytes and nothing more, and returns what comes until the server hangs up.
pub(crate) fn told(url: &str, bytes: &[u8]) -> String {
    let mut stream = connect(url);
    // The server may have hung up before all of it is sent.
    drop(stream.write_all(bytes));
    read_to_the_end(&mut stream)
}

/// Returns what comes until the server hangs up.
pub(crate) fn read_to_the_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => text.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the server does not hang up: {error}"),
        }
    }
    String::from_utf8(text).unwrap()
}

/// Returns the status of each answer of a text.
pub(crate) fn statuses(text: &str) -> Vec<&str> {
    let answers = text.split("HTTP/1.").skip(1);
    // Behind the last digit of the version, and a space.
    answers.map(|answer| &answer[2..5]).collect()
}
