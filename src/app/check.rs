//! Looking at everything a start would look at, and starting nothing: `liaison serve --check`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::files::Exclusions;
use super::{CannotServe, Read, history};
use crate::config::{AuditTo, Settings, regular};
use crate::sequencer::Judgement;

/// A PKCS #8 key in PEM is a few hundred bytes.
const KEY_BYTES_MAX: u64 = 64 << 10;

/// What a check found that nothing stands against.
#[derive(Debug)]
pub struct Checked {
    /// The newest directory in the folder.
    pub directory: u64,
    /// A node with this configuration is running: its ports and its store are in use, as they should be, and were not tried.
    pub running: bool,
    /// Why a start would come up without a writer. None: it would not, or the node is running.
    pub recovering: Option<String>,
}

/// Says what a start would say, and changes nothing: no folder is made, no port is kept.
pub async fn check(settings: &Settings) -> Result<Checked, CannotServe> {
    let read = Read::all(settings)?;
    let running = UnixStream::connect(&settings.operator).is_ok();
    if !running {
        let bad = |key, path: &Path| {
            let path = path.to_owned();
            move |error: io::Error| CannotServe::File { key, path, problem: error.to_string() }
        };
        if let AuditTo::File(file) = &settings.audit {
            appendable(file).map_err(bad("audit.to", file))?;
        }
        writable(&settings.data).map_err(bad("node.data", &settings.data))?;
    }
    let anchor = history::anchor(settings, &read.origin)?;
    Exclusions::check(settings, anchor.whole(), read.newest().head().name())?;
    let mut recovering = None;
    if !running {
        if let Judgement::Broken(why) =
            history::judged(settings, &anchor, &read.origin, read.log_key.verifier()).await?
        {
            recovering = Some(why.to_string());
        }
        free("listen.partners", settings.partners)?;
        settings.ops.map_or(Ok(()), |address| free("ops.listen", address))?;
    }
    Ok(Checked { directory: read.newest().head().version().0, running, recovering })
}

/// Whether files can be made in a folder, or in the nearest one above it that is there.
fn writable(folder: &Path) -> io::Result<()> {
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let probe = there.join(format!(".liaison-check-{}", std::process::id()));
    File::create_new(&probe)?;
    std::fs::remove_file(probe)
}

/// Whether a file can be appended to, or made where it is not there yet.
fn appendable(file: &Path) -> io::Result<()> {
    if file.exists() {
        return OpenOptions::new().append(true).open(file).map(drop);
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::metadata(folder)?;
    writable(folder)
}

fn free(key: &'static str, address: SocketAddr) -> Result<(), CannotServe> {
    let bind = |source| CannotServe::Bind { key, address: address.to_string(), source };
    TcpListener::bind(address).map(drop).map_err(bind)
}

/// The text of a key file, which must be closed to group and others. Bytes and permissions are those of one and the same open file.
pub(super) fn private_text(path: &Path) -> Result<String, String> {
    let (file, metadata) = regular::open(path).map_err(|error| error.to_string())?;
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        return Err("a private key must be closed to group and others: chmod 600".into());
    }
    let mut text = String::new();
    file.take(KEY_BYTES_MAX).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}
