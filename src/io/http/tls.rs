//! Certificates: the box's own, made, kept and renewed while the box runs; one from outside; and TLS with them.
//!
//! In: the state folder, the date, another box's authority. Out: what TLS and QUIC serve with, and the hashes by which a page
//! knows it.
//! `engine::certificate` decides when one is made and which serves. A certificate from outside serves whoever asks for a
//! name that is in it; everybody else, and QUIC, gets the box's own, which is believed by a page that was told its hash
//! and by phones that have installed the box's authority.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use engine::certificate::{Believed, Care, Standing, Unfit, Validity, Vouched, care, vouches};
use engine::cluster::trust::{Root, Teller};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::authority::Authority;
use super::imported::{self, Imported};
use crate::disk::write_whole;

/// How often the date is looked at. A box without a battery learns the date some minutes after it was switched on.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Only the box itself may read a key.
const KEY_MODE: u32 = 0o600;

/// Why there is no certificate; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The disk does not take it.
    #[error("could not keep a certificate in {}: {source}: give a place this user may write, `--state DIR`", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not be made.
    #[error("could not make a certificate: {0}")]
    Making(#[from] rcgen::Error),
    /// It could not be used.
    #[error("could not use the certificate just made: {0}")]
    Using(String),
    /// A person's is not taken.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

/// A certificate, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateGlance {
    /// Its fingerprint: SHA-256, hexadecimal.
    pub sha256: String,
    /// Hosts and addresses that it is for.
    pub names: Vec<String>,
    /// From when on it holds.
    pub from_unix_s: i64,
    /// Until when.
    pub until_unix_s: i64,
}

/// What there is, for people.
#[derive(Debug, Clone, Serialize)]
pub struct CertificatesGlance {
    /// The box's own.
    pub own: Option<CertificateGlance>,
    /// From outside.
    pub imported: Option<CertificateGlance>,
    /// Whether the one from outside serves; it does not when it has expired.
    pub imported_holds: bool,
    /// How it stands today.
    pub imported_standing: Option<Standing>,
    /// Who believes it, as far as the box knows.
    pub imported_vouched: Option<Vouched>,
    /// And what is to be said of that.
    pub imported_warning: Option<&'static str>,
    /// The box's authority.
    pub authority: CertificateGlance,
    /// What the authority is called on a phone.
    pub authority_name: String,
}

/// The certificate that serves and the one after it. TLS asks it at every handshake.
pub struct Certificates {
    folder: PathBuf,
    names: Vec<String>,
    authority: RwLock<Arc<Authority>>,
    drawer: RwLock<Drawer>,
    /// Held while certificates are made, which takes the disk.
    making: Mutex<()>,
}

/// What there is.
#[derive(Default)]
struct Drawer {
    current: Option<Kept>,
    next: Option<Kept>,
    imported: Option<Imported>,
}

/// A certificate with its key.
#[derive(Clone)]
struct Kept {
    key: Arc<CertifiedKey>,
    hash: [u8; 32],
    names: Vec<String>,
    validity: Validity,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.own()
    }
}

/// The same, but whoever asks for a name that the one from outside is for gets that.
struct WithImported(Arc<Certificates>);

impl std::fmt::Debug for WithImported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl ResolvesServerCert for WithImported {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let imported = self.0.imported(unix_now(), hello.server_name());
        imported.or_else(|| self.0.own())
    }
}

impl Certificates {
    /// What the state folder has, or new ones where it has none that holds; with what there is to say about it.
    /// `names` are the host names and addresses that the certificate is for; one that is not for `common`, the cluster's address,
    /// is made anew, while other addresses of the day may change.
    ///
    /// # Errors
    /// [`TlsError`], if nothing can serve.
    pub fn open(
        state: &Path,
        names: Vec<String>,
        common: Option<IpAddr>,
    ) -> Result<(Self, Vec<String>), TlsError> {
        Self::open_at(state, (names, common), unix_now())
    }

