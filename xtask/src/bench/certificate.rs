//! The certificate that all peers show: ECDSA with P-256, which is what most sites have.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{shell, tools};

/// The folder with `cert.pem`, `key.pem`, and both in `both.pem`; made at the first call for this folder.
pub(crate) fn provide(folder: &Path) -> Result<PathBuf> {
    let folder = folder.join("certificate");
    let both = folder.join("both.pem");
    if both.exists() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let mut openssl = Command::new(tools::find("openssl").context("openssl is not installed")?);
    openssl
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "30", "-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert);
    shell::read(&mut openssl)?;
    let text = std::fs::read_to_string(&cert)? + &std::fs::read_to_string(&key)?;
    std::fs::write(&both, text).with_context(|| format!("cannot write {}", both.display()))?;
    Ok(folder)
}
