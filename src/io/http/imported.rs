//! A certificate from outside, with its key: read, looked through, kept, and said what it is.
//!
//! In: two PEM texts of a person. Out: what TLS serves with, or why not (`engine::certificate::fit` decides).

use std::path::Path;
use std::sync::Arc;

use engine::certificate::{Presented, Unfit, Validity, fit};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use super::tls::TlsError;
use crate::disk::write_whole;

/// Within the folder: the key and the chain, PEM.
pub(super) const FILE: &str = "imported.pem";

/// A chain that TLS can serve with.
#[derive(Clone)]
pub(super) struct Imported {
    pub key: Arc<CertifiedKey>,
    pub names: Vec<String>,
    pub validity: Validity,
}

impl Imported {
    /// From what a person hands over, whether it holds today or not.
    pub(super) fn read(chain: &[u8], key: &[u8]) -> Result<Self, Unfit> {
        let chain: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|_| Unfit::NoChain)?;
        // What a reader of keys says might hold a part of one.
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Unfit::NoKey)?;
        let presented = presented(&chain).ok_or(Unfit::NoChain)?;
        let provider = aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Unfit::AnotherKey,
            _ => Unfit::NoKey,
        })?;
        fit(&presented)?;
        let Presented { names, validity, .. } = presented;
        Ok(Self { key: Arc::new(key), names, validity })
    }

    /// Whether it is for the name that a client asked for; a client that asks for none has an address.
    pub(super) fn is_for(&self, asked: Option<&str>) -> bool {
        match asked {
            Some(asked) => self.names.iter().any(|name| engine::certificate::matches(name, asked)),
            None => self.names.iter().any(|name| name.parse::<std::net::IpAddr>().is_ok()),
        }
    }

    /// Its first certificate, DER.
    pub(super) fn der(&self) -> &[u8] {
        self.key.cert.first().map_or(&[], |it| it.as_ref())
    }
}

/// Keeps both, so that a restart finds them.
pub(super) fn keep(folder: &Path, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
    let path = folder.join(FILE);
    let both = [key, b"\n", chain].concat();
    write_whole(&path, &both, 0o600).map_err(|source| TlsError::Disk { path, source })
}

fn presented(chain: &[CertificateDer<'_>]) -> Option<Presented> {
    let read: Vec<X509Certificate> = chain
        .iter()
        .map(|it| x509_parser::parse_x509_certificate(it).ok().map(|(_, read)| read))
        .collect::<Option<_>>()?;
    let first = read.first()?;
    let in_order = read.windows(2).all(|two| two[0].issuer() == two[1].subject());
    Some(Presented {
        names: names(first),
        validity: validity(first),
        is_authority: first.is_ca(),
        in_order,
    })
}

pub(super) fn validity(read: &X509Certificate<'_>) -> Validity {
    let (from, until) = (read.validity().not_before, read.validity().not_after);
    Validity { from: from.timestamp(), until: until.timestamp() }
}

/// What it is for: browsers look at the alternative names alone.
pub(super) fn names(read: &X509Certificate<'_>) -> Vec<String> {
    let extension = read.subject_alternative_name().ok().flatten();
    let all = extension.map(|it| it.value.general_names.as_slice()).unwrap_or_default();
    let name = |it: &GeneralName<'_>| match it {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => address(octets),
        _ => None,
    };
    all.iter().filter_map(name).collect()
}

fn address(octets: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(octets).map(|it| std::net::IpAddr::from(it).to_string());
    let six = <[u8; 16]>::try_from(octets).map(|it| std::net::IpAddr::from(it).to_string());
    four.or(six).ok()
}