    fn open_at(
        state: &Path,
        (names, common): (Vec<String>, Option<IpAddr>),
        now: i64,
    ) -> Result<(Self, Vec<String>), TlsError> {
        let folder = state.join("tls");
        fs::create_dir_all(&folder)
            .map_err(|source| TlsError::Disk { path: folder.clone(), source })?;
        let mut said = Vec::new();
        let authority = RwLock::new(Arc::new(Authority::open(&folder, &mut said)?));
        let (drawer, making) = (RwLock::default(), Mutex::default());
        let this = Self { folder, names, authority, drawer, making };
        let needed = common.map(|it| it.to_string()).filter(|it| vouches(it));
        let is_for_it = |kept: &Kept| needed.as_ref().is_none_or(|it| kept.names.contains(it));
        let drawer = Drawer {
            current: this.read(CURRENT, &mut said).filter(is_for_it),
            next: this.read(NEXT, &mut said).filter(is_for_it),
            imported: this.read_imported(&mut said),
        };
        *this.drawer.write().unwrap_or_else(PoisonError::into_inner) = drawer;
        match this.look(now) {
            Ok(news) => said.extend(news),
            // The next one cannot be made, but one that holds is here.
            Err(error) if this.serves(now) => said.push(error.to_string()),
            Err(error) => return Err(error),
        }
        said.extend(this.news_of_imported(now));
        Ok((this, said))
    }

