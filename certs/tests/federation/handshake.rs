use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::quic::{ServerConnection, Version};
use rustls::version::TLS13;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, NamedGroup, ProtocolVersion,
    ServerConfig, SignatureScheme,
};
use synod_certs::tls::{self, ALPN, fixed_clock};
use synod_certs::{Authority, CertificateOf, Identity, Role, SERVER_NAME, Subject, explain, explain_alert, peer_of};

use crate::world::{Connected, DAY, Stopped, authority, coordinator, handshake, identity, name, now, site};

fn server_at(identity: &Identity, time: SystemTime) -> Arc<ServerConfig> {
    tls::server(identity, fixed_clock(time)).unwrap()
}

fn client_at(identity: &Identity, time: SystemTime) -> Arc<ClientConfig> {
    tls::client(identity, fixed_clock(time)).unwrap()
}

#[test]
fn both_sides_learn_who_the_other_is_over_post_quantum_tls_13() {
    let authority = authority();
    let (hub, vincent) = (identity(&authority, &coordinator()), identity(&authority, &site()));
    let Connected { server, client } = handshake(server_at(&hub, now()), client_at(&vincent, now())).unwrap();

    let seen_by_server = peer_of(&server.peer_certificates().unwrap()[0]).unwrap();
    let seen_by_client = peer_of(&client.peer_certificates().unwrap()[0]).unwrap();
    assert_eq!((&seen_by_server, &seen_by_client), (vincent.as_peer(), hub.as_peer()));
    assert_eq!((seen_by_server.role, seen_by_server.name.as_str()), (Role::Site, "st-vincent"));
    assert_eq!((seen_by_client.role, seen_by_client.name.as_str()), (Role::Coordinator, "hub"));

    for side in [&*server as &rustls::CommonState, &*client as &rustls::CommonState] {
        assert_eq!(side.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
        assert_eq!(side.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(side.alpn_protocol(), Some(ALPN));
    }
}

#[test]
fn operators_and_observers_connect_too() {
    let authority = authority();
    let hub = identity(&authority, &coordinator());
    for (subject, role) in
        [(Subject::operator(name("ada")), Role::Operator), (Subject::observer(name("board")), Role::Observer)]
    {
        let member = identity(&authority, &subject);
        let connected = handshake(server_at(&hub, now()), client_at(&member, now())).unwrap();
        assert_eq!(peer_of(&connected.server.peer_certificates().unwrap()[0]).unwrap().role, role);
    }
}

#[test]
fn quinn_takes_both_configurations() {
    let authority = authority();
    let (hub, vincent) = (identity(&authority, &coordinator()), identity(&authority, &site()));
    quinn::crypto::rustls::QuicServerConfig::try_from(server_at(&hub, now())).unwrap();
    quinn::crypto::rustls::QuicClientConfig::try_from(client_at(&vincent, now())).unwrap();
}

#[test]
fn no_session_is_resumed_even_by_a_client_that_tries() {
    let authority = authority();
    let (hub, vincent) = (identity(&authority, &coordinator()), identity(&authority, &site()));
    let server = server_at(&hub, now());
    let mut eager = ClientConfig::clone(&client_at(&vincent, now()));
    eager.resumption = Resumption::in_memory_sessions(8);
    eager.enable_early_data = true;
    let eager = Arc::new(eager);
    for _ in 0..2 {
        let connected = handshake(Arc::clone(&server), Arc::clone(&eager)).unwrap();
        assert_eq!(connected.client.handshake_kind(), Some(rustls::HandshakeKind::Full));
        assert_eq!(connected.client.tls13_tickets_received(), 0);
    }
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let authority = authority();
    let hub = identity(&authority, &coordinator());
    let nobody = with_alpn(careless_client().with_no_client_auth());
    let Err(Stopped::ByServer(error, alert)) = handshake(server_at(&hub, now()), nobody) else {
        panic!("it must be refused");
    };
    assert_eq!((&error, alert), (&Error::NoCertificatesPresented, AlertDescription::CertificateRequired));
    assert_told(&error, alert, "showed no certificate", "no certificate was shown");
}

#[test]
fn a_stranger_is_refused_by_either_side() {
    let (ours, theirs) = (authority(), authority());
    let (hub, stranger_hub) = (identity(&ours, &coordinator()), identity(&theirs, &coordinator()));
    let (vincent, stranger) = (identity(&ours, &site()), identity(&theirs, &site()));

    let Err(Stopped::ByClient(error, alert)) = handshake(server_at(&stranger_hub, now()), client_at(&vincent, now()))
    else {
        panic!("the client must refuse");
    };
    assert_told(&error, alert, "another authority", "another authority");

    // A stranger's client would refuse our coordinator first, so it gets a client that accepts everybody.
    let careless = with_client_identity(&stranger);
    let Err(Stopped::ByServer(error, alert)) = handshake(server_at(&hub, now()), careless) else {
        panic!("the server must refuse");
    };
    assert_told(&error, alert, "another authority", "another authority");
}

#[test]
fn certificates_out_of_their_time_are_refused_by_either_side() {
    let authority = authority();
    let (hub, vincent) = (identity(&authority, &coordinator()), identity(&authority, &site()));
    for (time, told) in [(now() + 3 * DAY, "expired on"), (now() - 3 * DAY, "is valid from")] {
        let Err(Stopped::ByClient(error, alert)) = handshake(server_at(&hub, now()), client_at(&vincent, time)) else {
            panic!("the client must refuse");
        };
        assert_told(&error, alert, told, "expired or is not valid yet");
        let Err(Stopped::ByServer(error, alert)) = handshake(server_at(&hub, time), client_at(&vincent, now())) else {
            panic!("the server must refuse");
        };
        assert_told(&error, alert, told, "expired or is not valid yet");
    }
    let behind = now() - Duration::from_secs(240);
    handshake(server_at(&hub, behind), client_at(&vincent, now())).expect("a clock 4 minutes behind is no obstacle");
}

#[test]
fn a_site_cannot_serve() {
    let authority = authority();
    let vincent = identity(&authority, &site());
    let refused = tls::server(&vincent, fixed_clock(now())).unwrap_err().to_string();
    assert!(refused.contains("could not serve as site st-vincent"), "{refused}");

    // And one that does so all the same, with a server of its own making, is refused by clients.
    let rogue = rogue_server(parts(&vincent));
    let victim = identity(&authority, &Subject::site(name("north")));
    let Err(Stopped::ByClient(error, alert)) = handshake(rogue, client_at(&victim, now())) else {
        panic!("the client must refuse");
    };
    assert!(matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::NotValidForNameContext { .. } | CertificateError::InvalidPurposeContext { .. }
        )
    ));
    assert!(
        !explain(&error).to_string().is_empty() && !explain_alert(u8::from(alert), CertificateOf::Peer).why.is_empty()
    );
}

