//! A configuration file and a list of secrets are read or refused, and no refusal repeats a secret.

use avow::config::settings::Settings;
use avow::config::sources::Sources;
use avow::log::keys::MasterKey;
use avow::stripe::secret::Secrets;

/// Reads the bytes as a file of settings, and as secrets.
pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let none = |_: &str| None;
    let sources = Sources {
        file: Some(file.path()),
        environment: &none,
        command_line: &[],
    };
    drop(Settings::load(&sources));
    let refusals = [
        Secrets::parse(text).err().map(|error| error.to_string()),
        MasterKey::parse(text).err().map(|error| error.to_string()),
    ];
    // Short texts stand in any sentence.
    let is_long = text.trim().len() >= 24;
    for refusal in refusals.into_iter().flatten() {
        assert!(!is_long || !refusal.contains(text.trim()), "{refusal}");
    }
}
