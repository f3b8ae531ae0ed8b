//! S and L: what lies in the store, and whether the log is what was signed and what was seen before.

use liaison_protocol::id::{Hash, Origin};
use liaison_protocol::keyring::PublicKey;
use liaison_protocol::proto::GetStatusResponse;
use liaison_protocol::tlog::checkpoint::VerifierKey;

use super::super::check::{Check, Code, Fix, Outcome};
use super::super::facts::{Fact, Missing, and, node, partner};
use super::super::pin::{self, Growth, Seen};
use super::{count, folder_of, on, quoted, when};

use Code::{D04, L01, L02, L03, L04, L05, S01, S02, S03, S04, S05};

pub(super) fn node(code: Code, facts: &node::Node, found: &node::Found) -> Check {
    let data = quoted(&found.data.folder);
    match code {
        S01 => folder(found),
        S02 => on(
            S02,
            &found.data.store,
            || store_fix(&found.data.store, &data),
            |stored| {
                let size = stored.newest.as_ref().map_or(0, |seen| seen.checkpoint.size);
                Check::ok(
                    S02,
                    format!(
                        "{}, {}",
                        found.data.store_file.path.display(),
                        count(size, "signed leaf", "signed leaves")
                    ),
                )
            },
        ),
        S03 => writer(facts, found),
        S04 => when(S04, &found.data.reserve, S02, |there| {
            if *there {
                return Check::ok(S04, "kept for acknowledgements on a full disk");
            }
            let found = "it is not whole: it was given up on a full disk, or there never was room for it";
            Check::warning(
                S04,
                found,
                Fix::Do(format!(
                    "free 48 MiB in {data}: a node that runs makes it again, and takes submissions again"
                )),
            )
        }),
        S05 => when(S05, &found.data.store_file.found.clone().map_err(not_yet), S02, |(mode, _)| {
            if mode & 0o077 == 0 {
                return Check::ok(S05, format!("mode {mode:04o}"));
            }
            let file = quoted(&found.data.store_file.path);
            Check::failed(
                S05,
                format!("{file} has mode {mode:04o}, and it holds every notice"),
                Fix::Run(format!("chmod 600 {file}")),
            )
        }),
        L01 => checkpoint(&newest(found), &log_of(found), look_at_log(facts, found)),
        L02 => match (&found.status, &found.data.store) {
            (Err(Missing::NotHere(why)), _) => Check::skipped(L02, *why),
            _ => growth(&found.growth, &shown(found), &log_of(found)),
        },
        L03 => anchor(found),
        L05 => start(facts, found),
        _ => leaves(found),
    }
}

pub(super) fn partner(code: Code, _: &partner::Partner, found: &partner::Found) -> Check {
    let log = and(&super::directory::registered(found), |partner| {
        let known = found.directory.as_ref().map_err(Clone::clone)?;
        let node = known.records().iter().find_map(|record| match record {
            liaison_protocol::directory::RecordBody::Node(node) if node.id == partner.home => Some(node),
            _ => None,
        });
        let node = node.ok_or(Missing::After(D04))?;
        Ok((node.log_origin.clone(), node.log_key.clone()))
    });
    match code {
        L01 => {
            checkpoint(&found.checkpoint, &log, Fix::Do("tell the node's operator, and keep what you have".into()))
        }
        _ => growth(&found.growth, &found.checkpoint, &log),
    }
}

fn not_yet(missing: Missing) -> Missing {
    match missing {
        Missing::After(_) => Missing::NotHere("nothing has been stored yet"),
        other => other,
    }
}

/// The node's user must write here and read its keys, which only their owner can.
fn folder(found: &node::Found) -> Check {
    let folder = quoted(&found.data.folder);
    let keys = found.private.iter().find_map(|key| key.found.as_ref().ok());
    let fix = || Fix::Run(format!("chown -R --reference={} {folder}", quoted(&found.settings.log_key)));
    on(S01, &found.data.writable, fix, |()| match (&found.data.rights.found, keys) {
        (Ok((_, owner)), Some((_, keys))) if owner != keys => {
            let found =
                format!("{folder} belongs to user {owner}, and the keys to user {keys}: nobody can use both");
            Check::failed(S01, found, fix())
        }
        (Ok(_), _) => Check::ok(S01, format!("{folder} can be written")),
        (Err(_), _) => Check::ok(S01, format!("{folder} is made at the first start")),
    })
}

fn store_fix(store: &Fact<node::Stored>, data: &str) -> Fix {
    match store {
        Err(Missing::Failed(problem)) if problem.contains("newer program") => Fix::Look("liaison --version".into()),
        _ => Fix::Do(format!("stop the node, keep {data} as it is, and restore a backup beside it")),
    }
}

