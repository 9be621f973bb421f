//! A register of tokens that can be read is written, and read again, as the same.

use avow::access::register::Register;

/// Reads the bytes as the file of the tokens.
pub(crate) fn holds(bytes: &[u8]) {
    if let Ok(register) = Register::parse(bytes) {
        let text = register.text().unwrap();
        let again = Register::parse(text.as_bytes()).expect("what was written can be read");
        assert_eq!(again.text().unwrap(), text);
        assert_eq!(again.iter().count(), register.iter().count());
    }
}
