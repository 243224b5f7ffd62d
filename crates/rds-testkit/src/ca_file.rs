//! The authority's certificate as a file in a private folder, removed on drop.

use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};

use crate::random;

#[derive(Debug)]
pub(crate) struct CaFile {
    folder: PathBuf,
    file: PathBuf,
}

impl CaFile {
    pub(crate) fn write(pem: &str) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("rds-testkit-{}", random::name::<16>()?));
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        let ca_file = Self { file: folder.join("ca.pem"), folder };
        fs::write(&ca_file.file, pem)?;
        Ok(ca_file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.file
    }
}

impl Drop for CaFile {
    fn drop(&mut self) {
        // The folder may already be removed.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
