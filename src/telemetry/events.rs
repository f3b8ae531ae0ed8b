//! The one catalogue of audit events: names, reason words and fields are fixed, and docs/AUDIT.md is this table for people.

use liaison_protocol::reason::Reason;

/// Said by the audit itself when it could not say everything.
pub(super) const LAG: &str = "audit.lag";

/// The reasons an event may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reasons {
    /// It gives none.
    None,
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of `liaison_protocol::reason`.
    Refusals,
}

impl Reasons {
    pub(super) fn count(self) -> usize {
        match self {
            Self::None => 0,
            Self::Words(words) => words.len(),
            Self::Refusals => Reason::ALL.len(),
        }
    }

    /// The word at a place; `other` beyond the last, nothing where there are none.
    pub(super) fn word(self, nth: usize) -> &'static str {
        match self {
            Self::None => "",
            Self::Words(words) => words.get(nth).copied().unwrap_or("other"),
            Self::Refusals => Reason::ALL.get(nth).map_or("other", |reason| reason.word()),
        }
    }

    pub(super) fn place(self, word: Option<&str>) -> usize {
        let word = word.unwrap_or_default();
        (0..self.count()).find(|nth| self.word(*nth) == word).unwrap_or(self.count())
    }
}

/// One kind of event.
#[derive(Debug)]
pub struct Event {
    /// Its fixed name.
    pub name: &'static str,
    /// What may stand in `reason`.
    pub reasons: Reasons,
    /// What may stand beside `time`, `level` and `event`; anything else said with it is not written.
    pub fields: &'static [&'static str],
    /// Callers can cause it at will, so it is gathered by the first of these fields that it has, and by its reason. None: each is a
    /// line.
    pub by: &'static [&'static str],
    /// What has happened, and whose move it is.
    pub meaning: &'static str,
}

impl Event {
    /// What may stand in a metric's label for its reason, from the start and at 0; nothing for those of the whole catalogue.
    pub fn reason_labels(&self) -> impl Iterator<Item = &'static str> {
        let (reasons, last) = (self.reasons, self.reasons.count());
        (0..=last).filter(move |_| matches!(reasons, Reasons::Words(_))).map(move |nth| reasons.word(nth))
    }
}

pub(super) fn find(name: &str) -> Option<(usize, &'static Event)> {
    EVENTS.iter().enumerate().find(|(_, event)| event.name == name)
}

