//! C: the line to the node, step by step, and how near the node is to what it takes.

use liaison_protocol::directory::{self, RecordBody};
use liaison_protocol::id::{Hash, Micros};
use liaison_protocol::proto::GetStatusResponse;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::super::check::{Check, Code, Fix};
use super::super::facts::wire::{Tls, Wire};
use super::super::facts::{Missing, and, node, partner};
use super::certificate::{covers, pinned, validity};
use super::{count, on, quoted, span, when};
use crate::peer::{Identity, Owner, Peer};

use Code::{C01, C02, C03, C04, C05, C06, C07, C08, C09, D02, K01};

/// Between two clocks that are kept: far more than they drift in a day, far less than the five minutes at which notices are refused.
const APART_MAX: i64 = 30 * Micros::SECOND;
/// Of what a node takes, in percent, when somebody should look.
const CROWDED: u64 = 80;

pub(super) fn node(code: Code, facts: &node::Node, found: &node::Found) -> Check {
    let config = quoted(&facts.config);
    let serve = || Fix::Run(format!("liaison serve --config {config}"));
    match code {
        C01 => tcp(&found.wire, serve()),
        C02 => tls(&found.wire, Fix::Look(format!("liaison status --config {config}"))),
        C06 => {
            let address = found.settings.partners;
            let fix = || Fix::Look(format!("ss -ltnp 'sport = :{}'", address.port()));
            on(C06, &found.port, fix, |()| Check::ok(C06, format!("{address} can be listened on")))
        }
        C07 => when(C07, &found.wire.tls, C02, |tls| {
            when(C07, &found.certificate.chain, K01, |chain| on_the_line(tls, chain, &config))
        }),
        C08 => on(C08, &found.status, serve, |status| {
            Check::ok(C08, format!("{} {}, up {}", status.node, status.version, span(seconds(status.uptime_s))))
        }),
        _ => when(C09, &found.status, C08, |status| {
            crowd(status, Fix::Look(format!("liaison status --config {config}")))
        }),
    }
}

fn seconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX / Micros::SECOND).saturating_mul(Micros::SECOND)
}

pub(super) fn partner(code: Code, facts: &partner::Partner, found: &partner::Found) -> Check {
    let context = quoted(&facts.context);
    match code {
        C01 => tcp(
            &found.wire,
            Fix::Do(format!("set `node` in {context} to where the node is, or have it started: liaison serve")),
        ),
        C02 => tls(
            &found.wire,
            Fix::Do(format!(
                "set `node` in {context} to the node's own port, without a proxy that ends TLS before it"
            )),
        ),
        C03 => accepted(found),
        C04 => match &found.mailbox {
            Ok((mailbox, here)) => clock(Micros(mailbox.now_us), *here),
            Err(Missing::Failed(problem)) => {
                Check::skipped(C04, format!("the node did not say its time: {problem}"))
            }
            Err(missing) => super::without(C04, missing),
        },
        _ => when(C05, &found.wire.tls, C02, |tls| other_end(tls, facts, found)),
    }
}

fn tcp(wire: &Wire, fix: Fix) -> Check {
    on(
        C01,
        &wire.tcp,
        || fix,
        |(peer, took)| {
            let named =
                if peer.to_string() == wire.address { String::new() } else { format!("{} is ", wire.address) };
            Check::ok(C01, format!("{named}{peer}, {} ms", took.as_millis()))
        },
    )
}

fn tls(wire: &Wire, fix: Fix) -> Check {
    on(
        C02,
        &wire.tls,
        || fix.clone(),
        |tls| match tls.protocol.as_deref() {
            Some(b"h2") => Check::ok(
                C02,
                format!("{}, {}", tls.group, count(tls.chain.len() as u64, "certificate", "certificates")),
            ),
            other => {
                let agreed = other.map_or("no protocol".into(), |other| other.escape_ascii().to_string());
                Check::failed(C02, format!("{} agreed on {agreed} instead of h2", wire.address), fix.clone())
            }
        },
    )
}

/// Both what TLS said and what the first call said: a certificate may be good and its partner not admitted.
fn accepted(found: &partner::Found) -> Check {
    let both = and(&found.wire.accepted, |()| match &found.admitted {
        Err(Missing::Failed(refused)) => Err(Missing::Failed(refused.clone())),
        _ => Ok(()),
    });
    let fix = || {
        let certificate = fingerprint(found);
        Fix::Do(format!("show this line to your authority: {}, certificate {certificate}", found.identity))
    };
    on(C03, &both, fix, |()| Check::ok(C03, found.identity.to_string()))
}

fn fingerprint(found: &partner::Found) -> String {
    let leaf = found.certificate.chain.as_ref().ok().and_then(|chain| chain.first());
    leaf.map_or("none".into(), |leaf| format!("sha256:{}", Hash::of(&[leaf]).to_hex()))
}

/// `there` was read half-way between question and answer, so the way does not count.
pub(super) fn clock(there: Micros, here: Micros) -> Check {
    let apart = there.since(here);
    let side = if apart > 0 { "behind" } else { "ahead of" };
    let found = format!("this machine is {} {side} the node (limit {})", span(apart.abs()), span(APART_MAX));
    if apart.abs() > APART_MAX {
        return Check::warning(C04, found, Fix::Run("timedatectl set-ntp true".into()));
    }
    Check::ok(C04, format!("{} ms apart (limit {})", apart.abs() / 1_000, span(APART_MAX)))
}

