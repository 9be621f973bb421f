//! The text of a policy: one definition a line. What is not understood in full is refused, since half a policy is
//! another policy.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::decimal;
use super::key::{SignatureType, VerifierKey, VerifierKeyError};
use super::policy::{Group, Log, Policy, Witness};

/// The longest policy that is read.
pub const POLICY_BYTES_MAX: usize = 64 * 1024;

/// The quorum that asks for no witness.
const NONE: &str = "none";

/// Why a text is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It has more than [`POLICY_BYTES_MAX`] bytes.
    #[error("the policy is longer than {POLICY_BYTES_MAX} bytes")]
    TooLong,
    /// Its last line is not ended: perhaps the end is missing.
    #[error("the last line of the policy does not end with a line break")]
    Unfinished,
    /// It says nowhere what is enough.
    #[error("the policy has no quorum line")]
    QuorumMissing,
    /// One of its lines is wrong.
    #[error("line {line} of the policy: {problem}")]
    Line {
        /// Which, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: PolicyLineError,
    },
}

/// Why a line of a policy cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyLineError {
    /// It holds a control character other than a tab.
    #[error("it holds a control character")]
    ControlCharacter,
    /// It is no comment, and not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// It is none of the definitions, or has too few or too many words.
    #[error("it is no `log`, `witness`, `group` or `quorum` line")]
    Unknown,
    /// Its key cannot be used.
    #[error("{0}")]
    Key(#[from] VerifierKeyError),
    /// Its key signs other things.
    #[error("its key is not one for {0}")]
    WrongKeyType(&'static str),
    /// An earlier line of its kind has the same key.
    #[error("its key stands in an earlier line")]
    KeyRepeated,
    /// The name is `none` or defined by an earlier line.
    #[error("the name {0} cannot be defined again")]
    NameTaken(String),
    /// No earlier line defines the name.
    #[error("no earlier line defines the name {0}")]
    NameUnknown(String),
    /// The name is a member of a group already.
    #[error("{0} is a member of a group already")]
    MemberTwice(String),
    /// The threshold is no number from 1 to the number of members.
    #[error("the threshold is neither `all`, `any` nor a number from 1 to that of the members")]
    ThresholdInvalid,
    /// An earlier line says what the quorum is.
    #[error("an earlier line defines the quorum")]
    QuorumTwice,
}

impl Policy {
    /// Reads a policy.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLong);
        }
        let mut reading = Reading::default();
        for (line, bytes) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            let bytes = bytes.strip_suffix(b"\n").ok_or(PolicyError::Unfinished)?;
            reading
                .read_line(bytes)
                .map_err(|problem| PolicyError::Line { line, problem })?;
        }
        Ok(Self {
            logs: reading.logs,
            witnesses: reading.witnesses,
            groups: reading.groups,
            quorum: reading
                .quorum
                .ok_or(PolicyError::QuorumMissing)
                .map(|quorum| (quorum != NONE).then_some(quorum))?,
        })
    }
}

/// What the lines so far have defined.
#[derive(Default)]
struct Reading {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Option<String>,
    /// Whether each name is a member of a group already.
    names: BTreeMap<String, bool>,
}

impl Reading {
    fn read_line(&mut self, line: &[u8]) -> Result<(), PolicyLineError> {
        if line
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        {
            return Err(PolicyLineError::ControlCharacter);
        }
        // Words are parted by ASCII blanks alone, whatever Unicode takes for a space.
        let is_blank = |byte: &u8| [b' ', b'\t'].contains(byte);
        if line.iter().find(|byte| !is_blank(byte)) == Some(&b'#') {
            return Ok(());
        }
        let line = str::from_utf8(line).map_err(|_| PolicyLineError::NotUtf8)?;
        let words: Vec<&str> = line
            .split([' ', '\t'])
            .filter(|word| !word.is_empty())
            .collect();
        match *words.as_slice() {
            [] => Ok(()),
            ["log", key] => self.define_log(key, None),
            ["log", key, url] => self.define_log(key, Some(url)),
            ["witness", name, key] => self.define_witness(name, key, None),
            ["witness", name, key, url] => self.define_witness(name, key, Some(url)),
            ["group", name, threshold, ref members @ ..] if !members.is_empty() => {
                self.define_group(name, threshold, members)
            }
            ["quorum", name] => self.define_quorum(name),
            _ => Err(PolicyLineError::Unknown),
        }
    }

    fn define_log(&mut self, key: &str, url: Option<&str>) -> Result<(), PolicyLineError> {
        let key = VerifierKey::from_str(key)?;
        if key.signature_type() != SignatureType::Ed25519 {
            return Err(PolicyLineError::WrongKeyType("checkpoints"));
        }
        let mut known = self.logs.iter().map(|log| &log.key);
        if known.any(|known| known.public_key() == key.public_key()) {
            return Err(PolicyLineError::KeyRepeated);
        }
        let url = url.map(str::to_owned);
        self.logs.push(Log { key, url });
        Ok(())
    }

    fn define_witness(
        &mut self,
        name: &str,
        key: &str,
        url: Option<&str>,
    ) -> Result<(), PolicyLineError> {
        let key = VerifierKey::from_str(key)?;
        if key.signature_type() != SignatureType::Cosignature {
            return Err(PolicyLineError::WrongKeyType("cosignatures"));
        }
        let mut known = self.witnesses.iter().map(|witness| &witness.key);
        if known.any(|known| known.public_key() == key.public_key()) {
            return Err(PolicyLineError::KeyRepeated);
        }
        let name = self.define_name(name)?;
        let url = url.map(str::to_owned);
        self.witnesses.push(Witness { name, key, url });
        Ok(())
    }

    fn define_group(
        &mut self,
        name: &str,
        threshold: &str,
        members: &[&str],
    ) -> Result<(), PolicyLineError> {
        for member in members {
            match self.names.get_mut(*member) {
                Some(is_member @ false) => *is_member = true,
                Some(true) => return Err(PolicyLineError::MemberTwice((*member).to_owned())),
                None => return Err(PolicyLineError::NameUnknown((*member).to_owned())),
            }
        }
        let threshold = match threshold {
            "all" => members.len(),
            "any" => 1,
            number => decimal::parse(number)
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| (1..=members.len()).contains(number))
                .ok_or(PolicyLineError::ThresholdInvalid)?,
        };
        // Only now, so that no group can be a member of itself.
        let name = self.define_name(name)?;
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        self.groups.push(Group {
            name,
            threshold,
            members,
        });
        Ok(())
    }

    fn define_quorum(&mut self, name: &str) -> Result<(), PolicyLineError> {
        if name != NONE && !self.names.contains_key(name) {
            return Err(PolicyLineError::NameUnknown(name.to_owned()));
        }
        match self.quorum.replace(name.to_owned()) {
            None => Ok(()),
            Some(_) => Err(PolicyLineError::QuorumTwice),
        }
    }

    fn define_name(&mut self, name: &str) -> Result<String, PolicyLineError> {
        if name == NONE || self.names.contains_key(name) {
            return Err(PolicyLineError::NameTaken(name.to_owned()));
        }
        self.names.insert(name.to_owned(), false);
        Ok(name.to_owned())
    }
}