fn writer(facts: &node::Node, found: &node::Found) -> Check {
    let look = |holder: &str| Fix::Look(format!("ps -p {holder}"));
    on(
        S03,
        &found.data.holder,
        || Fix::Look(format!("ls -l {}", quoted(&found.data.folder))),
        |holder| match (holder, facts.pre) {
            (None, true) => Check::ok(S03, "nobody has the store"),
            (Some(holder), true) => Check::failed(
                S03,
                format!("process {holder} has the store: a node runs on it already"),
                look(holder),
            ),
            (Some(holder), false) => Check::ok(S03, format!("process {holder}")),
            (None, false) => match &found.status {
                Ok(_) => Check::failed(
                    S03,
                    "a node answers, and nobody has this store: it keeps its data elsewhere",
                    Fix::Look(format!("liaison status --config {}", quoted(&facts.config))),
                ),
                Err(_) => super::needs(S03, Code::C08),
            },
        },
    )
}

/// The node's log, as the directory lists it.
fn log_of(found: &node::Found) -> Fact<(Origin, PublicKey)> {
    super::directory::listed(found).map(|node| (node.log_origin, node.log_key))
}

/// The checkpoint that the running node shows; it is in no file yet when it is first shown.
fn shown(found: &node::Found) -> Fact<Seen> {
    and(&found.status, |status: &GetStatusResponse| Seen::parse(&status.checkpoint).map_err(Missing::Failed))
        .map_err(|missing| match missing {
            Missing::Failed(problem) if found.status.is_ok() => Missing::Failed(problem),
            Missing::Failed(_) => Missing::After(Code::C08),
            other => other,
        })
}

/// The newest checkpoint that can be seen: from the node, else from the store.
fn newest(found: &node::Found) -> Fact<Seen> {
    match shown(found) {
        Ok(seen) => Ok(seen),
        Err(_) => match &found.data.store {
            Ok(stored) => stored.newest.clone(),
            Err(Missing::Failed(_)) => Err(Missing::After(S02)),
            Err(missing) => Err(missing.clone()),
        },
    }
}

fn look_at_log(facts: &node::Node, found: &node::Found) -> Fix {
    Fix::Do(format!(
        "stop the node and keep {} and {} as they are: somebody else's key signed",
        quoted(&found.data.folder),
        quoted(folder_of(&facts.config))
    ))
}

fn checkpoint(newest: &Fact<Seen>, log: &Fact<(Origin, PublicKey)>, fix: Fix) -> Check {
    on(
        L01,
        newest,
        || fix.clone(),
        |seen| {
            when(L01, log, D04, |(origin, key)| match signed(seen, origin, key) {
                Ok(()) => {
                    let leaves = count(seen.checkpoint.size, "leaf", "leaves");
                    Check::ok(
                        L01,
                        format!("{leaves}, signed by {origin}, root {}…", &seen.checkpoint.root.to_hex()[..16]),
                    )
                }
                Err(why) => Check::failed(L01, why, fix.clone()),
            })
        },
    )
}

fn signed(seen: &Seen, origin: &Origin, key: &PublicKey) -> Result<(), String> {
    if seen.checkpoint.origin != *origin {
        return Err(format!("it is of log {}, the directory lists {origin}", seen.checkpoint.origin));
    }
    let key = VerifierKey::of_log(origin, key.clone()).ok_or("the listed log key is not Ed25519")?;
    seen.signed.verify(&key).map_err(|bad| bad.to_string())
}

/// Whether the log grew out of what was seen here last.
fn growth(growth: &Growth, newest: &Fact<Seen>, log: &Fact<(Origin, PublicKey)>) -> Check {
    let file = quoted(&growth.file);
    let unpin = || Fix::Run(format!("mv {file} {file}.bad"));
    when(L02, newest, L01, |now| {
        let good = log.as_ref().is_ok_and(|(origin, key)| signed(now, origin, key).is_ok());
        if !good {
            return super::needs(L02, L01);
        }
        on(L02, &growth.pinned, unpin, |pinned| {
            let Some(before) = pinned else {
                return Check::ok(
                    L02,
                    format!("first look: {} pinned in {file}", count(now.checkpoint.size, "leaf", "leaves")),
                );
            };
            let ours = log.as_ref().is_ok_and(|(origin, key)| signed(before, origin, key).is_ok());
            if !ours {
                return Check::failed(L02, format!("{file} is no checkpoint of this log"), unpin());
            }
            judge_growth(growth, before, now, &file)
        })
    })
}