    /// Renews in time, for as long as the box runs.
    pub async fn look_after(self: Arc<Self>) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        loop {
            tick.tick().await;
            match self.look(unix_now()) {
                Ok(said) => said.iter().for_each(|line| tracing::info!("{line}")),
                Err(error) => tracing::warn!(%error, "no new certificate"),
            }
            if let Some(line) = self.news_of_imported(unix_now()) {
                tracing::warn!("{line}");
            }
        }
    }

    /// Takes a certificate from outside with its key, both PEM, and serves with it from the next handshake on.
    /// Connections that are open stay as they are. With who believes it, as far as that is known.
    ///
    /// # Errors
    /// [`TlsError::Unfit`] and [`TlsError::Disk`]; what served goes on.
    pub fn import(
        &self,
        chain: &[u8],
        key: &[u8],
    ) -> Result<(CertificateGlance, Vouched), TlsError> {
        let imported = Imported::read(chain, key)?;
        imported.validity.current(unix_now())?;
        imported::keep(&self.folder, chain, key)?;
        let glance = glance(imported.der(), imported.names.clone(), imported.validity);
        let vouched = imported.vouched;
        self.change(|drawer| drawer.imported = Some(imported));
        Ok((glance, vouched))
    }

    /// Forgets the one from outside; whether there was one.
    ///
    /// # Errors
    /// [`TlsError::Disk`], and it goes on.
    pub fn forget(&self) -> Result<bool, TlsError> {
        let path = self.folder.join(imported::FILE);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(TlsError::Disk { path, source }),
        }
        let mut drawer = self.drawer.write().unwrap_or_else(PoisonError::into_inner);
        Ok(drawer.imported.take().is_some())
    }

    /// What phones install to believe the box's own certificates, DER.
    pub fn authority(&self) -> Vec<u8> {
        self.vouches().der().to_vec()
    }

    /// The authority, for the other boxes of a cluster.
    pub fn root(&self) -> Root {
        self.vouches().root().clone()
    }

    /// The authority of another box of the cluster; whether it vouches for this box, too, from the next handshake on.
    ///
    /// # Errors
    /// [`TlsError`]; what served goes on.
    pub fn learn(&self, told: &Root, teller: Teller) -> Result<bool, TlsError> {
        self.learn_at(told, teller, unix_now())
    }

    fn learn_at(&self, told: &Root, teller: Teller, now: i64) -> Result<bool, TlsError> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let replaces = told.replaces(self.vouches().root(), teller);
        let Some(authority) = Authority::of(told).filter(|_| replaces) else { return Ok(false) };
        // Where the disk takes the one and not the other, the certificate is made anew at the next start.
        let made = self.make(&authority, CURRENT, now)?;
        authority.keep(&self.folder)?;
        // Where it stays it is of the old authority, which is seen when it is read.
        let _ = fs::remove_file(self.folder.join(NEXT));
        *self.authority.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(authority);
        self.change(|drawer| (drawer.current, drawer.next) = (Some(made), None));
        Ok(true)
    }

    fn vouches(&self) -> Arc<Authority> {
        self.authority.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one from outside, as long as it holds and somebody believes it.
    pub fn believed(&self) -> Option<Believed> {
        let drawer = self.drawer();
        let holds = drawer.imported.as_ref().filter(|it| it.validity.holds(unix_now()))?;
        Believed::of(holds.names.clone(), holds.vouched)
    }

    /// What there is, for people.
    pub fn glance(&self) -> CertificatesGlance {
        let drawer = self.drawer();
        let imported = drawer.imported.as_ref();
        let vouches = self.vouches();
        CertificatesGlance {
            own: drawer.current.as_ref().map(Kept::glance),
            imported: imported.map(|it| glance(it.der(), it.names.clone(), it.validity)),
            imported_holds: imported.is_some_and(|it| it.validity.holds(unix_now())),
            imported_standing: imported.map(|it| it.validity.standing(unix_now())),
            imported_vouched: imported.map(|it| it.vouched),
            imported_warning: imported.and_then(|it| it.vouched.warning()),
            authority: glance(vouches.der(), Vec::new(), engine::certificate::AUTHORITY),
            authority_name: vouches.name().to_owned(),
        }
    }

    fn own(&self) -> Option<Arc<CertifiedKey>> {
        self.drawer().current.as_ref().map(|kept| kept.key.clone())
    }

    fn imported(&self, now: i64, asked: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let drawer = self.drawer();
        let fits = |it: &&Imported| it.validity.holds(now) && it.is_for(asked);
        drawer.imported.as_ref().filter(fits).map(|it| it.key.clone())
    }

    /// One that does not hold today is kept: each handshake asks for the date, which a box without a battery learns late.
    fn read_imported(&self, said: &mut Vec<String>) -> Option<Imported> {
        let path = self.folder.join(imported::FILE);
        let pem = fs::read(&path).ok()?;
        Imported::read(&pem, &pem)
            .map_err(|why| said.push(format!("{} does not serve: {why}", path.display())))
            .ok()
    }

    /// What there is to say of the one from outside, which nobody renews but a person.
    fn news_of_imported(&self, now: i64) -> Option<String> {
        let mut drawer = self.drawer.write().unwrap_or_else(PoisonError::into_inner);
        drawer.imported.as_mut()?.news(now)
    }

    /// SHA-256 of the certificate that serves and of the one after it, hexadecimal.
    pub fn hashes(&self) -> Vec<String> {
        let drawer = self.drawer();
        let both = [&drawer.current, &drawer.next].into_iter().flatten();
        both.map(|kept| kept.hash.iter().map(|byte| format!("{byte:02x}")).collect()).collect()
    }

    /// TLS 1.3 with whatever serves at the time of each handshake, for the protocol of that name.
    ///
    /// # Panics
    /// Never: the provider has the version and its suites.
    pub fn server(self: &Arc<Self>, protocol: &[u8]) -> rustls::ServerConfig {
        self.serving(self.clone(), protocol)
    }

    /// The same for pages: with the certificate from outside for whoever asks for a name of it.
    pub fn server_of_pages(self: &Arc<Self>, protocol: &[u8]) -> rustls::ServerConfig {
        self.serving(Arc::new(WithImported(self.clone())), protocol)
    }

    fn serving(
        &self,
        resolver: Arc<dyn ResolvesServerCert>,
        protocol: &[u8],
    ) -> rustls::ServerConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has TLS 1.3")
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    }

    /// Does what the date asks for; what there is to say about it.
    fn look(&self, now: i64) -> Result<Vec<String>, TlsError> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let mut said = Vec::new();
        loop {
            let (current, next) = {
                let drawer = self.drawer();
                let validity = |kept: &Option<Kept>| kept.as_ref().map(|kept| kept.validity);
                (validity(&drawer.current), validity(&drawer.next))
            };
            match care(now, current, next) {
                Care::Keep => return Ok(said),
                Care::MakeCurrent => {
                    if current.is_some() {
                        said.push("the certificate does not hold today: made a new one".to_owned());
                    }
                    let made = self.make(&self.vouches(), CURRENT, now)?;
                    self.change(|drawer| drawer.current = Some(made));
                }
                Care::MakeNext => {
                    let made = self.make(&self.vouches(), NEXT, now)?;
                    self.change(|drawer| drawer.next = Some(made));
                }
                Care::TakeNext => {
                    let (next, current) = (self.folder.join(NEXT), self.folder.join(CURRENT));
                    fs::rename(&next, current)
                        .map_err(|source| TlsError::Disk { path: next, source })?;
                    self.change(|drawer| drawer.current = drawer.next.take());
                    said.push("the next certificate serves from now on".to_owned());
                }
            }
        }
    }

    fn serves(&self, now: i64) -> bool {
        self.drawer().current.as_ref().is_some_and(|kept| kept.validity.holds(now))
    }

    fn make(&self, authority: &Authority, file: &str, now: i64) -> Result<Kept, TlsError> {
        let path = self.folder.join(file);
        let pem = authority.sign(&self.names, Validity::made(now))?;
        write_whole(&path, pem.as_bytes(), KEY_MODE)
            .map_err(|source| TlsError::Disk { path, source })?;
        Kept::read(pem.as_bytes()).map_err(TlsError::Using)
    }

    /// What a file has; a file that cannot be used is said, and as good as none.
    fn read(&self, file: &str, said: &mut Vec<String>) -> Option<Kept> {
        let path = self.folder.join(file);
        let read = match fs::read(&path) {
            Ok(pem) => Kept::read(&pem).and_then(|kept| match kept.is_of(&self.vouches()) {
                true => Ok(kept),
                false => Err("the box's authority has not signed it".to_owned()),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Err(error.to_string()),
        };
        read.map_err(|why| {
            said.push(format!("could not use the certificate {}: {why}", path.display()));
        })
        .ok()
    }

    fn drawer(&self) -> std::sync::RwLockReadGuard<'_, Drawer> {
        self.drawer.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, act: impl FnOnce(&mut Drawer)) {
        act(&mut self.drawer.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Files within the folder, each a key and its certificate, PEM.
const CURRENT: &str = "current.pem";
const NEXT: &str = "next.pem";

impl Kept {
    fn read(pem: &[u8]) -> Result<Self, String> {
        let certificate =
            CertificateDer::from_pem_slice(pem).map_err(|_| "no certificate in it".to_owned())?;
        // What a reader of keys says might hold a part of one.
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| "no key in it".to_owned())?;
        let hash = Sha256::digest(&certificate).into();
        let (names, validity) = {
            let (_, read) = x509_parser::parse_x509_certificate(&certificate)
                .map_err(|_| "its certificate is none".to_owned())?;
            (imported::names(&read), imported::validity(&read))
        };
        let provider = aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(vec![certificate], key, &provider)
            .map_err(|_| "key and certificate do not belong together".to_owned())?;
        Ok(Self { key: Arc::new(key), hash, names, validity })
    }

    fn is_of(&self, authority: &Authority) -> bool {
        self.key.cert.first().is_some_and(|it| authority.is_issuer_of(it))
    }

    fn glance(&self) -> CertificateGlance {
        let der = self.key.cert.first().map_or(&[][..], |it| it.as_ref());
        glance(der, self.names.clone(), self.validity)
    }
}

fn glance(der: &[u8], names: Vec<String>, validity: Validity) -> CertificateGlance {
    let sha256 = Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect();
    let Validity { from, until } = validity;
    CertificateGlance { sha256, names, from_unix_s: from, until_unix_s: until }
}

pub(super) fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use engine::cluster::trust::Secret;

    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const TODAY: i64 = 1_790_000_000;
    const DAY: i64 = 86_400;

    fn open(state: &Path, now: i64) -> (Certificates, Vec<String>) {
        let names = vec!["localhost".into(), "10.0.0.5".into()];
        Certificates::open_at(state, (names, None), now).expect("a writable folder")
    }

    #[test]
    fn a_box_keeps_its_certificate_over_restarts_and_nobody_else_may_read_the_key() {
        let state = tempfile::tempdir().expect("a folder");
        let (first, said) = open(state.path(), TODAY);
        assert_eq!((first.hashes().len(), said.len()), (1, 0));
        assert_eq!(open(state.path(), TODAY + DAY).0.hashes(), first.hashes());
        let mode = fs::metadata(state.path().join("tls/current.pem")).expect("kept").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }

    #[test]
    fn a_cluster_s_address_that_was_given_later_is_in_the_certificate_at_the_next_start() {
        let state = tempfile::tempdir().expect("a folder");
        let (first, _) = open(state.path(), TODAY);
        let common = Some([10, 0, 0, 50].into());
        let open = || {
            let names = vec!["localhost".into(), "10.0.0.50".into()];
            Certificates::open_at(state.path(), (names, common), TODAY).expect("made").0
        };
        let second = open();
        assert_ne!(second.hashes(), first.hashes());
        assert!(second.glance().own.expect("one").names.contains(&"10.0.0.50".to_owned()));
        assert_eq!(open().hashes(), second.hashes(), "and is kept");
    }

    #[test]
    fn it_is_renewed_while_the_box_runs_and_both_hashes_are_told_before() {
        let state = tempfile::tempdir().expect("a folder");
        let (box_, _) = open(state.path(), TODAY);
        let first = box_.hashes();
        box_.look(TODAY + 8 * DAY).expect("made");
        let both = box_.hashes();
        assert_eq!((both.len(), &both[0]), (2, &first[0]));
        box_.look(TODAY + 11 * DAY).expect("taken");
        assert_eq!(box_.hashes(), both[1..]);
        assert_eq!(open(state.path(), TODAY + 11 * DAY).0.hashes(), both[1..], "and kept");
    }

    #[test]
    fn sx03_a_box_that_stands_by_takes_the_drivers_authority_and_serves_by_it() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let [(master, _), (replica, _)] = [0, 1].map(|at: usize| open(folders[at].path(), TODAY));
        let now = TODAY + 8 * DAY;
        replica.look(now).expect("the next one is made");
        let of_before = replica.hashes();
        assert_eq!(of_before.len(), 2);
        assert!(!master.learn_at(&replica.root(), Teller::Replica, now).expect("it stays"));
        assert!(replica.learn_at(&master.root(), Teller::Master, now).expect("made"));
        assert!(!replica.learn_at(&master.root(), Teller::Master, now).expect("known"));
        assert_eq!(replica.authority(), master.authority());
        let served = replica.hashes();
        assert!(served.len() == 1 && !of_before.contains(&served[0]), "of the other authority");
        let (again, said) = open(folders[1].path(), now);
        assert_eq!((again.hashes().first(), said.len()), (served.first(), 0), "kept: {said:?}");
        let nonsense = Root { renewals: 9, secret: Secret("me".into()) };
        assert!(!replica.learn_at(&nonsense, Teller::Master, now).expect("no authority"));
    }

    #[test]
    fn a_disk_that_takes_no_certificate_of_the_drivers_authority_leaves_all_as_it_was() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let [(master, _), (replica, _)] = [0, 1].map(|at: usize| open(folders[at].path(), TODAY));
        let before = (replica.authority(), replica.hashes());
        let way = folders[1].path().join("tls/current.new");
        fs::create_dir(&way).expect("in the way");
        assert!(replica.learn_at(&master.root(), Teller::Master, TODAY).is_err());
        assert_eq!((replica.authority(), replica.hashes()), before);
        fs::remove_dir(way).expect("out of the way");
        assert!(replica.learn_at(&master.root(), Teller::Master, TODAY).expect("told again"));
    }

    #[test]
    fn one_that_was_scribbled_over_or_has_ended_is_made_anew_and_that_is_said() {
        let state = tempfile::tempdir().expect("a folder");
        let first = open(state.path(), TODAY).0.hashes();
        let (later, said) = open(state.path(), TODAY + 40 * DAY);
        assert_ne!(later.hashes(), first);
        assert!(said[0].contains("does not hold today"), "{said:?}");
        fs::write(state.path().join("tls/current.pem"), "me").expect("scribbled");
        let (again, said) = open(state.path(), TODAY + 40 * DAY);
        assert_ne!(again.hashes(), later.hashes());
        assert!(said[0].contains("current.pem"), "{said:?}");
    }

    #[test]
    fn a_disk_that_takes_nothing_more_does_not_shut_a_door_that_still_has_its_certificate() {
        let state = tempfile::tempdir().expect("a folder");
        let first = open(state.path(), TODAY).0.hashes();
        fs::create_dir(state.path().join("tls/next.new")).expect("in the way");
        let (box_, said) = open(state.path(), TODAY + 8 * DAY);
        assert_eq!((box_.hashes(), said.len()), (first, 1), "{said:?}");
        fs::create_dir(state.path().join("tls/current.new")).expect("in the way");
        let ended = TODAY + 40 * DAY;
        assert!(Certificates::open_at(state.path(), (Vec::new(), None), ended).is_err());
    }

    #[test]
    fn a_key_beside_another_one_s_certificate_is_not_used() {
        let state = tempfile::tempdir().expect("a folder");
        let (box_, _) = open(state.path(), TODAY);
        let pem = || box_.vouches().sign(&[], Validity::made(TODAY)).expect("made");
        let (one, other) = (pem(), pem());
        let certificate = |pem: &str| pem[pem.find("-----BEGIN CERT").expect("one")..].to_owned();
        let key = one.replace(&certificate(&one), "");
        assert!(Kept::read(format!("{key}{}", certificate(&one)).as_bytes()).is_ok());
        assert!(Kept::read(format!("{key}{}", certificate(&other)).as_bytes()).is_err());
    }

    /// A certificate from outside that holds so long.
    fn outside(validity: Validity) -> [String; 2] {
        let date = |at| time::OffsetDateTime::from_unix_timestamp(at).expect("a date");
        let mut params =
            rcgen::CertificateParams::new(["box.example.org".to_owned()]).expect("names");
        (params.not_before, params.not_after) = (date(validity.from), date(validity.until));
        let key = rcgen::KeyPair::generate().expect("a key");
        [params.self_signed(&key).expect("signed").pem(), key.serialize_pem()]
    }

    #[test]
    fn a_box_that_learns_the_date_late_serves_with_the_one_from_outside_from_then_on() {
        let state = tempfile::tempdir().expect("a folder");
        let [chain, key] = outside(Validity { from: TODAY - DAY, until: TODAY + DAY });
        fs::create_dir(state.path().join("tls")).expect("a folder");
        imported::keep(&state.path().join("tls"), chain.as_bytes(), key.as_bytes()).expect("kept");
        let power_cut = TODAY - 200 * DAY;
        let (box_, said) = open(state.path(), power_cut);
        assert!(said.iter().any(|it| it.contains("does not hold before")), "{said:?}");
        let serves = |now| box_.imported(now, Some("box.example.org")).is_some();
        assert_eq!([power_cut, TODAY, TODAY + 2 * DAY].map(serves), [false, true, false]);
    }

    #[test]
    fn the_end_of_the_one_from_outside_is_said_before_it_comes_and_when_it_does() {
        let state = tempfile::tempdir().expect("a folder");
        let [chain, key] = outside(Validity { from: TODAY, until: TODAY + 90 * DAY });
        fs::create_dir(state.path().join("tls")).expect("a folder");
        imported::keep(&state.path().join("tls"), chain.as_bytes(), key.as_bytes()).expect("kept");
        assert!(open(state.path(), TODAY + DAY).1.is_empty(), "all is well");
        let (box_, said) = open(state.path(), TODAY + 85 * DAY);
        assert!(said.iter().any(|it| it.contains("ends on 2026-12-20")), "{said:?}");
        assert_eq!(box_.news_of_imported(TODAY + 86 * DAY), None, "once");
        let ended = box_.news_of_imported(TODAY + 91 * DAY).expect("it is said");
        assert!(ended.contains("has ended on 2026-12-20"), "{ended}");
        let (_, said) = open(state.path(), TODAY + 92 * DAY);
        assert!(said.iter().any(|it| it.contains("has ended")), "at each start: {said:?}");
    }

    #[test]
    fn no_certificate_says_its_key_when_it_is_printed() {
        let state = tempfile::tempdir().expect("a folder");
        let (box_, _) = open(state.path(), TODAY);
        let printed = format!("{box_:?}");
        assert!(!printed.contains("key") && printed.contains("tls"), "{printed}");
    }
}
