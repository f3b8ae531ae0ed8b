//! What goes into a support bundle. Each item fails by itself and says why in its own place.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::anchor::Anchor;
use crate::app;
use crate::cli::{operate, output};
use crate::clock::{Clock as _, SystemClock};
use crate::config::folder::open_all;
use crate::config::{AuditTo, Settings};
use crate::telemetry::events::EVENTS;

/// The last events of the audit: some thousand lines.
const AUDIT_TAIL_BYTES: u64 = 256 << 10;
/// A file that is read whole has no more than this.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// A node that does not answer by then has said enough.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// One file of the bundle.
pub(super) struct Item {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) bytes: Vec<u8>,
}

impl Item {
    fn text(name: &'static str, about: &'static str, text: Result<String, String>) -> Self {
        let text = text.unwrap_or_else(|problem| format!("not available: {problem}\n"));
        Self { name, about, bytes: text.into_bytes() }
    }

    fn json(name: &'static str, about: &'static str, value: Result<Value, String>) -> Self {
        Self::text(name, about, value.map(|value| format!("{value:#}\n")))
    }
}

pub(super) async fn gather(config: &Path) -> Vec<Item> {
    let settings = Settings::read(config);
    let mut items =
        vec![Item::json("about.json", "versions of program and system, and when this was made", Ok(about()))];
    let status = operate::status_of(config).await;
    items.push(Item::json("status.json", "what `liaison status` says", status));
    let settings = match settings {
        Ok(settings) => settings,
        Err(bad) => {
            items.push(Item::text(
                "configuration.txt",
                "why the configuration cannot be used",
                Ok(format!("{bad}\n")),
            ));
            return items;
        }
    };
    items.push(Item::text(
        "configuration.toml",
        "the configuration in effect, without comments",
        Ok(configuration(&settings)),
    ));
    let check =
        app::check(&settings).await.map(|checked| format!("{checked:?}\n")).map_err(|error| error.to_string());
    items.push(Item::text("check.txt", "what `liaison serve --check` says", check));
    items.push(Item::text(
        "checkpoint.txt",
        "the last signed checkpoint of the log, which is public",
        anchor(&settings),
    ));
    items.push(Item::json(
        "directory.json",
        "version, dates and sizes of the newest directory; no names",
        directory(&settings),
    ));
    items.push(Item::json("machine.json", "sizes of the node's files, room on the disk", machine(&settings)));
    items.push(Item::text("limits.txt", "what the system allows the node's process", limits(&settings)));
    for (name, path, about) in [
        ("readyz.txt", "/readyz", "whether the node is ready, and why not"),
        ("metrics.txt", "/metrics", "the node's counters; they name partners' identifiers"),
    ] {
        let answer = match settings.ops {
            Some(address) => ask(address, path).await,
            None => Err("the configuration names no ops port".into()),
        };
        items.push(Item::text(name, about, answer));
    }
    items.push(Item::text(
        "audit-tail.jsonl",
        "the last audit events: identifiers, addresses, reasons",
        audit_tail(&settings.audit),
    ));
    items
}

fn about() -> Value {
    let first =
        |file: &str| whole(Path::new(file)).unwrap_or_default().lines().next().unwrap_or_default().to_owned();
    let release = whole(Path::new("/etc/os-release")).unwrap_or_default();
    let release = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or_default();
    json!({
        "liaison": env!("CARGO_PKG_VERSION"),
        "architecture": std::env::consts::ARCH,
        "kernel": first("/proc/sys/kernel/osrelease"),
        "system": release.trim_matches('"'),
        "processors": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "made_at": output::time(output::now()),
    })
}

/// Every key with the value that counts. Paths below the file's folder are shown from there; whose home another lies in is left out.
fn configuration(settings: &Settings) -> String {
    let folder = settings.file.parent().unwrap_or(Path::new("")).display().to_string();
    let (mut text, mut table) = (String::new(), "");
    for (section, name, value) in settings.effective() {
        if section != table {
            text += &format!("[{section}]\n");
            table = section;
        }
        let below =
            value.strip_prefix(&folder).filter(|_| !folder.is_empty()).map(|rest| rest.trim_start_matches('/'));
        let shown = match (below, value.strip_prefix("/home/")) {
            (Some(below), _) => below.to_owned(),
            (None, Some(home)) => format!("/home/…/{}", home.split_once('/').map_or("", |(_, rest)| rest)),
            (None, None) => value,
        };
        text += &format!("{name} = {shown:?}\n");
    }
    text
}