fn judge_growth(growth: &Growth, before: &Seen, now: &Seen, file: &str) -> Check {
    let (old, new) = (&before.checkpoint, &now.checkpoint);
    let evidence = || {
        Fix::Do(format!(
            "keep {file} and `liaison doctor --output json`: both checkpoints are signed, and together they prove it"
        ))
    };
    if new.size < old.size {
        let found = format!("the log has {}, and {} were signed before: it was rolled back", new.size, old.size);
        return Check::failed(L02, found, evidence());
    }
    on(L02, &growth.path, evidence, |path| {
        if !pin::has_grown(old, new, path) {
            let found = format!(
                "the log of {} does not hold the {} that were signed before: two histories",
                new.size, old.size
            );
            return Check::failed(L02, found, evidence());
        }
        Check::ok(L02, format!("{} grew out of the {} seen before", count(new.size, "leaf", "leaves"), old.size))
    })
}

/// What keeps how far the log was signed, apart from the store.
fn anchor(found: &node::Found) -> Check {
    let (data, folder) = (quoted(&found.data.folder), quoted(&found.settings.anchor));
    let fix = || {
        Fix::Do(format!(
            "keep {data} and {folder} as they are, and put the newest copy of each back: a store that is older than its anchor \
             is served, and not signed on"
        ))
    };
    on(L03, &found.data.anchor, fix, |(seen, root)| {
        when(L03, &log_of(found), D04, |(origin, key)| {
            if let Err(why) = signed(seen, origin, key) {
                return Check::failed(L03, why, fix());
            }
            let size = seen.checkpoint.size;
            match root {
                Ok(root) if *root == seen.checkpoint.root => match &found.data.anchor_copy {
                    None => Check::ok(
                        L03,
                        format!("{}, as stored; both copies are whole", count(size, "leaf", "leaves")),
                    ),
                    Some(how) => Check::warning(
                        L03,
                        how.clone(),
                        Fix::Do("nothing: the node writes it anew from the other copy at its next start".into()),
                    ),
                },
                Ok(_) => {
                    Check::failed(L03, format!("it signs another history of {size} leaves than is stored"), fix())
                }
                Err(Missing::Failed(_)) if stored_size(found).is_some_and(|stored| stored < size) => Check::failed(
                    L03,
                    format!(
                        "{size} leaves were signed and {} are stored: the store was restored from an older backup",
                        stored_size(found).unwrap_or(0)
                    ),
                    fix(),
                ),
                // A node answers, and keeps its data elsewhere.
                Err(_) if found.status.is_ok() && stored_size(found).is_none() => super::needs(L03, S03),
                Err(Missing::Failed(problem)) if stored_size(found).is_none() => {
                    Check::failed(L03, problem.clone(), fix())
                }
                Err(_) => super::needs(L03, L04),
            }
        })
    })
}

/// The start's own judgement: nothing that it would find goes unsaid here.
fn start(facts: &node::Node, found: &node::Found) -> Check {
    for cause in [S02, L01, L03, L04] {
        if node(cause, facts, found).outcome == Outcome::Failed {
            return super::needs(L05, cause);
        }
    }
    let data = quoted(&found.data.folder);
    let fix = || {
        Fix::Do(format!(
            "keep {data} as it is and restore its newest backup beside it; until then a start serves what is whole and takes nothing"
        ))
    };
    on(L05, &found.data.judged, fix, |broken| match broken {
        None if found.data.store.is_err() => Check::ok(L05, "it begins the log"),
        None => Check::ok(L05, "it goes on where the log ended"),
        Some(why) => Check::failed(L05, format!("it would take and sign nothing: {why}"), fix()),
    })
}

fn stored_size(found: &node::Found) -> Option<u64> {
    let stored = found.data.store.as_ref().ok()?;
    Some(stored.newest.as_ref().ok()?.checkpoint.size)
}

/// Whether what is stored is what was signed, computed anew.
fn leaves(found: &node::Found) -> Check {
    let data = quoted(&found.data.folder);
    let fix = || Fix::Do(format!("stop the node, keep {data} as it is, and restore a backup beside it"));
    when(L04, &found.data.store, S02, |stored| {
        when(L04, &newest(found), L01, |seen| {
            on(L04, &stored.root, fix, |root| match *root == seen.checkpoint.root {
                true => Check::ok(L04, format!("the edge over {} gives the signed root", seen.checkpoint.size)),
                false => Check::failed(
                    L04,
                    format!(
                        "the stored leaves give root {}…, {}… was signed",
                        short(root),
                        short(&seen.checkpoint.root)
                    ),
                    fix(),
                ),
            })
        })
    })
}

fn short(root: &Hash) -> String {
    root.to_hex()[..16].to_string()
}
