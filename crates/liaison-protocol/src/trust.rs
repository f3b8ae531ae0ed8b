//! The trust file: what a verifier pins. The network and its authority's keys, and a C2SP tlog-policy for logs and witnesses.
//!
//! ```text
//! network sha256:…
//! threshold 1
//! authority ed25519:<64 hexadecimal digits>
//! log <vkey>
//! quorum none
//! ```

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::directory::AuthorityKeys;
use crate::id::{Micros, NetworkId, Origin, from_hex, to_hex};
use crate::keyring::{PublicKey, SignerTables};
use crate::limits::POLICY_LINES_MAX;
use crate::proto;
use crate::text::Altered;
use crate::tlog::checkpoint::{BadNote, SignedNote, TYPE_COSIGNATURE, TYPE_ED25519, VerifierKey};
use crate::tlog::cosignature;

/// Why a trust file cannot be used, and in which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("trust file{}: {problem}", at(*line))]
pub struct BadTrust {
    /// From 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

fn at(line: usize) -> String {
    if line == 0 { String::new() } else { format!(" line {line}") }
}

/// What a verifier pins.
#[derive(Clone, Debug)]
pub struct Trust {
    network: NetworkId,
    authority: AuthorityKeys,
    policy: Policy,
}

impl Trust {
    /// Reads a file's bytes; they count as they are. What happened to them on the way is said where they cannot be read for it.
    pub fn from_file(bytes: &[u8]) -> Result<Self, BadTrust> {
        let read = std::str::from_utf8(bytes)
            .map_err(|_| BadTrust { line: 0, problem: "is not UTF-8".into() })
            .and_then(str::parse);
        read.map_err(|bad| {
            let altered: Vec<_> = Altered::all(bytes).iter().map(Altered::to_string).collect();
            if altered.is_empty() { bad } else { BadTrust { problem: altered.join("; "), ..bad } }
        })
    }

    /// The network.
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// Its authority's keys.
    pub fn authority(&self) -> &AuthorityKeys {
        &self.authority
    }

    /// Which logs and witnesses count.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

/// Which checkpoints are valid (C2SP tlog-policy).
#[derive(Clone, Debug)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    /// Witnesses and groups in the order they were defined.
    names: Vec<(String, Definition)>,
    /// None: no cosignature is asked for.
    quorum: Option<usize>,
}

#[derive(Clone, Debug)]
enum Definition {
    Witness(VerifierKey),
    Group { threshold: usize, members: Vec<usize> },
}

/// Why a checkpoint is not one of a log that a policy names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOfLog {
    /// The policy names no such log.
    #[error("a log that the policy does not name")]
    Unknown,
    /// No key of that log signed it, or what says it is a signature is none.
    #[error(transparent)]
    Bad(#[from] BadNote),
}

/// What a policy found on a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// Names of the witnesses whose cosignatures verify, and when each was made.
    pub witnesses: Vec<(String, Micros)>,
    /// Whether they are the quorum; true where none is asked for.
    pub quorum: bool,
    /// Whether a quorum is asked for at all.
    pub asked: bool,
}

impl Policy {
    /// The logs accepted.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// Whether a log of this name signed a note. A log whose key was changed has several, under one name, of which one at least
    /// signed; a false signature by any of them spoils the note. Whoever asks often does so with tables.
    pub fn signed_by(
        &self,
        origin: &Origin,
        note: &SignedNote,
        tables: Option<&SignerTables>,
    ) -> Result<(), NotOfLog> {
        let (mut signed, mut unsigned) = (false, None);
        for log in self.logs.iter().filter(|log| log.name() == origin.as_str()) {
            match note.verify_with(log, tables) {
                Ok(()) => signed = true,
                Err(missing @ BadNote::NotSigned(_)) => unsigned = Some(missing),
                Err(bad) => return Err(bad.into()),
            }
        }
        if signed { Ok(()) } else { Err(unsigned.map_or(NotOfLog::Unknown, NotOfLog::Bad)) }
    }

    /// Which witnesses cosigned, and whether they suffice. A cosignature that names a known witness and is not its spoils the
    /// whole note (C2SP signed-note), even where others would be enough.
    pub fn witnessed(&self, note: &SignedNote) -> Result<Witnessed, BadNote> {
        let mut met = vec![false; self.names.len()];
        let mut witnesses = Vec::new();
        for (nth, (name, definition)) in self.names.iter().enumerate() {
            met[nth] = match definition {
                Definition::Witness(key) => match cosignature::verify(note, key) {
                    Ok(at) => {
                        witnesses.push((name.clone(), at));
                        true
                    }
                    Err(BadNote::NotSigned(_)) => false,
                    Err(bad) => return Err(bad),
                },
                Definition::Group { threshold, members } => {
                    members.iter().filter(|member| met[**member]).count() >= *threshold
                }
            };
        }
        Ok(Witnessed { witnesses, quorum: self.quorum.is_none_or(|nth| met[nth]), asked: self.quorum.is_some() })
    }
}

/// Writes a trust file for a network whose logs are not witnessed yet.
pub fn to_text(network: NetworkId, authority: &AuthorityKeys, logs: &[VerifierKey]) -> String {
    let mut text = format!("network {network}\nthreshold {}\n", authority.threshold());
    for key in authority.keys() {
        let algorithm = if key.as_ed25519().is_some() { "ed25519" } else { "ecdsa-p256" };
        text += &format!("authority {algorithm}:{}\n", to_hex(key.as_bytes()));
    }
    for log in logs {
        text += &format!("log {log}\n");
    }
    text + "quorum none\n"
}

