//! A certificate from outside, with its key: read, looked through, kept, and said what it is.
//!
//! In: two PEM texts of a person. Out: what TLS serves with and who believes it, or why not (`engine::certificate`
//! decides). Which authorities browsers bring along is as Mozilla had it when the box was made.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::certificate::{End, Presented, Standing, Unfit, Validity, Vouched, fit};
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
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
    pub vouched: Vouched,
    /// How it stood when that was last looked at.
    told: Option<Standing>,
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
        let public = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let vouched = Vouched::by(end(&chain, presented.validity, &public), chain.len());
        let provider = aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Unfit::AnotherKey,
            _ => Unfit::NoKey,
        })?;
        fit(&presented)?;
        let Presented { names, validity, .. } = presented;
        Ok(Self { key: Arc::new(key), names, validity, vouched, told: None })
    }

    /// Whether it is for the name that a client asked for; a client that asks for none has an address.
    pub(super) fn is_for(&self, asked: Option<&str>) -> bool {
        match asked {
            Some(asked) => self.names.iter().any(|name| engine::certificate::matches(name, asked)),
            None => self.names.iter().any(|name| name.parse::<std::net::IpAddr>().is_ok()),
        }
    }

    /// What there is to say if it stands otherwise than when this was asked last.
    pub(super) fn news(&mut self, now: i64) -> Option<String> {
        let standing = self.validity.standing(now);
        let before = self.told.replace(standing);
        standing.is_news(before).then(|| said(standing, self.validity))
    }

    /// Its first certificate, DER.
    pub(super) fn der(&self) -> &[u8] {
        self.key.cert.first().map_or(&[], |it| it.as_ref())
    }
}

fn said(standing: Standing, Validity { from, until }: Validity) -> String {
    let date = |at| time::OffsetDateTime::from_unix_timestamp(at).map(|it| it.date().to_string());
    let date = |at| date(at).unwrap_or_else(|_| "an unknown date".to_owned());
    let it = "the imported certificate";
    match standing {
        Standing::Early => format!(
            "{it} does not hold before {}: until then the box's own serves (is the date of the box right?)",
            date(from)
        ),
        Standing::Holds => format!("{it} serves from now on"),
        Standing::Ending => format!(
            "{it} ends on {}: renew it and `downbeat cert import` it, or browsers will warn",
            date(until)
        ),
        Standing::Expired => format!(
            "{it} has ended on {}: the box's own serves, of which browsers warn; `downbeat cert import` takes a new one",
            date(until)
        ),
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
    let is_signed = read.windows(2).all(|two| has_signed(&two[1], &two[0]));
    Some(Presented {
        names: names(first),
        validity: validity(first),
        is_authority: first.is_ca(),
        in_order,
        is_signed,
    })
}

/// By its name and by its key.
fn has_signed(signer: &X509Certificate<'_>, signed: &X509Certificate<'_>) -> bool {
    let key = signer.public_key().subject_public_key.data.as_ref();
    let (said, signature) = (signed.tbs_certificate.as_ref(), signed.signature_value.data.as_ref());
    // Whichever it is made by: no other one takes it.
    let mut ways = aws_lc_rs::default_provider().signature_verification_algorithms.all.iter();
    signed.issuer() == signer.subject()
        && ways.any(|way| way.verify_signature(key, said, signature).is_ok())
}

/// How a chain ends, where browsers bring those authorities along.
fn end(chain: &[CertificateDer<'_>], validity: Validity, public: &RootCertStore) -> End {
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
    // Of the day on which it was signed: the box may not know today's.
    let day = UnixTime::since_unix_epoch(Duration::from_secs(validity.from.max(0).unsigned_abs()));
    let is_known = chain.split_first().is_some_and(|(first, others)| {
        ParsedCertificate::try_from(first).is_ok_and(|first| {
            verify_server_cert_signed_by_trust_anchor(&first, public, others, day, algorithms)
                .is_ok()
        })
    });
    let last = chain.last().and_then(|it| x509_parser::parse_x509_certificate(it).ok());
    match last {
        _ if is_known => End::Known,
        Some((_, last)) if has_signed(&last, &last) => End::Itself,
        _ => End::Open,
    }
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

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    /// An authority, or a box's certificate, by who signs it; itself where nobody does.
    struct Made {
        params: CertificateParams,
        key: KeyPair,
        pem: String,
    }

    fn made(name: &str, is_authority: bool, signer: Option<&Made>) -> Made {
        let mut params = CertificateParams::new(["box.example.org".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        if is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.subject_alt_names.clear();
        }
        let key = KeyPair::generate().expect("a key");
        let issuer = signer.map(|it| Issuer::from_params(&it.params, &it.key));
        let certificate = match issuer {
            Some(issuer) => params.signed_by(&key, &issuer),
            None => params.self_signed(&key),
        };
        let pem = certificate.expect("signed").pem();
        Made { params, key, pem }
    }

    fn read(chain: &[&Made]) -> Result<Imported, Unfit> {
        let pems: String = chain.iter().map(|it| it.pem.as_str()).collect();
        Imported::read(pems.as_bytes(), chain[0].key.serialize_pem().as_bytes())
    }

    #[test]
    fn one_that_only_bears_the_signers_name_has_not_signed() {
        let root = made("root", true, None);
        let middle = made("middle", true, Some(&root));
        let leaf = made("leaf", false, Some(&middle));
        assert!(read(&[&leaf, &middle, &root]).is_ok());
        let forged = made("middle", true, Some(&root));
        assert_eq!(read(&[&leaf, &forged, &root]).err(), Some(Unfit::Unsigned));
        assert_eq!(read(&[&leaf, &root]).err(), Some(Unfit::Disorder), "one is missing");
    }

    #[test]
    fn a_chain_is_believed_by_everybody_where_a_public_authority_has_signed_its_end() {
        let root = made("root", true, None);
        let middle = made("middle", true, Some(&root));
        let leaf = made("leaf", false, Some(&middle));
        let ends = |chain: &[&Made], public: &[&Made]| {
            let ders = |all: &[&Made]| -> Vec<CertificateDer<'static>> {
                let der = |it: &&Made| CertificateDer::from_pem_slice(it.pem.as_bytes());
                all.iter().map(|it| der(it).expect("PEM")).collect()
            };
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(ders(public));
            let chain = ders(chain);
            end(&chain, presented(&chain).expect("read").validity, &store)
        };
        assert_eq!(ends(&[&leaf, &middle], &[&root]), End::Known);
        assert_eq!(ends(&[&leaf, &middle, &root], &[&root]), End::Known);
        assert_eq!(ends(&[&leaf], &[&root]), End::Open, "the one between is missing");
        assert_eq!(ends(&[&leaf, &middle], &[]), End::Open);
        assert_eq!(ends(&[&leaf, &middle, &root], &[]), End::Itself);
        assert!(webpki_roots::TLS_SERVER_ROOTS.len() > 50, "browsers bring some along");
        assert_eq!(read(&[&leaf]).expect("fit").vouched, Vouched::Alone);
    }
}
