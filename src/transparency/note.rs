//! C2SP signed notes: a text and who signed it. Every note has one spelling, so that reading it and writing it again
//! gives the same bytes.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::key::{KeyId, KeyName, VerifierKey};
use super::signing_key::SigningKey;

/// The longest note that is read.
pub const NOTE_BYTES_MAX: usize = 256 * 1024;

/// How many signatures a note may have; the specification asks for room for 16.
pub const SIGNATURES_MAX: usize = 64;

const SIGNATURE_START: &str = "— ";
const KEY_ID_BYTES: usize = 4;

/// A text with at least one signature, which may be by anyone: nothing of it is to be believed before
/// [`Note::signature_by`] has found a signature by a trusted key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line, which says itself who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: KeyName,
    key_id: KeyId,
    bytes: Vec<u8>,
}

/// Why bytes are no note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It has more than [`NOTE_BYTES_MAX`] bytes.
    #[error("the note is longer than {NOTE_BYTES_MAX} bytes")]
    TooLong,
    /// It is not UTF-8.
    #[error("the note is not UTF-8")]
    NotUtf8,
    /// It holds a control character other than a line break.
    #[error("the note holds a control character")]
    ControlCharacter,
    /// Its text does not end with a line break.
    #[error("the text of the note does not end with a line break")]
    TextUnfinished,
    /// No empty line divides text and signatures, or nothing follows it.
    #[error("the note has no signatures")]
    Unsigned,
    /// A signature line is not `— <name> <base64>` or not ended.
    #[error("signature line {0} of the note is malformed")]
    SignatureMalformed(usize),
    /// It has more than [`SIGNATURES_MAX`] signatures.
    #[error("the note has more than {SIGNATURES_MAX} signatures")]
    SignaturesTooMany,
}

/// A signature under the name and id of a known key that the key did not make: the whole note is to be refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signature under the name of {0} was not made by its key for this text")]
pub struct WrongSignature(pub KeyName);

impl Note {
    /// Signs a text, which has to end with a line break.
    pub fn sign(text: String, key: &SigningKey) -> Result<Self, NoteError> {
        check_text(&text)?;
        let note = Self::sign_checked(text, key);
        if note.to_string().len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        Ok(note)
    }

    /// Signs a text of which it is known that it ends with a line break and holds no other control character.
    pub(super) fn sign_checked(text: String, key: &SigningKey) -> Self {
        let signatures = vec![key.sign(&text)];
        Self { text, signatures }
    }

    /// Reads a note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        let note = str::from_utf8(bytes).map_err(|_| NoteError::NotUtf8)?;
        // The text may hold empty lines: the last one divides.
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Unsigned)?;
        let text = format!("{text}\n");
        check_text(&text)?;
        let signatures = parse_signatures(signatures)?;
        Ok(Self { text, signatures })
    }

    /// Returns the text, with its last line break.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns all signatures, by whomever.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature, unless the note has it.
    pub(super) fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        if self.signatures.contains(&signature) {
            return Ok(());
        }
        if self.signatures.len() >= SIGNATURES_MAX {
            return Err(NoteError::SignaturesTooMany);
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// Returns the signature by this key, if there is one; signatures by other keys are ignored.
    pub fn signature_by(
        &self,
        key: &VerifierKey,
    ) -> Result<Option<&NoteSignature>, WrongSignature> {
        let signatures = signatures_by(key, &self.text, &self.signatures)?;
        Ok(signatures.first().copied())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.text)?;
        for signature in &self.signatures {
            writeln!(formatter, "{signature}")?;
        }
        Ok(())
    }
}

impl NoteSignature {
    pub(super) fn new(key: &VerifierKey, bytes: Vec<u8>) -> Self {
        Self {
            name: key.name().clone(),
            key_id: key.id(),
            bytes,
        }
    }

    /// Returns the name of the key that it says made it.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Returns the id of the key that it says made it.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix(SIGNATURE_START)?.split_once(' ')?;
        let signature = STANDARD.decode(signature).ok()?;
        let (key_id, bytes) = signature.split_first_chunk::<KEY_ID_BYTES>()?;
        (!bytes.is_empty()).then_some(Self {
            name: name.parse().ok()?,
            key_id: KeyId(*key_id),
            bytes: bytes.to_vec(),
        })
    }
}

/// The line without its line break.
impl fmt::Display for NoteSignature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = [self.key_id.0.as_slice(), &self.bytes].concat();
        let signature = STANDARD.encode(signature);
        write!(formatter, "{SIGNATURE_START}{} {signature}", self.name)
    }
}

/// Returns those of the signatures that bear the name and id of a key, if the key made them all for this text.
pub(super) fn signatures_by<'note>(
    key: &VerifierKey,
    text: &str,
    signatures: &'note [NoteSignature],
) -> Result<Vec<&'note NoteSignature>, WrongSignature> {
    let named: Vec<&NoteSignature> = signatures
        .iter()
        .filter(|signature| signature.name == *key.name() && signature.key_id == key.id())
        .collect();
    if named
        .iter()
        .all(|signature| key.has_signed(text, &signature.bytes))
    {
        Ok(named)
    } else {
        Err(WrongSignature(key.name().clone()))
    }
}

/// Reads one signature line or more, as they end a note or as a witness answers them.
pub(super) fn parse_signatures(lines: &str) -> Result<Vec<NoteSignature>, NoteError> {
    if lines.is_empty() {
        return Err(NoteError::Unsigned);
    }
    let mut signatures = Vec::new();
    for (number, line) in (1..).zip(lines.split_inclusive('\n')) {
        if number > SIGNATURES_MAX {
            return Err(NoteError::SignaturesTooMany);
        }
        let signature = line.strip_suffix('\n').and_then(NoteSignature::parse);
        signatures.push(signature.ok_or(NoteError::SignatureMalformed(number))?);
    }
    Ok(signatures)
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if text.contains(|character| character < ' ' && character != '\n') {
        return Err(NoteError::ControlCharacter);
    }
    if !text.ends_with('\n') {
        return Err(NoteError::TextUnfinished);
    }
    Ok(())
}