/// Digits alone: no sign.
fn decimal(text: &str) -> Option<usize> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[derive(Default)]
struct Reading {
    network: Option<NetworkId>,
    threshold: Option<usize>,
    authority: Vec<PublicKey>,
    logs: Vec<VerifierKey>,
    names: Vec<(String, Definition)>,
    grouped: BTreeSet<usize>,
    quorum: Option<Option<usize>>,
}

impl FromStr for Trust {
    type Err = BadTrust;

    fn from_str(text: &str) -> Result<Self, BadTrust> {
        let mut reading = Reading::default();
        // C2SP tlog-policy ends lines with a newline alone, and knows no control character but the tab beside it.
        let text = text.strip_suffix('\n').unwrap_or(text);
        for (nth, line) in text.split('\n').enumerate() {
            if line.chars().any(|c| c.is_ascii_control() && c != '\t') {
                return Err(BadTrust { line: nth + 1, problem: "has a control character".into() });
            }
            let words: Vec<_> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            let comment = words.first().is_none_or(|word| word.starts_with('#'));
            if !comment {
                reading.line(&words).map_err(|problem| BadTrust { line: nth + 1, problem })?;
            }
            if nth >= POLICY_LINES_MAX {
                return Err(BadTrust { line: nth + 1, problem: format!("more than {POLICY_LINES_MAX} lines") });
            }
        }
        reading.finish().map_err(|problem| BadTrust { line: 0, problem })
    }
}

impl Reading {
    fn line(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["network", network] => {
                let network = network.parse().map_err(|bad| format!("{bad}"))?;
                once(&mut self.network, network, "network")
            }
            ["threshold", threshold] => {
                let threshold = decimal(threshold).ok_or("the threshold is not a number")?;
                once(&mut self.threshold, threshold, "threshold")
            }
            ["authority", key] => {
                self.authority.push(authority_key(key)?);
                Ok(())
            }
            ["log", key] | ["log", key, _] => {
                let key = verifier_key(key, TYPE_ED25519)?;
                if self.logs.iter().any(|log| log.public() == key.public()) {
                    return Err("the log's key stands twice".into());
                }
                self.logs.push(key);
                Ok(())
            }
            ["witness", name, key] | ["witness", name, key, _] => {
                let key = verifier_key(key, TYPE_COSIGNATURE)?;
                let twice = self.names.iter().any(
                    |(_, known)| matches!(known, Definition::Witness(other) if other.public() == key.public()),
                );
                if twice {
                    return Err("the witness's key stands twice".into());
                }
                self.define(name, Definition::Witness(key))
            }
            ["group", name, threshold, members @ ..] if !members.is_empty() => {
                let members = members.iter().map(|member| self.member(member)).collect::<Result<Vec<_>, _>>()?;
                let threshold = match *threshold {
                    "all" => members.len(),
                    "any" => 1,
                    number => decimal(number).ok_or("a group's threshold is all, any or a number")?,
                };
                if !(1..=members.len()).contains(&threshold) {
                    return Err(format!("threshold {threshold} of {} members", members.len()));
                }
                self.define(name, Definition::Group { threshold, members })
            }
            ["quorum", "none"] => once(&mut self.quorum, None, "quorum"),
            ["quorum", name] => {
                let nth = self.find(name)?;
                once(&mut self.quorum, Some(nth), "quorum")
            }
            _ => Err("expected network, threshold, authority, log, witness, group or quorum".into()),
        }
    }

    fn find(&self, name: &str) -> Result<usize, String> {
        self.names.iter().position(|(known, _)| known == name).ok_or_else(|| format!("{name} is not defined above"))
    }

    fn member(&mut self, name: &str) -> Result<usize, String> {
        let nth = self.find(name)?;
        if self.grouped.insert(nth) { Ok(nth) } else { Err(format!("{name} is in a group already")) }
    }

    fn define(&mut self, name: &str, definition: Definition) -> Result<(), String> {
        if name == "none" || self.find(name).is_ok() {
            return Err(format!("{name} is defined already"));
        }
        self.names.push((name.into(), definition));
        Ok(())
    }

    fn finish(self) -> Result<Trust, String> {
        let authority = AuthorityKeys::new(self.threshold.ok_or("no threshold line")?, self.authority)?;
        Ok(Trust {
            network: self.network.ok_or("no network line")?,
            authority,
            policy: Policy {
                logs: self.logs,
                names: self.names,
                quorum: self.quorum.ok_or("no quorum line; without witnesses it is: quorum none")?,
            },
        })
    }
}

fn once<T>(place: &mut Option<T>, value: T, what: &str) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{what} stands twice")),
    }
}

fn verifier_key(text: &str, signature_type: u8) -> Result<VerifierKey, String> {
    let key: VerifierKey = text.parse().map_err(|bad| format!("{bad}"))?;
    if key.signature_type() == signature_type {
        Ok(key)
    } else {
        Err(format!("expected a key of signature type {signature_type:#04x}"))
    }
}

fn authority_key(text: &str) -> Result<PublicKey, String> {
    let form = "an authority key is ed25519: and 64, or ecdsa-p256: and 130 hexadecimal digits";
    let (algorithm, key) = text.split_once(':').ok_or(form)?;
    let algorithm = match algorithm {
        "ed25519" => proto::Algorithm::Ed25519,
        "ecdsa-p256" => proto::Algorithm::EcdsaP256Sha256,
        _ => return Err(form.into()),
    };
    let key = proto::PublicKey { algorithm: algorithm.into(), key: from_hex(key).ok_or(form)?.into() };
    PublicKey::parse(&key).map_err(|bad| format!("{bad}"))
}