/// All of them.
pub static EVENTS: &[Event] = &[
    Event {
        name: "node.started",
        reasons: Reasons::None,
        fields: &["node", "version", "log_size", "directory"],
        by: &[],
        meaning: "The node serves partners from now on: its version, the leaves in its log, the directory in force.",
    },
    Event {
        name: "node.stopped",
        reasons: Reasons::None,
        fields: &["log_size"],
        by: &[],
        meaning: "The node stops because it was asked to; everything taken is committed, signed and answered.",
    },
    Event {
        name: "drain",
        reasons: Reasons::None,
        fields: &["unfinished"],
        by: &[],
        meaning: "Calls or streams did not end within the time that a stop gives them, and were cut.",
    },
    Event {
        name: "tls.reject",
        reasons: Reasons::Words(&[
            "no_certificate",
            "malformed",
            "ambiguous_identity",
            "other_network",
            "wrong_eku",
            "wrong_key_usage",
            "weak_key",
            "chain_too_complex",
            "unknown_issuer",
            "key_not_pinned",
            "expired",
            "not_yet_valid",
            "name_constraint",
            "bad_chain",
            "denied",
            "revoked",
            "revoked_ca",
            "crl_stale",
            "crl_missing",
            "protocol",
        ]),
        fields: &["reason", "detail", "peer_address", "certificate_sha256", "serial", "issuer", "count"],
        by: &["peer_address"],
        meaning: "A handshake was refused. The certificate is named by its digest; its body and subject are never written.",
    },
    Event {
        name: "conn.limited",
        reasons: Reasons::Words(&[
            "connections",
            "connections_per_address",
            "handshakes",
            "silent_per_address",
            "connections_per_owner",
            "silent",
            "slow_handshake",
            "slow_reader",
        ]),
        fields: &["reason", "identity", "peer_address", "count"],
        by: &["identity", "peer_address"],
        meaning: "A connection was turned away or cut because a limit stands against it.",
    },
    Event {
        name: "h2.abuse",
        reasons: Reasons::Words(&["goaway", "frames"]),
        fields: &["reason", "code", "identity", "peer_address", "count"],
        by: &["identity"],
        meaning: "A caller was cut off for what it did with HTTP/2: told to go away with that error code (`goaway`), or more frames of that kind than its calls and our answers explain (`frames`).",
    },
    Event {
        name: "call.limited",
        reasons: Reasons::Words(&["calls_per_owner", "bytes_per_owner", "bytes"]),
        fields: &["reason", "identity", "count"],
        by: &["identity"],
        meaning: "A call was refused because its caller has more under way than it may.",
    },
    Event {
        name: "session.revoked",
        reasons: Reasons::Refusals,
        fields: &["reason", "owner", "lines", "calls"],
        by: &[],
        meaning: "Somebody who was on the line may not be any more: so many lines end, with so many calls under way.",
    },
    Event {
        name: "call.refused",
        reasons: Reasons::Refusals,
        fields: &["reason", "identity", "count"],
        by: &["identity"],
        meaning: "Whoever is on the line may not call at all: not in the directory, suspended, or in another role.",
    },
    Event {
        name: "refused",
        reasons: Reasons::Refusals,
        fields: &["reason", "partner", "count"],
        by: &["partner"],
        meaning: "A notice or acknowledgement of this partner was refused. Nothing of what was sent is written.",
    },
    Event {
        name: "policy.loaded",
        reasons: Reasons::None,
        fields: &["version"],
        by: &[],
        meaning: "Another directory is in force from now on; the log states it.",
    },
    Event {
        name: "reload_failed",
        reasons: Reasons::None,
        fields: &["problem"],
        by: &[],
        meaning: "A file that changed cannot be used. What was in force stays in force.",
    },
    Event {
        name: "cert.rotated",
        reasons: Reasons::None,
        fields: &["certificate"],
        by: &[],
        meaning: "Handshakes show another certificate from now on; its digest.",
    },
    Event {
        name: "cert.rotation_failed",
        reasons: Reasons::None,
        fields: &["error"],
        by: &[],
        meaning: "The node's new certificate or key cannot be used. The old pair stays in use.",
    },
    Event {
        name: "cert.expiring",
        reasons: Reasons::None,
        fields: &["certificate", "over", "left_s"],
        by: &[],
        meaning: "The node's certificate ends within 30, 7 or 1 days, or has ended.",
    },
    Event {
        name: "deny_list.loaded",
        reasons: Reasons::None,
        fields: &["entries"],
        by: &[],
        meaning: "Another deny list is in force.",
    },
    Event {
        name: "deny_list.refused",
        reasons: Reasons::None,
        fields: &["problem"],
        by: &[],
        meaning: "The deny list cannot be used. The one before stays in force.",
    },
    Event {
        name: "crl.loaded",
        reasons: Reasons::None,
        fields: &["authority", "number"],
        by: &[],
        meaning: "A newer revocation list is in force.",
    },
    Event {
        name: "crl.refused",
        reasons: Reasons::Words(&["crl_bad", "crl_stale", "crl_rollback"]),
        fields: &["reason", "file", "problem"],
        by: &[],
        meaning: "A revocation list is not believed. The one before stays in force.",
    },
    Event {
        name: "crl.missing",
        reasons: Reasons::None,
        fields: &["authority"],
        by: &[],
        meaning: "No list of this authority is in force, so none of its certificates is let in.",
    },
    Event {
        name: "crl.expiring",
        reasons: Reasons::Words(&["crl_stale"]),
        fields: &["reason", "authority", "number", "left_s"],
        by: &[],
        meaning: "A revocation list is about to be over and no newer one has come.",
    },
    Event {
        name: "crl.stale",
        reasons: Reasons::Words(&["crl_stale"]),
        fields: &["reason", "authority", "number", "left_s"],
        by: &[],
        meaning: "A revocation list is over: certificates of its authority are not let in until a newer one comes.",
    },
    Event {
        name: "crl.not_remembered",
        reasons: Reasons::None,
        fields: &["error"],
        by: &[],
        meaning: "The number of a revocation list could not be written down; after a restart an older one could be brought back.",
    },
    Event {
        name: "files_stalled",
        reasons: Reasons::None,
        fields: &["path"],
        by: &[],
        meaning: "A watched file or folder cannot be looked at, because its file system does not answer. What it held stays in force until it does.",
    },
    Event {
        name: "clock.jump",
        reasons: Reasons::None,
        fields: &[],
        by: &[],
        meaning: "Wall clock and monotonic clock differ by more than 5 minutes: nothing expires until the node is restarted.",
    },
    Event {
        name: "anchor_behind",
        reasons: Reasons::None,
        fields: &["file", "error"],
        by: &[],
        meaning: "There is no room to write the anchor: nothing is taken until there is, because a restored backup could no longer be \
                  told from the store.",
    },
    Event {
        name: "disk_full",
        reasons: Reasons::None,
        fields: &["reserve"],
        by: &[],
        meaning: "The store has no room: submissions are refused, what waits can still be collected and acknowledged. `reserve`: false where there is none left, and acknowledging may stop, too.",
    },
    Event {
        name: "disk_room",
        reasons: Reasons::None,
        fields: &[],
        by: &[],
        meaning: "The store has room for its reserve and a margin again: submissions are taken.",
    },
    Event {
        name: "store_away",
        reasons: Reasons::None,
        fields: &["why"],
        by: &[],
        meaning: "The store cannot be reached, because another program holds its lock or its server does not answer: nothing is taken, or a start waits.",
    },
    Event {
        name: "store_back",
        reasons: Reasons::None,
        fields: &[],
        by: &[],
        meaning: "The store can be reached again: everything goes on.",
    },
    Event {
        name: "fd_limit",
        reasons: Reasons::None,
        fields: &["error", "count"],
        by: &["error"],
        meaning: "No connection can be accepted for want of file descriptors or memory; accepting pauses and goes on.",
    },
    Event {
        name: "integrity",
        reasons: Reasons::None,
        fields: &["leaf", "what", "frames", "count"],
        by: &["leaf", "what"],
        meaning: "Stored bytes fail their hash, or an unfinished end of `frames` frames was cut off the write-ahead log after a crash. \
                  Keep the store as it is, and restore or ask for help.",
    },
    Event {
        name: "recovering",
        reasons: Reasons::None,
        fields: &["what"],
        by: &[],
        meaning: "The store is older than what was signed, or damaged, and what says so. What is whole is served, nothing is taken or \
                  signed. Bring the newest store back.",
    },
    Event {
        name: "storage.fatal",
        reasons: Reasons::None,
        fields: &["why"],
        by: &[],
        meaning: "The disk, the log's key or the memory cannot be trusted: the process ends. Look before starting it again.",
    },
    Event {
        name: LAG,
        reasons: Reasons::None,
        fields: &["lost"],
        by: &[],
        meaning: "So many events before this line could not be written, because the sink was blocked or full. Traffic went on.",
    },
];