#[test]
fn a_coordinator_cannot_connect() {
    let authority = authority();
    let hub = identity(&authority, &coordinator());
    let refused = tls::client(&hub, fixed_clock(now())).unwrap_err().to_string();
    assert!(refused.contains("could not connect as coordinator hub"), "{refused}");

    let rogue = with_client_identity(&hub);
    let Err(Stopped::ByServer(error, alert)) = handshake(server_at(&hub, now()), rogue) else {
        panic!("the server must refuse");
    };
    assert_eq!(alert, AlertDescription::UnsupportedCertificate);
    assert_told(&error, alert, "for another role", "for another role");
}

/// The permitted uses alone let these certificates through; what they say about their holder must stop them. Our authority
/// never signs such a certificate, so the test signs with rcgen and the authority's own key file.
#[test]
fn the_role_is_checked_beside_the_permitted_uses() {
    let authority = authority();
    let (hub, vincent) = (identity(&authority, &coordinator()), identity(&authority, &site()));

    let (certificate, key) =
        forged(&authority, "synod:coordinator:mallory", rcgen::ExtendedKeyUsagePurpose::ClientAuth);
    let rogue = careless_client().with_client_auth_cert(vec![certificate], key).unwrap();
    let Err(Stopped::ByServer(error, alert)) = handshake(server_at(&hub, now()), with_alpn(rogue)) else {
        panic!("the server must refuse");
    };
    assert_told(&error, alert, "coordinator mallory", "for another role");

    let rogue = rogue_server(forged(&authority, "synod:site:mallory", rcgen::ExtendedKeyUsagePurpose::ServerAuth));
    let Err(Stopped::ByClient(error, alert)) = handshake(rogue, client_at(&vincent, now())) else {
        panic!("the client must refuse");
    };
    assert_told(&error, alert, "site mallory", "for another role");
}

