//! What stays as it is when a server's certificate is replaced: everything else.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use eventwire::{
    ClientConfig, Config, Connection, Disconnect, EventLoop, ServerConfig, TlsClient, TlsServer,
    Upgrade, UpgradeRequest, UpgradeResponse, WebSocketHandler,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, RootCertStore, SupportedProtocolVersion};

use super::{ONE, OTHER, Secure, connect, exchange, read_head, serve, upgrade};
use crate::util::{Identity, PATIENCE, Server, request};

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn chain(identity: &Identity) -> Vec<CertificateDer<'static>> {
    vec![CertificateDer::from_pem_slice(identity.chain).expect("it is right")]
}

fn key(identity: &Identity) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(identity.key).expect("it is right")
}

fn roots(identities: &[&Identity]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for identity in identities {
        roots.add(chain(identity).remove(0)).expect("it is right");
    }
    roots
}

fn certified(identity: &Identity) -> Arc<CertifiedKey> {
    let certified = CertifiedKey::from_der(chain(identity), key(identity), &provider());
    Arc::new(certified.expect("they belong together"))
}

/// A client that trusts either server, and may have a certificate of its own.
fn client(
    versions: &[&'static SupportedProtocolVersion],
    identity: Option<&Identity>,
) -> Arc<rustls::ClientConfig> {
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots(&[&ONE, &OTHER]));
    Arc::new(match identity {
        Some(identity) => {
            config.with_client_auth_cert(chain(identity), key(identity)).expect("it is right")
        }
        None => config.with_no_client_auth(),
    })
}

fn anybody() -> Arc<rustls::ClientConfig> {
    client(&[&TLS12, &TLS13], None)
}

fn serve_with(tls: &TlsServer) -> Server {
    serve(Config::default(), ServerConfig::default().tls(tls.clone()))
}

/// Opens a WebSocket connection, if the server lets this client do that.
fn open(address: SocketAddr, config: &Arc<rustls::ClientConfig>) -> io::Result<Secure> {
    let mut stream = connect(address, config);
    stream.write_all(&request("/", ""))?;
    let head = read_head(&mut stream)?;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    Ok(stream)
}

fn shown(stream: &Secure) -> &[CertificateDer<'static>] {
    stream.conn.peer_certificates().expect("a certificate")
}

#[test]
fn clients_still_have_to_show_certificates_when_the_servers_is_replaced() {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(&[&OTHER])), provider());
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(chain(&ONE), key(&ONE))
        .expect("they belong together");
    let tls = TlsServer::from_config(config);
    let server = serve_with(&tls);
    let known = client(&[&TLS12, &TLS13], Some(&OTHER));
    let stranger = client(&[&TLS12, &TLS13], Some(&ONE));
    for identity in [&ONE, &OTHER, &ONE] {
        tls.replace(identity.chain, identity.key).expect("they belong together");
        assert!(open(server.address(), &anybody()).is_err(), "no certificate, and let in");
        assert!(open(server.address(), &stranger).is_err(), "a stranger's, and let in");
        // Not by a session from before, in which no certificate is shown.
        let mut known = (*known).clone();
        known.resumption = rustls::client::Resumption::disabled();
        let stream = open(server.address(), &Arc::new(known)).expect("it is let in");
        assert_eq!(shown(&stream), chain(identity));
    }
}

#[test]
fn versions_suites_and_protocols_stay_when_a_certificate_is_replaced() {
    let mut provider = rustls::crypto::ring::default_provider();
    let suite = rustls::crypto::ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
    provider.cipher_suites = vec![suite];
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain(&ONE), key(&ONE))
        .expect("they belong together");
    config.alpn_protocols = vec![b"special".to_vec()];
    let tls = TlsServer::from_config(config);
    let server = serve_with(&tls);
    let mut special = (*anybody()).clone();
    special.alpn_protocols = vec![b"http/1.1".to_vec(), b"special".to_vec()];
    special.resumption = rustls::client::Resumption::disabled();
    for identity in [&ONE, &OTHER] {
        tls.replace(identity.chain, identity.key).expect("they belong together");
        assert!(open(server.address(), &client(&[&TLS12], None)).is_err());
        let stream = open(server.address(), &Arc::new(special.clone())).expect("it is let in");
        assert_eq!(shown(&stream), chain(identity));
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"special"[..]));
        assert_eq!(stream.conn.negotiated_cipher_suite(), Some(suite));
    }
}

