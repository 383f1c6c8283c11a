//! An acceptor written from the specification alone, so that it can break each of its rules.

use std::net::SocketAddr;
use std::sync::Arc;

use ledger_format::digest::{Hash, sha256};
use ledger_peer::Peer;
use ledger_proto::peer::exchange_request::Content;
use ledger_proto::peer::exchange_response::Content as Answer;
use ledger_proto::peer::peer_service_server::{PeerService, PeerServiceServer};
use ledger_proto::peer::{ExchangeRequest, ExchangeResponse};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};
use tokio::io::{DuplexStream, copy_bidirectional, duplex};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::stranger::Card;

#[derive(Debug)]
struct Certificate(Card);

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.certified))
    }
}

/// Believes every certificate.
#[derive(Debug)]
struct Gullible;

impl ClientCertVerifier for Gullible {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
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

/// What it answers to the hash of the dialler's key; nothing is silence.
type Reply = dyn Fn(&Hash) -> Vec<Result<Answer, Status>> + Send + Sync;

/// One that listens.
pub(crate) struct Impostor {
    address: SocketAddr,
    /// What diallers said, and the texts of what went wrong below that.
    pub(crate) heard: mpsc::UnboundedReceiver<Result<Content, String>>,
}

impl Impostor {
    pub(crate) async fn start(
        card: &Card,
        reply: impl Fn(&Hash) -> Vec<Answer> + Send + Sync + 'static,
    ) -> Self {
        Self::ending(card, move |dialler| reply(dialler).into_iter().map(Ok).collect()).await
    }

    /// One whose answers may end with a status.
    pub(crate) async fn ending(
        card: &Card,
        reply: impl Fn(&Hash) -> Vec<Result<Answer, Status>> + Send + Sync + 'static,
    ) -> Self {
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(Arc::new(Gullible))
            .with_cert_resolver(Arc::new(Certificate(card.clone())));
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard_by, heard) = mpsc::unbounded_channel();
        let reply: Arc<Reply> = Arc::new(reply);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, heard, reply) = (acceptor.clone(), heard_by.clone(), reply.clone());
                tokio::spawn(async move {
                    let mut stream = match acceptor.accept(tcp).await {
                        Ok(stream) => stream,
                        Err(error) => return drop(heard.send(Err(error.to_string()))),
                    };
                    let certificate = &stream.get_ref().1.peer_certificates().unwrap()[0];
                    let parsed = ParsedCertificate::try_from(certificate).unwrap();
                    let dialler = sha256(&[&parsed.subject_public_key_info()]);
                    let (mut near, far) = duplex(64 * 1024);
                    let service = Service { heard, reply, dialler };
                    tokio::spawn(serve(service, far));
                    drop(copy_bidirectional(&mut stream, &mut near).await);
                });
            }
        });
        Self { address, heard }
    }

    /// As the peer that it is taken for.
    pub(crate) fn as_peer(&self, identity: ledger_format::digest::KeyId) -> Peer {
        Peer { identity, address: self.address.to_string() }
    }

    /// The next thing heard for which `wanted` has an answer.
    pub(crate) async fn until<T>(
        &mut self,
        wanted: impl Fn(&Result<Content, String>) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                let heard = self.heard.recv().await.unwrap();
                if let Some(found) = wanted(&heard) {
                    return found;
                }
            }
        };
        tokio::time::timeout(crate::node::PATIENCE, found).await.expect("heard in time")
    }

    /// Until a dialler believes it.
    pub(crate) async fn admitted(&mut self) {
        self.until(|heard| matches!(heard, Ok(Content::Admitted(_))).then_some(())).await;
    }

    /// The code that it is refused with.
    pub(crate) async fn refusal(&mut self) -> String {
        self.until(|heard| match heard {
            Ok(Content::Refusal(refusal)) => Some(refusal.code.clone()),
            _ => None,
        })
        .await
    }
}

async fn serve(service: Service, io: DuplexStream) {
    let incoming = tokio_stream::once(Ok::<_, std::io::Error>(io));
    let server = PeerServiceServer::new(service);
    drop(
        tonic::transport::Server::builder().add_service(server).serve_with_incoming(incoming).await,
    );
}

struct Service {
    heard: mpsc::UnboundedSender<Result<Content, String>>,
    reply: Arc<Reply>,
    dialler: Hash,
}

#[tonic::async_trait]
impl PeerService for Service {
    type ExchangeStream = UnboundedReceiverStream<Result<ExchangeResponse, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<ExchangeRequest>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let (sender, receiver) = mpsc::unbounded_channel();
        for answer in (self.reply)(&self.dialler) {
            let answer = answer.map(|answer| ExchangeResponse { content: Some(answer) });
            sender.send(answer).unwrap();
        }
        let heard = self.heard.clone();
        let mut inbound = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(message)) = inbound.message().await {
                drop(heard.send(Ok(message.content.unwrap())));
            }
            drop(sender);
        });
        Ok(Response::new(UnboundedReceiverStream::new(receiver)))
    }
}
