//! Every key of the configuration, for people: docs/CONFIG.md is this table, and a test holds that it has exactly the keys that are
//! read.

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Its table.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What is written, and in which unit.
    pub kind: &'static str,
    /// What counts when it is absent; None: it must be there.
    pub default: Option<&'static str>,
    /// What is refused.
    pub bound: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// As it would stand in a file.
    pub example: &'static str,
}

/// All of them, in the order in which `liaison init` writes them.
pub static KEYS: &[Key] = &[
    Key {
        section: "node",
        name: "id",
        kind: "node identifier",
        default: None,
        bound: "1 to 32 of a-z 0-9 -, and listed in the directory",
        meaning: "Which node of the directory this is.",
        example: "\"hub-1\"",
    },
    Key {
        section: "node",
        name: "data",
        kind: "folder",
        default: None,
        bound: "made if it is not there; one running node a folder",
        meaning: "Where the store `liaison.db` with the files beside it lies. Back up all of them together.",
        example: "\"data\"",
    },
    Key {
        section: "listen",
        name: "partners",
        kind: "address and port",
        default: None,
        bound: "an IP address; port 0 lets the machine choose",
        meaning: "Where partners connect: gRPC over mutual TLS 1.3.",
        example: "\"0.0.0.0:7443\"",
    },
    Key {
        section: "listen",
        name: "connections_per_address",
        kind: "number",
        default: Some("64"),
        bound: "1 to 65535",
        meaning: "Connections from one IPv4 address or one IPv6 /64, of 4096 in all. More where many partners come through one gateway: \
                  whoever shares their address can then take the places of others.",
        example: "512",
    },
    Key {
        section: "listen",
        name: "operator",
        kind: "path",
        default: Some("`operator.sock` in `node.data`"),
        bound: "at most 107 bytes, as the kernel takes for a socket",
        meaning: "The socket for this machine's operator; mode 0600.",
        example: "\"/run/liaison/operator.sock\"",
    },
    Key {
        section: "tls",
        name: "certificate",
        kind: "PEM file",
        default: None,
        bound: "at most 64 KiB; leaf first, then its intermediates",
        meaning: "The node's certificate. A new one is taken up by `liaison reload`.",
        example: "\"pki/hub-1.pem\"",
    },
    Key {
        section: "tls",
        name: "key",
        kind: "PEM file, PKCS #8",
        default: None,
        bound: "closed to group and others; P-256; belongs to the certificate",
        meaning: "The certificate's key.",
        example: "\"pki/hub-1.key\"",
    },
    Key {
        section: "tls",
        name: "denied",
        kind: "deny list",
        default: Some("nobody but the directory shuts anybody out"),
        bound: "can be read at start; at most 4 MiB",
        meaning: "Keys and identities that are let in nowhere, one a line; live within a second, also on open lines.",
        example: "\"denied.txt\"",
    },
    Key {
        section: "[tls.revocation]",
        name: "authority",
        kind: "PEM file",
        default: None,
        bound: "one certificate of an authority",
        meaning: "Its certificates are let in only while a list in force says that they are not revoked. May stand several times.",
        example: "\"pki/ca.pem\"",
    },
    Key {
        section: "[tls.revocation]",
        name: "lists",
        kind: "files or folders",
        default: None,
        bound: "at least one",
        meaning: "Where its revocation lists lie, PEM or DER; a new one counts within a second, an older one never again.",
        example: "[\"lists\"]",
    },
    Key {
        section: "log",
        name: "key",
        kind: "PEM file, PKCS #8",
        default: None,
        bound: "closed to group and others; the Ed25519 key that the directory lists for this node's log",
        meaning: "Signs checkpoints and nothing else.",
        example: "\"keys/log.key\"",
    },
    Key {
        section: "log",
        name: "anchor",
        kind: "folder",
        default: Some("beside `node.data`, under its name and `-anchor`"),
        bound: "outside `node.data`, and not in its backups; `liaison init` makes the anchor in it, and without one no node starts",
        meaning: "Keeps how far the log was signed and which revocation lists were believed last, twice, in two files named after \
                  the log. It is what tells a store that was put back from one that is up to date.",
        example: "\"anchor\"",
    },
    Key {
        section: "directory",
        name: "folder",
        kind: "folder",
        default: None,
        bound: "holds every version from 1 on",
        meaning: "Where the authority publishes sealed directories; a new one is adopted within a second.",
        example: "\"directory\"",
    },
    Key {
        section: "directory",
        name: "trust",
        kind: "trust file",
        default: None,
        bound: "as `liaison directory show --trust FILE` writes it",
        meaning: "What the first directory is checked against.",
        example: "\"network.trust\"",
    },
    Key {
        section: "ops",
        name: "listen",
        kind: "address and port",
        default: Some("no ops port"),
        bound: "a loopback address, unless `ops.beyond_loopback` says otherwise",
        meaning: "Where monitoring asks, over plain HTTP: `/livez`, `/readyz`, `/metrics`.",
        example: "\"127.0.0.1:7480\"",
    },
    Key {
        section: "ops",
        name: "beyond_loopback",
        kind: "true or false",
        default: Some("false"),
        bound: "",
        meaning: "Lets `ops.listen` be reached from other machines. It asks nobody for a certificate: put a firewall before it.",
        example: "false",
    },
    Key {
        section: "audit",
        name: "to",
        kind: "`stderr`, `stdout`, or a path",
        default: Some("`stderr`"),
        bound: "the file can be made or appended to",
        meaning: "Where audit events go, one JSON object a line. A file that was moved away is made anew.",
        example: "\"/var/log/liaison/audit.jsonl\"",
    },
];
