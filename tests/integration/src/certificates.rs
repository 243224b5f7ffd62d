//! An authority of the run's own and the servers' certificate.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::Result;

/// Where the files are.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// The authority that signed the server's certificate.
    pub(crate) authority: PathBuf,
    /// An authority that signed nothing.
    pub(crate) other_authority: PathBuf,
    /// The server's certificate.
    pub(crate) certificate: PathBuf,
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
            key: folder.join("server.key"),
        };
        let authority = authority("integration root")?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.map(str::to_owned))?;
        params.distinguished_name.push(DnType::CommonName, names[0]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        fs::write(&files.certificate, params.signed_by(&key, &authority)?.pem())?;
        fs::write(&files.key, key.serialize_pem())?;
        // PostgreSQL takes no key that others can read.
        fs::set_permissions(&files.key, Permissions::from_mode(0o600))?;
        fs::write(&files.authority, authority.pem())?;
        fs::write(&files.other_authority, self::authority("another root")?.pem())?;
        Ok(files)
    }
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}
