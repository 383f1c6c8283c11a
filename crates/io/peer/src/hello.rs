//! The Hello: which node this is, bound by a signature to the certificates of both ends of the connection (docs/spec/peer.md).

use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use ledger_format::digest::{Hash, KeyId, LedgerId};
use ledger_proto::peer as v1;
use ledger_verify::signature;

use crate::code::{Code, Refusal};
use crate::settings::Role;

/// The version of the protocol that this program speaks.
pub const PROTOCOL_VERSION: u32 = 1;
/// Length of what a Hello's signature is over.
pub const SIGNED_BYTES: usize = 148;

const MARK: &[u8; 15] = b"ledger/peer/v1\0";

/// Who sends a Hello. A Hello that is sent back is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// The side that opened the connection.
    Dialler,
    /// The side that was dialled.
    Acceptor,
}

impl Sender {
    const fn byte(self) -> u8 {
        match self {
            Self::Dialler => 1,
            Self::Acceptor => 2,
        }
    }
}

/// What binds a Hello to one connection of one ledger.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The ledger.
    pub ledger: LedgerId,
    /// SHA-256 over the limits that nodes share.
    pub limits: Hash,
    /// SHA-256 of the SubjectPublicKeyInfo of the sender's certificate.
    pub sender_spki: Hash,
    /// The same of the receiver's certificate.
    pub receiver_spki: Hash,
}

/// What the identity's key signs:
///
/// | offset | length | |
/// | --- | --- | --- |
/// | 0 | 15 | `"ledger/peer/v1\0"` |
/// | 15 | 1 | 1 from the dialler, 2 from the acceptor |
/// | 16 | 32 | ledger id |
/// | 48 | 32 | SHA-256 of the SubjectPublicKeyInfo of the sender's certificate, DER |
/// | 80 | 32 | the same of the receiver's certificate |
/// | 112 | 4 | protocol version, big-endian |
/// | 116 | 32 | hash of the limits |
pub fn signed_bytes(sender: Sender, version: u32, binding: &Binding) -> [u8; SIGNED_BYTES] {
    let mut bytes = [0; SIGNED_BYTES];
    let parts: [&[u8]; 7] = [
        MARK,
        &[sender.byte()],
        binding.ledger.as_bytes(),
        &binding.sender_spki,
        &binding.receiver_spki,
        &version.to_be_bytes(),
        &binding.limits,
    ];
    for (place, byte) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
        *place = *byte;
    }
    bytes
}

/// A signed Hello.
pub(crate) fn make(
    sender: Sender,
    binding: &Binding,
    key: &SigningKey,
    role: Role,
    height: u64,
) -> v1::Hello {
    let signed = signed_bytes(sender, PROTOCOL_VERSION, binding);
    let role = match role {
        Role::Validator => v1::Role::Validator,
        Role::Follower => v1::Role::Follower,
    };
    v1::Hello {
        protocol_version: PROTOCOL_VERSION,
        ledger_id: Bytes::copy_from_slice(binding.ledger.as_bytes()),
        limits_hash: Bytes::copy_from_slice(&binding.limits),
        role: role.into(),
        identity_key: Bytes::copy_from_slice(key.verifying_key().as_bytes()),
        height,
        signature: Bytes::copy_from_slice(&key.sign(&signed).to_bytes()),
    }
}

/// Who a good Hello is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Introduced {
    pub(crate) peer: KeyId,
    pub(crate) role: Role,
    pub(crate) height: u64,
}

/// What a Hello is held against.
pub(crate) struct Expected<'a> {
    pub(crate) sender: Sender,
    pub(crate) binding: Binding,
    /// Who was dialled.
    pub(crate) dialled: Option<KeyId>,
    /// This node.
    pub(crate) own: KeyId,
    /// The vote key of a validator of the ledger.
    pub(crate) members: &'a (dyn Fn(&KeyId) -> Option<[u8; 32]> + Send + Sync),
}

/// Checks a Hello. What anybody could say comes first, who says it after the signature.
pub(crate) fn verify(hello: &v1::Hello, expected: &Expected<'_>) -> Result<Introduced, Refusal> {
    let refuse = |code, detail: String| Err(Refusal::new(code, detail));
    let (version, binding) = (hello.protocol_version, &expected.binding);
    if version != PROTOCOL_VERSION {
        return refuse(Code::Version, format!("version {version}, not {PROTOCOL_VERSION}"));
    }
    let ledger = LedgerId(array("ledger id", &hello.ledger_id)?);
    if ledger != binding.ledger {
        return refuse(Code::OtherLedger, format!("ledger {ledger}, not {}", binding.ledger));
    }
    let limits: Hash = array("limits hash", &hello.limits_hash)?;
    if limits != binding.limits {
        return refuse(Code::Limits, "the hashes of the limits differ".to_owned());
    }
    let role = match v1::Role::try_from(hello.role) {
        Ok(v1::Role::Validator) => Role::Validator,
        Ok(v1::Role::Follower) => Role::Follower,
        Ok(v1::Role::Unspecified) | Err(_) => {
            return refuse(Code::Malformed, format!("role {}", hello.role));
        }
    };
    let key: [u8; 32] = array("identity key", &hello.identity_key)?;
    let signed = signed_bytes(expected.sender, version, binding);
    if let Err(error) = signature::verify(&key, &signed, &array("signature", &hello.signature)?) {
        return refuse(Code::Identity, error.to_string());
    }
    let peer = KeyId::of(&key);
    if peer == expected.own {
        return refuse(Code::OtherIdentity, "this node's own identity".to_owned());
    }
    if let Some(dialled) = expected.dialled.filter(|dialled| *dialled != peer) {
        return refuse(Code::OtherIdentity, format!("{peer}, not {dialled}"));
    }
    let is_member = (expected.members)(&peer) == Some(key);
    // Who was dialled under this identity may be ahead, with a key that this node has yet to learn of. Until then it has no say.
    if role == Role::Validator && !is_member && expected.dialled.is_none() {
        return refuse(Code::Unknown, format!("{peer} is no validator"));
    }
    // Who is behind, or was refused a moment ago, may say that it is a follower when it is none any more.
    let role = if is_member { Role::Validator } else { Role::Follower };
    Ok(Introduced { peer, role, height: hello.height })
}

fn array<const N: usize>(what: &str, bytes: &[u8]) -> Result<[u8; N], Refusal> {
    bytes.try_into().map_err(|_wrong_length| {
        Refusal::new(Code::Malformed, format!("{what}: {} bytes, not {N}", bytes.len()))
    })
}
