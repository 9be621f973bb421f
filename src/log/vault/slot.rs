//! A slot: one secret, wrapped under the master key and bound to its log and its place.
//!
//! 128 bytes: `AVOWKEY1, nonce[24], XChaCha20-Poly1305(secret)[48]`, zeros. A slot divides a disk's sector, so none
//! is ever half written. All zeros hold no key.

use std::ops::Range;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::log::binary::Fields;
use crate::log::keys::MasterKey;
use crate::log::options::RandomError;

/// The size of a slot.
pub(super) const SLOT_BYTES: usize = 128;

/// The first bytes of a slot that holds a key.
pub(in crate::log) const MAGIC: [u8; 8] = *b"AVOWKEY1";
const NONCE_BYTES: usize = 24;
const SECRET_BYTES: usize = 32;
/// The bytes of a slot before its zeros.
pub(super) const WRAPPED_BYTES: usize = 8 + NONCE_BYTES + SECRET_BYTES + 16;

/// Fills a buffer with random bytes.
pub(super) type Random = fn(&mut [u8]) -> Result<(), RandomError>;

/// The number of a slot in the vault: leaves name their session's key by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeySlot(pub u64);

impl KeySlot {
    /// Holds the log's own secret.
    pub const LOG: Self = Self(0);
    /// Holds the seed of the signing key.
    pub const SIGNING: Self = Self(1);
    /// The first slot that belongs to a session.
    pub const FIRST_OF_SESSIONS: Self = Self(2);
}

/// 32 random bytes, wiped from memory when dropped.
pub(in crate::log) struct Secret(Zeroizing<[u8; SECRET_BYTES]>);

impl Secret {
    pub(super) fn mint(random: Random) -> Result<Self, RandomError> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        random(secret.as_mut_slice())?;
        Ok(Self(secret))
    }

    pub(in crate::log) fn expose(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }
}

/// What a slot holds.
pub(in crate::log) enum SlotState {
    /// A key.
    Key(Secret),
    /// No key: it was destroyed, or none was ever minted.
    Destroyed,
    /// Bytes that are no key of this slot.
    Damaged,
}

/// Wraps and opens the secrets of one log.
pub(super) struct Wrapping {
    cipher: XChaCha20Poly1305,
    log: [u8; 16],
}

impl Wrapping {
    pub(super) fn of(log: [u8; 16], master: &MasterKey) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new((&*master.wrapping_key()).into()),
            log,
        }
    }

    /// Returns the bytes of these slots, each with a secret of its own.
    pub(super) fn mint(&self, slots: Range<u64>, random: Random) -> Result<Vec<u8>, RandomError> {
        let mut bytes = Vec::new();
        for slot in slots.map(KeySlot) {
            bytes.extend_from_slice(&self.wrap(slot, &Secret::mint(random)?, random)?);
        }
        Ok(bytes)
    }

    /// Returns the bytes of `slot` when it holds `secret`.
    pub(super) fn wrap(
        &self,
        slot: KeySlot,
        secret: &Secret,
        random: Random,
    ) -> Result<[u8; SLOT_BYTES], RandomError> {
        let mut nonce = [0; NONCE_BYTES];
        random(&mut nonce)?;
        let mut wrapped = *secret.expose();
        let tag = self.cipher.encrypt_inout_detached(
            &XNonce::from(nonce),
            &self.associated_data(slot),
            wrapped.as_mut_slice().into(),
        );
        assert!(tag.is_ok(), "the cipher takes up to 256 GiB");
        let parts = [MAGIC.as_slice(), &nonce, &wrapped, &tag.unwrap_or_default()];
        let mut bytes = [0; SLOT_BYTES];
        bytes
            .iter_mut()
            .zip(parts.into_iter().flatten())
            .for_each(|(to, from)| *to = *from);
        Ok(bytes)
    }

    /// Returns what `bytes` hold when they stand in `slot`.
    pub(super) fn open(&self, slot: KeySlot, bytes: &[u8; SLOT_BYTES]) -> SlotState {
        if *bytes == [0; SLOT_BYTES] {
            return SlotState::Destroyed;
        }
        self.unwrapped(slot, bytes)
            .map_or(SlotState::Damaged, SlotState::Key)
    }

    fn unwrapped(&self, slot: KeySlot, bytes: &[u8]) -> Option<Secret> {
        let mut fields = Fields::of(bytes.strip_prefix(&MAGIC)?);
        let nonce: [u8; NONCE_BYTES] = fields.array()?;
        let mut secret = Zeroizing::new(fields.array()?);
        let tag: [u8; 16] = fields.array()?;
        self.cipher
            .decrypt_inout_detached(
                &XNonce::from(nonce),
                &self.associated_data(slot),
                secret.as_mut_slice().into(),
                &tag.into(),
            )
            .ok()?;
        let is_whole = fields.rest().iter().all(|byte| *byte == 0);
        is_whole.then_some(Secret(secret))
    }

    /// Binds a wrapped secret to its log and its slot, so that it opens nowhere else.
    fn associated_data(&self, slot: KeySlot) -> [u8; 32] {
        let parts = [MAGIC.as_slice(), &self.log, &slot.0.to_le_bytes()];
        let mut bytes = [0; 32];
        bytes
            .iter_mut()
            .zip(parts.into_iter().flatten())
            .for_each(|(to, from)| *to = *from);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LOG, master};
    use super::*;

    const SLOT: KeySlot = KeySlot(7);

    #[expect(clippy::unnecessary_wraps, reason = "a random source may fail")]
    fn forty_two(buffer: &mut [u8]) -> Result<(), RandomError> {
        buffer.fill(42);
        Ok(())
    }

    fn wrapped() -> (Wrapping, [u8; SLOT_BYTES]) {
        let wrapping = Wrapping::of(LOG, &master(1));
        let secret = Secret::mint(forty_two).unwrap();
        let bytes = wrapping.wrap(SLOT, &secret, forty_two).unwrap();
        (wrapping, bytes)
    }

    #[test]
    fn the_format_of_a_slot_stands_for_good() {
        // Computed apart from this program, from RFC 5869, RFC 8439 and draft-irtf-cfrg-xchacha.
        let golden = "41564f574b455931\
                      2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a\
                      d075f417e4cd07c462fd1863066d84d14db21a8b73f4fce32753c49b238518f4\
                      0bf3a36634da916774d6d82fe38e71ef";

        let (_, bytes) = wrapped();

        assert_eq!(hex::encode(&bytes[..80]), golden);
        assert_eq!(bytes[80..], [0; 48]);
    }

    #[test]
    fn a_flipped_bit_is_damage_and_no_other_key() {
        let (wrapping, bytes) = wrapped();
        for bit in 0..SLOT_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);

            let state = wrapping.open(SLOT, &flipped);

            assert!(matches!(state, SlotState::Damaged), "bit {bit}");
        }
    }

    #[test]
    fn a_key_opens_in_its_own_slot_of_its_own_log_under_its_own_master_key_only() {
        let (_, bytes) = wrapped();
        #[rustfmt::skip]
        let rows = [
            (LOG,      1, SLOT,       true),
            (LOG,      1, KeySlot(8), false),
            ([0; 16],  1, SLOT,       false),
            (LOG,      2, SLOT,       false),
        ];
        for (log, key, slot, opens) in rows {
            let state = Wrapping::of(log, &master(key)).open(slot, &bytes);

            assert_eq!(matches!(state, SlotState::Key(_)), opens, "{slot:?} {key}");
            assert!(!matches!(state, SlotState::Destroyed));
        }
    }
}
