//! Clients with certificates, and the authorities that issued them.

use crate::town::Town;
use crate::wire::{Wire, client_config, connect};
use narthex_model::{CertificateAuthority, Configuration};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, SupportedProtocolVersion};
use serde_json::{Value, json};
use std::sync::Arc;

/// An authority.
pub(crate) struct Ca {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
    id: &'static str,
}

/// A certificate with its key.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: Vec<u8>,
    pub(crate) serial: String,
}

/// Two authorities may stand beside each other; these are their ids.
pub(crate) const FIRST: &str = "7f3c0a52-5a58-4d5f-9f1e-0d8a5f1f0c01";
pub(crate) const SECOND: &str = "7f3c0a52-5a58-4d5f-9f1e-0d8a5f1f0c02";

impl Client {
    /// One from PEM files of certificate and key.
    pub(crate) fn read(certificate: &str, key: &str) -> Self {
        use rustls::pki_types::pem::PemObject as _;
        let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
        let key = PrivatePkcs8KeyDer::from_pem_file(key).unwrap();
        Self { chain, key: key.secret_pkcs8_der().to_vec(), serial: String::new() }
    }
}

impl Ca {
    pub(crate) fn new(id: &'static str, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key), id }
    }

    /// A client in force until the end of 2030.
    pub(crate) fn client(&self, name: &str) -> Client {
        self.client_with(name, |_| {})
    }

    pub(crate) fn client_with(
        &self,
        name: &str,
        edit: impl FnOnce(&mut CertificateParams),
    ) -> Client {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2031, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(SerialNumber::from(0x00c0_ffee));
        params.subject_alt_names = vec![SanType::DnsName("robot.example".try_into().unwrap())];
        edit(&mut params);
        let serial = params.serial_number.as_ref().unwrap().to_bytes();
        let serial = serial.iter().map(|octet| format!("{octet:02X}")).collect();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        Client { chain: vec![leaf.der().clone()], key: key.serialize_der(), serial }
    }

    /// Puts the authority into a configuration for these hosts; `more` overrides its fields.
    pub(crate) fn put(&self, configuration: &mut Configuration, hosts: &[&str], more: Value) {
        let mut body = json!({
            "id": self.id, "name": "Staff", "kind": "access", "certificates": self.pem,
            "hostnames": hosts, "fingerprint": "", "expires_on": "2040-01-01T00:00:00Z",
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let authority: CertificateAuthority = serde_json::from_value(body).unwrap();
        configuration.certificate_authorities.insert(authority.id, Arc::new(authority));
    }

    /// The private key, PEM.
    pub(crate) fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// The same with this client revoked.
    pub(crate) fn revoke(
        &self,
        configuration: &mut Configuration,
        hosts: &[&str],
        client: &Client,
    ) {
        let more = json!({"revocation": {"serial_numbers": [client.serial]}});
        self.put(configuration, hosts, more);
    }

    /// Takes the authority away.
    pub(crate) fn remove(&self, configuration: &mut Configuration) {
        configuration.certificate_authorities.retain(|_, other| other.id.to_string() != self.id);
    }
}

/// What a client with or without a certificate offers.
pub(crate) fn config_with(town: &Town, alpn: &[&[u8]], client: Option<&Client>) -> ClientConfig {
    config_for(town, alpn, client, rustls::DEFAULT_VERSIONS)
}

pub(crate) fn config_for(
    town: &Town,
    alpn: &[&[u8]],
    client: Option<&Client>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let plain = client_config(&town.ca_pem, alpn);
    let provider = Arc::clone(plain.crypto_provider());
    let mut roots = rustls::RootCertStore::empty();
    use rustls::pki_types::pem::PemObject as _;
    roots.add(CertificateDer::from_pem_slice(town.ca_pem.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(client.key.clone()));
            builder.with_client_auth_cert(client.chain.clone(), key).unwrap()
        }
    };
    config.alpn_protocols = plain.alpn_protocols;
    config
}

/// An HTTP/1.1 connection with or without a certificate.
pub(crate) async fn wire(town: &Town, host: &str, client: Option<&Client>) -> Wire {
    let config = config_with(town, &[b"http/1.1"], client);
    Wire::new(connect(config, town.port(), host).await.unwrap())
}

pub(crate) fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
}