/// Whether the other end is a node that the directory lists, and the partner's home.
fn other_end(tls: &Tls, facts: &partner::Partner, found: &partner::Found) -> Check {
    let context = quoted(&facts.context);
    let here = || {
        Fix::Do(format!(
            "set `node`, `server_name` and `authority` in {context} to those of your home, and send nothing before"
        ))
    };
    let Some((_, leaf)) = tls.chain.first().and_then(|leaf| X509Certificate::from_der(leaf).ok()) else {
        return Check::failed(C05, "the other end shows no certificate that can be read", here());
    };
    let ends =
        validity(C05, &leaf, facts.now, || Fix::Do("tell the node's operator: liaison certificate node".into()));
    if ends.outcome == super::super::check::Outcome::Failed {
        return ends;
    }
    let host = found.wire.address.rsplit_once(':').map_or(found.wire.address.as_str(), |(host, _)| host);
    let name = found.file.server_name.as_deref().unwrap_or(host);
    if !covers(&tls.chain, name) {
        return Check::failed(C05, format!("it is not for {name}"), here());
    }
    let issued =
        when(C05, &found.authority, Code::F02, |authority| match issued_by(&tls.chain, authority, facts.now) {
            Ok(()) => ends.clone(),
            Err(why) => Check::failed(
                C05,
                format!("the authority in {} did not issue it: {why}", found.file.authority.display()),
                here(),
            ),
        });
    if issued.outcome != super::super::check::Outcome::Ok {
        return issued;
    }
    when(C05, &found.directory, D02, |known| {
        let peer = match Peer::from_verified_chain(&tls.chain, known.head().name()) {
            Ok(peer) => peer,
            Err(bad) => return Check::failed(C05, bad.to_string(), here()),
        };
        let Identity::Node(id) = peer.identity() else {
            return Check::failed(C05, format!("the other end is {}, no node", peer.identity()), here());
        };
        let node = known.records().iter().find_map(|record| match record {
            RecordBody::Node(node) if node.id == *id => Some(node),
            _ => None,
        });
        let Some(node) = node else {
            return Check::failed(C05, format!("node {id} is not in the directory"), here());
        };
        judge_node(node, known.head().name(), tls, facts, found, ends)
    })
}

fn judge_node(
    node: &directory::Node,
    network: &liaison_protocol::id::NetworkName,
    tls: &Tls,
    facts: &partner::Partner,
    found: &partner::Found,
    ends: Check,
) -> Check {
    let here = || Fix::Do(format!("set `node` in {} to an address of your home", quoted(&facts.context)));
    let owner = Owner::Node(node.id.clone());
    let identities = pinned(network, owner, &node.tls_authorities, &node.tls_keys, std::iter::empty());
    if let Err(bad) = identities.admit(&tls.chain, facts.now) {
        return Check::failed(C05, format!("node {}: {bad}", node.id), here());
    }
    match super::directory::registered(found) {
        Ok(partner) if partner.home != node.id => {
            Check::failed(C05, format!("it is node {}, and your home is {}", node.id, partner.home), here())
        }
        _ => Check { found: format!("node {}, {}", node.id, ends.found), ..ends },
    }
}

fn issued_by(chain: &[CertificateDer<'_>], authorities: &[CertificateDer<'_>], now: Micros) -> Result<(), String> {
    let (leaf, intermediates) = chain.split_first().ok_or("no certificate")?;
    let anchors: Vec<_> = authorities.iter().filter_map(|der| anchor_from_trusted_cert(der).ok()).collect();
    let since = std::time::Duration::from_micros(u64::try_from(now.0).unwrap_or(0));
    let now = UnixTime::since_unix_epoch(since);
    EndEntityCert::try_from(leaf)
        .and_then(|leaf| {
            leaf.verify_for_usage(
                ALL_VERIFICATION_ALGS,
                &anchors,
                intermediates,
                now,
                KeyUsage::server_auth(),
                None,
                None,
            )
            .map(drop)
        })
        .map_err(|error| error.to_string())
}

/// What partners see, and what would be seen after a reload.
fn on_the_line(tls: &Tls, file: &[CertificateDer<'_>], config: &str) -> Check {
    match (tls.chain.first(), file.first()) {
        (Some(shown), Some(held)) if shown == held => {
            Check::ok(C07, format!("the one in the file, sha256:{}…", &Hash::of(&[held]).to_hex()[..16]))
        }
        _ => Check::failed(
            C07,
            "the node shows another certificate than the one in the file",
            Fix::Run(format!("liaison reload --config {config}")),
        ),
    }
}

pub(super) fn crowd(status: &GetStatusResponse, look: Fix) -> Check {
    let per_partner = u64::from(status.connections_per_partner_max);
    let places = [
        ("connections".to_string(), u64::from(status.connections), u64::from(status.connections_max)),
        ("handshakes".to_string(), u64::from(status.handshakes), u64::from(status.handshakes_max)),
    ];
    let partners = status.mailboxes.iter().map(|mailbox| {
        (format!("connections of {}", mailbox.partner), u64::from(mailbox.connections), per_partner)
    });
    let crowded = |(_, now, max): &(String, u64, u64)| *max > 0 && now * 100 >= max * CROWDED;
    let crowded: Vec<_> = places.into_iter().chain(partners).filter(crowded).collect();
    if crowded.is_empty() {
        return Check::ok(
            C09,
            format!("{} of {}, {} handshakes", status.connections, status.connections_max, status.handshakes),
        );
    }
    let full = crowded.iter().any(|(_, now, max)| now >= max);
    let found: Vec<_> = crowded.iter().map(|(what, now, max)| format!("{now} of {max} {what}")).collect();
    let found = found.join("; ");
    if full { Check::failed(C09, found, look) } else { Check::warning(C09, found, look) }
}