#[test]
fn another_protocol_version_is_refused() {
    let authority = authority();
    let (hub, vincent) = (identity(&authority, &coordinator()), identity(&authority, &site()));
    let mut next = ClientConfig::clone(&client_at(&vincent, now()));
    next.alpn_protocols = vec![b"synod/99".to_vec()];
    let Err(Stopped::ByServer(error, alert)) = handshake(server_at(&hub, now()), Arc::new(next)) else {
        panic!("the server must refuse");
    };
    assert_eq!(error, Error::NoApplicationProtocol);
    assert_told(&error, alert, "another protocol version", "no common protocol version");
}

#[test]
fn tls_12_is_refused() {
    let hub = identity(&authority(), &coordinator());
    let mut server = ServerConnection::new(server_at(&hub, now()), Version::V1, Vec::new()).unwrap();
    let error = server.read_hs(&tls_12_client_hello()).unwrap_err();
    assert_told(&error, server.alert().unwrap(), "does not speak TLS 1.3", "no common protocol version");
}

/// `error` is told to the side that refuses and `alert` to the side that is refused.
fn assert_told(error: &Error, alert: AlertDescription, here: &str, there: &str) {
    let (refuser, refused) = (explain(error), explain_alert(u8::from(alert), CertificateOf::ThisMachine));
    assert!(refuser.to_string().contains(here), "{error:?}: {refuser}");
    assert!(refused.to_string().contains(there), "{alert:?}: {refused}");
    assert_eq!(explain(&Error::AlertReceived(alert)), refused);
}

/// A client that accepts any server, so that what happens next is the server's doing.
fn careless_client() -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_details(Arc::new(default_provider()), fixed_clock(now()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Careless))
}

fn with_alpn(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![ALPN.to_vec()];
    Arc::new(config)
}

/// A client that shows `identity` and accepts any server.
fn with_client_identity(identity: &Identity) -> Arc<ClientConfig> {
    let (certificate, key) = parts(identity);
    with_alpn(careless_client().with_client_auth_cert(vec![certificate], key).unwrap())
}

/// A server of somebody's own making, which shows any certificate and asks for none.
fn rogue_server((certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>)) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_details(Arc::new(default_provider()), fixed_clock(now()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Arc::new(config)
}

/// What a thief of the identity's folder has.
fn parts(identity: &Identity) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    use rustls::pki_types::pem::PemObject;

    let folder = tempfile::tempdir().unwrap();
    identity.save(folder.path(), synod_certs::Overwrite::Refuse).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.path().join("key.pem")).unwrap();
    (identity.certificate().clone(), key)
}

fn forged(
    authority: &Authority,
    uri: &str,
    usage: rcgen::ExtendedKeyUsagePurpose,
) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let folder = tempfile::tempdir().unwrap();
    authority.save(folder.path(), synod_certs::Overwrite::Refuse).unwrap();
    let key_text = std::fs::read_to_string(folder.path().join("authority.key.pem")).unwrap();
    let issuer_key = rcgen::KeyPair::from_pem(&key_text).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_der(authority.certificate(), issuer_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names =
        vec![rcgen::SanType::URI(uri.try_into().unwrap()), rcgen::SanType::DnsName(SERVER_NAME.try_into().unwrap())];
    params.extended_key_usages = vec![usage];
    let certificate = params.signed_by(&key, &issuer).unwrap();
    (certificate.into(), PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}

/// A well-formed ClientHello as a TLS 1.2 client sends it: no `supported_versions`.
fn tls_12_client_hello() -> Vec<u8> {
    let extensions = [
        &[0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00, 0x1d][..], // supported_groups: x25519
        &[0x00, 0x0d, 0x00, 0x04, 0x00, 0x02, 0x04, 0x03],     // signature_algorithms: ecdsa_secp256r1_sha256
    ]
    .concat();
    let body = [
        &[0x03, 0x03][..],         // TLS 1.2
        &[7; 32],                  // random
        &[0x00],                   // no session
        &[0x00, 0x02, 0xc0, 0x2b], // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        &[0x01, 0x00],             // no compression
        &u16::try_from(extensions.len()).unwrap().to_be_bytes(),
        &extensions,
    ]
    .concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[0x01][..], &length[1..], &body].concat()
}

/// Accepts every server, as an attacker's client may.
#[derive(Debug)]
struct Careless;

impl ServerCertVerifier for Careless {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &synod_certs::ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
