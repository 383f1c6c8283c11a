//! A dialler written from the specification alone, so that it can break each of its rules.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::{Buf as _, BufMut as _, Bytes};
use ed25519_dalek::{Signer as _, SigningKey};
use hyper_util::rt::TokioIo;
use ledger_format::digest::{Hash, sha256};
use ledger_proto::peer::exchange_request::Content;
use ledger_proto::peer::{self as v1, ExchangeRequest, ExchangeResponse};
use prost::Message as _;
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Status, Streaming};
use tonic_types::StatusExt as _;
use tower::service_fn;

use crate::node::{LEDGER, LIMITS};

const DAY: Duration = Duration::from_hours(24);

/// A certificate with its key, or with another's.
#[derive(Debug, Clone)]
pub(crate) struct Card {
    pub(crate) certified: Arc<CertifiedKey>,
    pub(crate) spki: Hash,
}

impl Card {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now();
        Self::valid(now - DAY, now + DAY)
    }

    pub(crate) fn expired() -> Self {
        let now = SystemTime::now();
        Self::valid(now - 2 * DAY, now - DAY)
    }

    pub(crate) fn not_yet_valid() -> Self {
        let now = SystemTime::now();
        Self::valid(now + DAY, now + 2 * DAY)
    }

    fn valid(from: SystemTime, to: SystemTime) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.not_before = from.into();
        params.not_after = to.into();
        let certificate = params.self_signed(&key).unwrap();
        let spki = sha256(&[&key.subject_public_key_info()]);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let key = ring::sign::any_supported_type(&key).unwrap();
        let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
        Self { certified: Arc::new(certified), spki }
    }

    /// Somebody else's certificate, with a key that is not its.
    pub(crate) fn stolen_from(other: &Self) -> Self {
        let own = Self::new();
        let chain = other.certified.cert.clone();
        let certified = CertifiedKey::new(chain, Arc::clone(&own.certified.key));
        Self { certified: Arc::new(certified), spki: other.spki }
    }
}

impl ResolvesClientCert for Card {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Believes every certificate.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// TLS with that certificate, or none; and the hash of the other side's key.
pub(crate) async fn tls(to: SocketAddr, card: Option<&Card>) -> (TlsStream<TcpStream>, Hash) {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible));
    let mut config = match card {
        Some(card) => builder.with_client_cert_resolver(Arc::new(card.clone())),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(to).await.unwrap();
    let name = ServerName::IpAddress(to.ip().into());
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let certificate = &stream.get_ref().1.peer_certificates().unwrap()[0];
    let parsed = ParsedCertificate::try_from(certificate).unwrap();
    let spki = sha256(&[&parsed.subject_public_key_info()]);
    (stream, spki)
}

/// docs/spec/peer.md, the signature.
pub(crate) fn signed_bytes(sender: u8, own: &Hash, other: &Hash) -> Vec<u8> {
    let mut bytes = b"ledger/peer/v1\0".to_vec();
    bytes.push(sender);
    bytes.extend(LEDGER.0);
    bytes.extend(own);
    bytes.extend(other);
    bytes.extend([0, 0, 0, 1]);
    bytes.extend(LIMITS);
    bytes
}

/// A good Hello.
pub(crate) fn hello(
    key: &SigningKey,
    role: v1::Role,
    sender: u8,
    own: &Hash,
    other: &Hash,
) -> v1::Hello {
    v1::Hello {
        protocol_version: 1,
        ledger_id: Bytes::copy_from_slice(&LEDGER.0),
        limits_hash: Bytes::copy_from_slice(&LIMITS),
        role: role.into(),
        identity_key: Bytes::copy_from_slice(key.verifying_key().as_bytes()),
        height: 3,
        signature: Bytes::copy_from_slice(&key.sign(&signed_bytes(sender, own, other)).to_bytes()),
    }
}

/// A connection with HTTP/2 on it, before the call.
pub(crate) struct Dialled {
    pub(crate) own_spki: Hash,
    pub(crate) their_spki: Hash,
    channel: Channel,
}

pub(crate) async fn dial(to: SocketAddr, card: &Card) -> Dialled {
    let (stream, their_spki) = tls(to, Some(card)).await;
    let io = Mutex::new(Some(TokioIo::new(stream)));
    let connector = service_fn(move |_: Uri| {
        let io = io.lock().unwrap().take();
        std::future::ready(io.ok_or_else(|| std::io::Error::other("once")))
    });
    let endpoint = Endpoint::from_static("http://stranger");
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    Dialled { own_spki: card.spki, their_spki, channel }
}

impl Dialled {
    pub(crate) fn hello(&self, key: &SigningKey, role: v1::Role) -> v1::Hello {
        hello(key, role, 1, &self.own_spki, &self.their_spki)
    }

    /// Makes the call, with raw bytes as messages. The sender may be used before and after the answer.
    pub(crate) async fn call(&self, first: Option<Bytes>) -> Result<Call, Status> {
        let (sender, receiver) = mpsc::unbounded_channel();
        if let Some(first) = first {
            sender.send(first).unwrap();
        }
        let mut client =
            tonic::client::Grpc::new(self.channel.clone()).max_encoding_message_size(usize::MAX);
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = "/ledger.peer.v1.PeerService/Exchange".parse().unwrap();
        let messages = UnboundedReceiverStream::new(receiver);
        let request = tonic::Request::new(Box::pin(messages) as Pin<Box<_>>);
        let answer = client.streaming(request, path, Raw).await?;
        Ok(Call { sender, inbound: answer.into_inner() })
    }

    /// Says Hello.
    pub(crate) async fn greet(&self, hello: v1::Hello) -> Result<Call, Status> {
        self.call(Some(message(Content::Hello(hello)))).await
    }

    /// Becomes a peer.
    pub(crate) async fn enter(&self, key: &SigningKey, role: v1::Role) -> Call {
        let mut call = self.greet(self.hello(key, role)).await.unwrap();
        let answer = call.next().await.unwrap().unwrap();
        assert!(matches!(answer.content, Some(v1::exchange_response::Content::Hello(_))));
        call.say(Content::Admitted(v1::Admitted {}));
        call
    }
}

/// A call under way.
pub(crate) struct Call {
    pub(crate) sender: mpsc::UnboundedSender<Bytes>,
    inbound: Streaming<Bytes>,
}

impl Call {
    pub(crate) fn say(&self, content: Content) {
        self.sender.send(message(content)).unwrap();
    }

    pub(crate) fn frame(&self, lane: v1::Lane, payload: impl Into<Bytes>) {
        self.say(Content::Frame(v1::Frame { lane: lane.into(), payload: payload.into() }));
    }

    pub(crate) async fn next(&mut self) -> Result<Option<ExchangeResponse>, Status> {
        let bytes = self.inbound.message().await?;
        Ok(bytes.map(|bytes| ExchangeResponse::decode(bytes).unwrap()))
    }

    /// How the call ends.
    pub(crate) async fn end(&mut self) -> Result<(), Status> {
        while self.next().await?.is_some() {}
        Ok(())
    }
}

pub(crate) fn message(content: Content) -> Bytes {
    ExchangeRequest { content: Some(content) }.encode_to_vec().into()
}

/// The stable code of a status.
pub(crate) fn code(status: &Status) -> String {
    status.get_details_error_info().map_or_else(|| status.to_string(), |info| info.reason)
}

/// Messages as they are.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}
