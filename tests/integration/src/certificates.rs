//! The run's certificate authority, and the servers' certificates.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use rds_wrapper::iam::{Clock, SystemClock};

use crate::Result;

/// The days until the expiring certificate ends.
const DAYS_LEFT: u64 = 20;

/// The paths of the files.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// The authority that issued the server's certificate.
    pub(crate) authority: PathBuf,
    /// An authority that issued no certificate.
    pub(crate) other_authority: PathBuf,
    /// The server's certificate.
    pub(crate) certificate: PathBuf,
    /// A copy with the same key that expires in some days.
    expiring: PathBuf,
    /// A copy of the original.
    lasting: PathBuf,
    /// The server's key, which only the server can read.
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Issues a certificate for these names and writes everything into a folder.
    pub(crate) fn issue<const N: usize>(folder: &Path, names: [&str; N]) -> Result<Self> {
        let files = Self {
            authority: folder.join("ca.pem"),
            other_authority: folder.join("other-ca.pem"),
            certificate: folder.join("server.pem"),
            expiring: folder.join("expiring.pem"),
            lasting: folder.join("lasting.pem"),
            key: folder.join("server.key"),
        };
        let authority = authority("integration root")?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.map(str::to_owned))?;
        params.distinguished_name.push(DnType::CommonName, names[0]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let lasting = params.signed_by(&key, &authority)?.pem();
        fs::write(&files.certificate, &lasting)?;
        fs::write(&files.lasting, lasting)?;
        params.not_after = (SystemClock.now() + Duration::from_secs(DAYS_LEFT * 24 * 60 * 60)).into();
        fs::write(&files.expiring, params.signed_by(&key, &authority)?.pem())?;
        fs::write(&files.key, key.serialize_pem())?;
        // PostgreSQL rejects keys that others can read.
        fs::set_permissions(&files.key, Permissions::from_mode(0o600))?;
        fs::write(&files.authority, authority.pem())?;
        fs::write(&files.other_authority, self::authority("another root")?.pem())?;
        Ok(files)
    }

    /// Replaces the server's certificate by the expiring or the lasting one; the server has to
    /// reload it.
    pub(crate) fn replace(&self, expires: bool) -> Result<()> {
        let new = if expires { &self.expiring } else { &self.lasting };
        fs::write(&self.certificate, fs::read(new)?)?;
        Ok(())
    }
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}