#[test]
fn sessions_are_resumed_when_a_certificate_is_replaced() {
    let resumed = |tls: TlsServer, versions: &[&'static SupportedProtocolVersion]| {
        let server = serve_with(&tls);
        let config = client(versions, None);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut stream = open(server.address(), &config).expect("it is let in");
            // What a session is resumed by may come behind the response.
            exchange(&mut stream, b"hello");
            assert_eq!(stream.conn.handshake_kind(), Some(kind));
            assert_eq!(shown(&stream), chain(&ONE));
            tls.replace(OTHER.chain, OTHER.key).expect("they belong together");
        }
        let stream = open(server.address(), &client(versions, None)).expect("it is let in");
        assert_eq!(shown(&stream), chain(&OTHER));
    };
    for versions in [&[&TLS12], &[&TLS13]] {
        // By tickets, and by what the server remembers.
        resumed(ONE.server(), versions);
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain(&ONE), key(&ONE));
        resumed(TlsServer::from_config(config.expect("they belong together")), versions);
    }
}

/// Answers clients that name one host.
#[derive(Debug)]
struct OneHost(&'static str);

impl ResolvesServerCert for OneHost {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        (hello.server_name() == Some(self.0)).then(|| certified(&ONE))
    }
}

#[test]
fn a_resolver_that_answers_some_names_answers_no_others_when_a_certificate_is_replaced() {
    let serve_host = |host| {
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(OneHost(host)));
        let tls = TlsServer::from_config(config);
        tls.replace(OTHER.chain, OTHER.key).expect("they belong together");
        serve_with(&tls)
    };
    let stream = open(serve_host("localhost").address(), &anybody()).expect("it is let in");
    assert_eq!(shown(&stream), chain(&OTHER));
    assert!(open(serve_host("example.com").address(), &anybody()).is_err());
}

#[test]
fn a_certificate_that_cannot_be_used_leaves_the_one_there_is() {
    let tls = ONE.server();
    let server = serve_with(&tls);
    for (pem, key) in [
        (&b""[..], ONE.key),
        (b"-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n", ONE.key),
        (ONE.chain, b""),
        (ONE.chain, OTHER.key),
        (OTHER.chain, ONE.key),
        (ONE.key, ONE.chain),
    ] {
        tls.replace(pem, key).expect_err("it cannot be used");
        let mut stream = connect(server.address(), &anybody());
        upgrade(&mut stream);
        assert_eq!(shown(&stream), chain(&ONE));
    }
}

#[test]
fn a_raw_public_key_is_not_replaced_by_a_certificate() {
    let one = certified(&ONE);
    let public = one.key.public_key().expect("a public key");
    let raw = vec![CertificateDer::from(public.to_vec())];
    let raw = Arc::new(CertifiedKey::new(raw, Arc::clone(&one.key)));
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::server::AlwaysResolvesServerRawPublicKeys::new(raw)));
    let tls = TlsServer::from_config(config);
    tls.replace(ONE.chain, ONE.key).expect_err("no certificate is shown");
}

/// Notes the certificates that its peer has presented.
struct Shown(std::sync::mpsc::Sender<Vec<Vec<u8>>>);

impl Shown {
    fn tell(&self, conn: &Connection<'_>) {
        let shown = conn.peer_certificates().into_iter().map(<[u8]>::to_vec).collect();
        let _ = self.0.send(shown);
    }
}

impl WebSocketHandler<()> for Shown {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        _: &UpgradeRequest<'_>,
        _: &mut (),
    ) -> Upgrade {
        self.tell(conn);
        Upgrade::accept()
    }

    fn on_response(&mut self, conn: &mut Connection<'_>, _: &UpgradeResponse<'_>, _: &mut ()) {
        self.tell(conn);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, _: &mut ()) {
        self.tell(conn);
    }
}

#[test]
fn handlers_of_both_ends_know_the_certificates_of_the_other() {
    let tls = TlsServer::from_pem_for_clients(ONE.chain, ONE.key, OTHER.chain).expect("valid");
    let (tell, served) = std::sync::mpsc::channel();
    let config = ServerConfig::default().tls(tls);
    let server = Server::listen(Config::default(), config, Shown(tell));
    assert!(open(server.address(), &anybody()).is_err(), "no certificate, and let in");
    let known = client(&[&TLS13], Some(&OTHER));
    for _ in 0..2 {
        // The second one resumes the session of the first.
        let tls = TlsClient::from_config((*known).clone());
        let config = ClientConfig::default().tls(tls).address(server.address());
        let (tell, seen) = std::sync::mpsc::channel();
        let client = Server::start(Config::default(), move |event_loop: &mut EventLoop<()>| {
            event_loop.connect("wss://localhost/", config, Shown(tell)).expect("begin to connect")
        });
        let next =
            |shown: &std::sync::mpsc::Receiver<_>| shown.recv_timeout(PATIENCE).expect("told");
        let der = |identity| chain(identity).iter().map(|it| it.to_vec()).collect::<Vec<_>>();
        assert_eq!((next(&served), next(&seen)), (der(&OTHER), der(&ONE)));
        drop(client);
        assert_eq!((next(&served), next(&seen)), (der(&OTHER), der(&ONE)));
    }
}
