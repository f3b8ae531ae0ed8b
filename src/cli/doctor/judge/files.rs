//! F: the configuration, the files it names, and who may read and change them.

use std::path::Path;

use super::super::check::{Check, Code, Fix};
use super::super::facts::files::Rights;
use super::super::facts::{node, partner};
use super::{count, folder_of, quoted};

use Code::{F01, F02, F03};

/// Read or written by somebody else than its owner.
const OTHERS: u32 = 0o077;
/// Written by anybody at all.
const ANYBODY_WRITES: u32 = 0o002;

pub(super) fn bad_configuration(config: &Path, problem: &str) -> Check {
    let fix = if config.exists() {
        Fix::Do(format!("change {} so that it says what docs/DOCTOR.md#F01 shows", quoted(config)))
    } else {
        Fix::Run(format!("liaison init --folder {}", quoted(folder_of(config))))
    };
    Check::failed(F01, problem, fix)
}

pub(super) fn bad_context(context: &Path, problem: &str) -> Check {
    let fix = Fix::Do(format!("change {} so that it says what docs/DOCTOR.md#F01 shows", quoted(context)));
    Check::failed(F01, format!("{}: {problem}", context.display()), fix)
}

pub(super) fn node(code: Code, facts: &node::Node, found: &node::Found) -> Check {
    match code {
        F01 => {
            let settings = &found.settings;
            Check::ok(
                code,
                format!("{}: node {}, partners at {}", facts.config.display(), settings.node, settings.partners),
            )
        }
        F02 => present(&found.absent, found.private.len() + found.public.len() - 1),
        F03 => closed(&found.private),
        _ => steady(&found.public),
    }
}

pub(super) fn partner(code: Code, facts: &partner::Partner, found: &partner::Found) -> Check {
    match code {
        F01 => {
            Check::ok(code, format!("{}: {}, node at {}", facts.context.display(), found.identity, found.file.node))
        }
        F02 => present(&found.absent, found.private.len() + found.public.len() - 1),
        F03 => closed(&found.private),
        _ => steady(&found.public),
    }
}

fn present(absent: &[String], named: usize) -> Check {
    let fix = || Fix::Do("put the file there, or change the line that names it".into());
    match absent {
        [] => Check::ok(F02, format!("all {named} are there")),
        absent => Check::failed(F02, absent.join("; "), fix()),
    }
}

/// A key that others can read is no longer a secret, whatever is done afterwards.
fn closed(keys: &[Rights]) -> Check {
    let known = keys.iter().filter_map(|key| Some((key, key.found.as_ref().ok()?.0)));
    let open: Vec<_> = known.clone().filter(|(_, mode)| mode & OTHERS != 0).collect();
    if open.is_empty() {
        return Check::ok(F03, format!("{}, for their owner alone", count(known.count() as u64, "key", "keys")));
    }
    let found: Vec<_> =
        open.iter().map(|(key, mode)| format!("{}: {} has mode {mode:04o}", key.key, key.path.display())).collect();
    let files: Vec<_> = open.iter().map(|(key, _)| quoted(&key.path)).collect();
    Check::failed(F03, found.join("; "), Fix::Run(format!("chmod 600 {}", files.join(" "))))
}

/// Whoever can change these decides whom the node or the partner believes.
fn steady(files: &[Rights]) -> Check {
    let known = files.iter().filter_map(|file| Some((file, file.found.as_ref().ok()?.0)));
    let open: Vec<_> = known.filter(|(_, mode)| mode & ANYBODY_WRITES != 0).collect();
    if open.is_empty() {
        return Check::ok(Code::F04, "only their owners and groups may");
    }
    let found: Vec<_> = open
        .iter()
        .map(|(file, mode)| format!("{}: anybody may write {} (mode {mode:04o})", file.key, file.path.display()))
        .collect();
    let paths: Vec<_> = open.iter().map(|(file, _)| quoted(&file.path)).collect();
    Check::failed(Code::F04, found.join("; "), Fix::Run(format!("chmod o-w {}", paths.join(" "))))
}
