//! Certificates: made by each node for itself, and trusted for nothing but the key that is in them.

use std::fmt;
use std::time::{Duration, SystemTime};

use ledger_format::digest::{Hash, sha256};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ED25519, PublicKeyData as _,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ParsedCertificate;
use x509_cert::der::Decode as _;

use crate::settings::PeerError;

/// Before now, so that a peer whose clock is behind takes a new certificate.
const SKEW: Duration = Duration::from_hours(24);
/// Ten years. The key lives as long as the process, and a node may run for long.
const LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);

/// A self-signed certificate and its key.
pub struct Certificate {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) spki: Hash,
}

impl Certificate {
    /// A certificate for a new key, valid from a day ago for ten years. The key is never written anywhere.
    ///
    /// # Errors
    /// `PEER_CERTIFICATE` when the system gives no random bytes.
    pub fn fresh() -> Result<Self, PeerError> {
        let now = SystemTime::now();
        Self::valid(now.checked_sub(SKEW).unwrap_or(now), now + LIFETIME)
    }

    /// A certificate for a new Ed25519 key, valid in a stated time.
    ///
    /// # Errors
    /// `PEER_CERTIFICATE` when the system gives no random bytes.
    pub fn valid(from: SystemTime, to: SystemTime) -> Result<Self, PeerError> {
        let wrong = |error: rcgen::Error| PeerError::Certificate(error.to_string());
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(wrong)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "ledger peer");
        params.not_before = from.into();
        params.not_after = to.into();
        let certificate = params.self_signed(&key).map_err(wrong)?;
        Ok(Self {
            der: certificate.der().clone(),
            spki: sha256(&[&key.subject_public_key_info()]),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// SHA-256 of the certificate's SubjectPublicKeyInfo, DER: what a Hello signs.
    pub const fn spki_sha256(&self) -> &Hash {
        &self.spki
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("der", &self.der).finish_non_exhaustive()
    }
}

/// SHA-256 of a certificate's SubjectPublicKeyInfo, as the parser reads it that checks the signature of the handshake: what is bound is
/// the key that was proven.
pub(crate) fn spki_sha256(der: &CertificateDer<'_>) -> Result<Hash, rustls::Error> {
    let parsed = ParsedCertificate::try_from(der)?;
    Ok(sha256(&[&parsed.subject_public_key_info()]))
}

/// Seconds since 1970 between which a certificate is valid, both included (RFC 5280 section 4.1.2.5), or nothing when the bytes are no
/// certificate.
pub fn validity(der: &[u8]) -> Option<(u64, u64)> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
    Some((seconds(validity.not_before), seconds(validity.not_after)))
}
