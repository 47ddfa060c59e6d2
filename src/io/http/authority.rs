//! The box's own certificate authority, or its cluster's: made once, kept, and what it vouches for.
//!
//! In: the state folder, the authority of another box. Out: certificates that it has signed, and its own, which a phone may install. Who installs an
//! authority believes all that it ever signs, so this one can vouch for private addresses and local names alone
//! (`engine::certificate::vouches`): whoever steals its key cannot pose as a bank.

use std::fs;
use std::io;
use std::path::Path;

use engine::certificate::{self, Validity, vouches};
use engine::cluster::trust::{Root, Secret};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::tls::TlsError;
use crate::disk::write_whole;

/// Within the folder: its key and its certificate, PEM.
const FILE: &str = "authority.pem";

/// The box's own authority.
pub(super) struct Authority {
    root: Root,
    key: KeyPair,
    name: String,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// The one in the folder, or a new one; with what there is to say about it.
    pub(super) fn open(folder: &Path, said: &mut Vec<String>) -> Result<Self, TlsError> {
        let path = folder.join(FILE);
        let why = match fs::read_to_string(&path) {
            Ok(text) => match Self::read(text) {
                Some(this) => return Ok(this),
                None => Some("it holds no authority".to_owned()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = why {
            let path = path.display();
            said.push(format!(
                "could not use the authority {path}: {why}: made a new one, which phones have to install anew"
            ));
        }
        let this = Self::read(made()?)
            .ok_or_else(|| TlsError::Using("the authority just made is none".to_owned()))?;
        this.keep(folder)?;
        Ok(this)
    }

    /// Another box's.
    pub(super) fn of(told: &Root) -> Option<Self> {
        Self::read(told.secret.0.clone())
    }

    /// In the folder, in the place of the one before.
    pub(super) fn keep(&self, folder: &Path) -> Result<(), TlsError> {
        let path = folder.join(FILE);
        write_whole(&path, self.root.secret.0.as_bytes(), 0o600)
            .map_err(|source| TlsError::Disk { path, source })
    }

    /// For the other boxes of a cluster.
    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    fn read(text: String) -> Option<Self> {
        let key = KeyPair::from_pem(&text).ok()?;
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        let (_, read) = x509_parser::parse_x509_certificate(&certificate).ok()?;
        let belongs = read.public_key().raw == key.subject_public_key_info();
        let name = read.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
        let root = Root { renewals: 0, secret: Secret(text) };
        belongs.then(|| Self { root, key, name, certificate: certificate.into_owned() })
    }

    /// A key and its certificate, PEM: ECDSA with P-256, as browsers want it where they go by the hash. Names that this
    /// authority cannot vouch for are left out.
    pub(super) fn sign(
        &self,
        names: &[String],
        validity: Validity,
    ) -> Result<String, rcgen::Error> {
        self.sign_for(names.iter().filter(|name| vouches(name)).cloned().collect(), validity)
    }

    fn sign_for(&self, names: Vec<String>, validity: Validity) -> Result<String, rcgen::Error> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names)?;
        (params.not_before, params.not_after) = (date(validity.from), date(validity.until));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.distinguished_name = named("Downbeat");
        let issuer = Issuer::new(params_of(&self.name), &self.key);
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
    }

    /// Whether it has signed a certificate, as far as that says so.
    pub(super) fn is_issuer_of(&self, certificate: &CertificateDer<'_>) -> bool {
        let read = x509_parser::parse_x509_certificate(certificate);
        let issuer = read.ok().and_then(|(_, it)| {
            let name = it.issuer().iter_common_name().next()?.as_str().ok()?.to_owned();
            Some(name)
        });
        issuer.as_ref() == Some(&self.name)
    }

    /// What phones install, DER.
    pub(super) fn der(&self) -> &[u8] {
        &self.certificate
    }

    /// What it is called on a phone.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

fn made() -> Result<String, rcgen::Error> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let hash = Sha256::digest(key.subject_public_key_info());
    // Two boxes are two authorities, and a phone lists them by name.
    let mark: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let certificate = params_of(&format!("Downbeat {mark}")).self_signed(&key)?;
    Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
}

fn params_of(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let holds = certificate::AUTHORITY;
    (params.not_before, params.not_after) = (date(holds.from), date(holds.until));
    let networks = certificate::VOUCHED_NETWORKS.iter().filter_map(|it| it.parse().ok());
    let networks = networks.map(GeneralSubtree::IpAddress);
    let names = certificate::VOUCHED_NAMES.iter();
    let names = names.map(|name| GeneralSubtree::DnsName((*name).to_owned()));
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: networks.chain(names).collect(),
        excluded_subtrees: Vec::new(),
    });
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::CommonName, name);
    all
}

fn date(unix: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::{ServerName, UnixTime};

    /// Whether whoever has installed the authority believes that this is `name`.
    fn believed(authority: &Authority, pem: &str, name: &'static str) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider);
        let shown = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        let name = ServerName::try_from(name).expect("a name");
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_790_000_000));
        let verifier = verifier.build().expect("it has a root");
        verifier.verify_server_cert(&shown, &[], &name, &[], now).is_ok()
    }

    #[test]
    fn whoever_steals_the_authority_s_key_cannot_pose_as_a_bank() {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::open(folder.path(), &mut Vec::new()).expect("made");
        let validity = Validity::made(1_790_000_000);
        let sign = |names: &[&str]| {
            let names = names.iter().map(|it| (*it).to_owned()).collect();
            authority.sign_for(names, validity).expect("signed")
        };
        let ours = sign(&["downbeat.local", "10.0.0.5", "localhost"]);
        for name in ["downbeat.local", "10.0.0.5", "localhost"] {
            assert!(believed(&authority, &ours, name), "{name}");
        }
        for name in ["bank.example", "8.8.8.8"] {
            assert!(!believed(&authority, &sign(&[name]), name), "{name}");
        }
        let all = ["10.0.0.5", "8.8.8.8", "bank.example"].map(str::to_owned);
        let honest = authority.sign(&all, validity).expect("signed");
        assert!(believed(&authority, &honest, "10.0.0.5"), "what it cannot vouch for is left out");
    }

    #[test]
    fn an_authority_is_kept_and_one_that_was_scribbled_over_is_made_anew_and_that_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || {
            let mut said = Vec::new();
            let authority = Authority::open(folder.path(), &mut said).expect("made");
            (authority.der().to_vec(), said.len())
        };
        let (first, _) = open();
        assert_eq!(open(), (first.clone(), 0));
        fs::write(folder.path().join(FILE), "me").expect("scribbled");
        let (again, said) = open();
        assert!(again != first && said == 1);
    }
}