fn directory(settings: &Settings) -> Result<Value, String> {
    let trust = whole(&settings.trust)?.parse().map_err(|bad| format!("{bad}"))?;
    let all = open_all(&settings.directory, &trust).map_err(|bad| bad.to_string())?;
    let newest = all.last().ok_or("no sealed directory")?;
    let head = newest.head();
    Ok(json!({
        "network": head.network().to_string(),
        "version": head.version().0,
        "issued_at": output::time(head.issued_at()),
        "renew_by": output::time(head.renew_by()),
        "partners": newest.partners().count(),
        "nodes": newest.nodes().count(),
        "groups": newest.groups().count(),
        "agreements": newest.agreements().len(),
    }))
}

/// The last signed checkpoint, as the anchor keeps it.
fn anchor(settings: &Settings) -> Result<String, String> {
    let trust = whole(&settings.trust)?.parse().map_err(|bad| format!("{bad}"))?;
    let all = open_all(&settings.directory, &trust).map_err(|bad| bad.to_string())?;
    let node = all.last().and_then(|newest| newest.node(&settings.node)).ok_or("no directory lists this node")?;
    let anchor = Anchor::open(&settings.anchor, &node.log_origin).map_err(|bad| bad.to_string())?;
    let checkpoint = anchor.content().checkpoint.ok_or("nothing has been signed yet")?;
    Ok(String::from_utf8_lossy(&checkpoint).into_owned())
}

fn machine(settings: &Settings) -> Result<Value, String> {
    let listed = std::fs::read_dir(&settings.data).map_err(|error| error.to_string())?.flatten();
    let files = listed.filter_map(|entry| {
        let about = entry.metadata().ok()?;
        Some((entry.file_name().to_string_lossy().into_owned(), Value::from(about.len())))
    });
    let disk = rustix::fs::statvfs(&settings.data).map_err(|error| error.to_string())?;
    Ok(json!({
        "files_bytes": files.collect::<serde_json::Map<_, _>>(),
        "disk_bytes": disk.f_blocks * disk.f_frsize,
        "disk_free_bytes": disk.f_bavail * disk.f_frsize,
        "inodes_free": disk.f_favail,
    }))
}

/// The writer's lock names its process.
fn limits(settings: &Settings) -> Result<String, String> {
    let holder = whole(&settings.data.join("liaison.db.lock"))?;
    let process: u32 = holder.trim().parse().map_err(|_| "the store's lock names no process".to_owned())?;
    whole(Path::new(&format!("/proc/{process}/limits")))
}

fn whole(path: &Path) -> Result<String, String> {
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().map_err(|error| error.to_string())
}

/// Events of the catalogue with the fields it gives them: whatever else somebody wrote into that file stays where it is.
fn audit_tail(audit: &AuditTo) -> Result<String, String> {
    let AuditTo::File(path) = audit else {
        return Err("the audit does not go to a file".into());
    };
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(AUDIT_TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(AUDIT_TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().map_err(|error| error.to_string())?;
    Ok(text.lines().filter_map(audit_line).collect())
}

fn audit_line(line: &str) -> Option<String> {
    let Ok(Value::Object(mut said)) = serde_json::from_str(line) else { return None };
    let event = EVENTS.iter().find(|event| said.get("event").is_some_and(|name| name == event.name))?;
    said.retain(|field, _| {
        ["time", "level", "event"].contains(&field.as_str()) || event.fields.contains(&field.as_str())
    });
    Some(format!("{}\n", Value::Object(said)))
}

async fn ask(address: SocketAddr, path: &str) -> Result<String, String> {
    let asking = async {
        let mut line = TcpStream::connect(address).await?;
        line.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        line.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let clock = SystemClock::new();
    let answer = tokio::select! {
        answer = asking => answer.map_err(|error| error.to_string())?,
        () = clock.until(ANSWER_MAX) => return Err(format!("{address} did not answer within 5 s")),
    };
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no answer in HTTP")?;
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_107_only_events_of_the_catalogue_with_their_own_fields_go_into_a_bundle() {
        let line =
            r#"{"event":"refused","level":"warn","partner":"FR","reason":"BUSY","time":"t","subject":"Doe, John"}"#;
        let kept = audit_line(line).unwrap();
        assert!(kept.contains("\"partner\":\"FR\"") && !kept.contains("Doe"), "{kept}");
        for other in ["Doe, John", r#"{"event":"made.up","name":"Doe"}"#, r#"["refused"]"#, ""] {
            assert_eq!(audit_line(other), None, "{other}");
        }
    }
}
