"""What may be believed, and why: every check of docs/PROTOCOL.md that a partner needs, with no network and no clock.

Each check holds, or raises `Failed` with what was expected and what was found. Numbers in parentheses are the page's
sections.
"""

import base64
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from google.protobuf.unknown_fields import UnknownFieldSet
from liaison_stubs import pb

DAY_US = 24 * 3600 * 1_000_000
KEPT_DAYS = {1: 30, 2: 366, 3: 5 * 366, 4: 10 * 366}


class Failed(Exception):
    """A check that does not hold."""


def expect(what, expected, found):
    if expected != found:
        expected, found = (v.hex() if isinstance(v, bytes) else str(v).strip() for v in (expected, found))
        raise Failed(f"{what}: expected {expected}, found {found}")


def only(what, expected, found):
    """The item of a list that must have exactly one."""
    if len(found) != 1:
        raise Failed(f"{what}: expected {expected}, found {len(found) or 'none'}")
    return found[0]


def sha256(*pieces):
    return hashlib.sha256(b"".join(pieces)).digest()


def number(value, width):
    return value.to_bytes(width, "big")


def from_base64(text):
    """Base64 in its one form."""
    raw = base64.b64decode(text, validate=True)
    expect("base64", base64.b64encode(raw).decode(), text)
    return raw


def is_signed(key, text, signature):
    """Whether a `PublicKey` made a signature (2)."""
    try:
        if key.algorithm == pb.ALGORITHM_ED25519:
            ed25519.Ed25519PublicKey.from_public_bytes(key.key).verify(signature, text)
        else:
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.key)
            point.verify(signature, text, ec.ECDSA(SHA256()))
        return True
    except (InvalidSignature, ValueError):
        return False


def payload_type(kind):
    return f"application/vnd.liaison.{kind}.v1+protobuf"


def encoding(kind, payload):
    """What is signed, and hashed to name a payload: DSSE's pre-authentication encoding (3)."""
    name = payload_type(kind)
    return f"DSSEv1 {len(name)} {name} {len(payload)} ".encode() + payload


def commitment(role, part):
    """Of a part, in a manifest (4)."""
    return sha256(b"liaison-part-v1", number(role, 1), number(len(part.bytes), 8), part.salt, part.bytes)


def item_data(item):
    """Leaf data of an acknowledged item (5)."""
    reason = item.reason.encode()
    place, said = number(item.leaf_index, 8), number(item.verdict, 1)
    length = number(len(reason), 2)
    return sha256(b"liaison-acknowledged-item-v1", item.salt, place, item.notice_id, said, length, reason)


def root_of(leaves):
    """The root over leaf data in order (RFC 6962 section 2.1)."""
    if len(leaves) == 1:
        return sha256(b"\0", leaves[0])
    left = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1", root_of(leaves[:left]), root_of(leaves[left:]))


def check_path(what, leaf, index, size, path, root):
    """That leaf data lies at its place under a root (RFC 9162 section 2.1.3.2)."""
    found, node, last, fits = sha256(b"\0", leaf), index, size - 1, index < size
    for sibling in path:
        fits = fits and last > 0
        if node & 1 or node == last:
            found = sha256(b"\1", sibling, found)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            found = sha256(b"\1", found, sibling)
        node, last = node >> 1, last >> 1
    if not fits or last > 0:
        raise Failed(f"{what}: expected a path for place {index} of {size}, found one of {len(path)} hashes")
    expect(f"{what}: root", root, found)


class Trust:
    """A trust file (9)."""

    def __init__(self, text):
        lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        said = lambda word: [line[1] for line in lines if line[0] == word]
        algorithms = {"ed25519": pb.ALGORITHM_ED25519, "ecdsa-p256": pb.ALGORITHM_ECDSA_P256_SHA256}
        authority = [key.partition(":") for key in said("authority")]
        self.network = bytes.fromhex(only("trust file", "one network", said("network")).removeprefix("sha256:"))
        self.threshold = int(only("trust file", "one threshold", said("threshold")))
        self.authority = [pb.PublicKey(algorithm=algorithms[a], key=bytes.fromhex(key)) for a, _, key in authority]
        self.logs = {}
        for name, short, key in (log.split("+", 2) for log in said("log")):
            typed = from_base64(key)
            expect(f"trust file: type of the key of log {name}", b"\1", typed[:1])
            hashed = sha256(name.encode(), b"\n", typed)[:4]
            expect(f"trust file: short hash of the key of log {name}", hashed.hex(), short)
            self.logs[name] = hashed, pb.PublicKey(algorithm=pb.ALGORITHM_ED25519, key=typed[1:])
        expect("trust file: quorum, as witnesses are not counted here", ["none"], said("quorum"))


class Directory:
    """A directory head that the pinned authority signed, and records that lead to its root (6)."""

    def __init__(self, trust, head, proofs=()):
        envelope = pb.Envelope.FromString(head)
        expect("directory head: payload type", payload_type("directory-head"), envelope.payload_type)
        signed, head = encoding("directory-head", envelope.payload), pb.DirectoryHead.FromString(envelope.payload)
        sets = (("pinned", trust.authority, trust.threshold), ("own", head.authority_keys, head.threshold))
        for whose, keys, threshold in sets:
            found = sum(any(is_signed(key, signed, each.sig) for each in envelope.signatures) for key in keys)
            if found < max(threshold, 1):
                wanted = f"signatures by {threshold} of its {len(keys)} {whose} authority keys"
                raise Failed(f"directory head: expected {wanted}, found {found}")
        self.trust, self.version, self.digest = trust, head.version, sha256(signed)
        expect("directory head: must_understand", 1, head.must_understand)
        expect("directory head: network", trust.network, self.digest if head.version == 1 else head.network)
        self.records = {"partner": [], "key": [], "node": [], "group": [], "agreement": []}
        for proof in proofs:
            data = sha256(b"liaison-record-v1", proof.salt, proof.record)
            check_path(f"record {proof.index}", data, proof.index, head.record_count, proof.path, head.records_root)
            record = pb.Record.FromString(proof.record)
            body = record.WhichOneof("body")
            # What only a newer program can read allows nothing here: a body, or what narrows a key or an agreement.
            said = getattr(record, body) if body else None
            newer = [field.field_number for field in UnknownFieldSet(said)] if body in ("key", "agreement") else []
            if said is not None and not any(16 <= number < 64 for number in newer):
                self.records[body].append(said)

    def number(self, partner):
        found = [record.number for record in self.records["partner"] if record.id == partner]
        return only("directory", f"one record of partner {partner}", found)

    def check_signed(self, kind, envelope, signer, usage, at_us):
        """That a partner's key, in force at that time, signed an envelope of this kind in this network (3)."""
        expect(f"{kind}: payload type", payload_type(kind), envelope.payload_type)
        expect(f"{kind}: network", b"\x0a\x20" + self.trust.network, envelope.payload[:34])
        keys = [key for key in self.records["key"] if key.partner == signer and key.usage == usage]
        keys = [key for key in keys if not key.denied and key.not_before_us <= at_us < key.not_after_us]
        signed, signature = encoding(kind, envelope.payload), only(kind, "one signature", envelope.signatures).sig
        if not any(is_signed(key.public_key, signed, signature) for key in keys):
            raise Failed(f"{kind}: expected a signature by {signer}, found none by its {len(keys)} keys in force")


class Receipt:
    """A receipt whose statement opens a leaf under a checkpoint that a pinned log signed (8, steps 2 and 3)."""

    def __init__(self, trust, receipts, nth):
        receipt = receipts.receipts[nth]
        # Its own, and those that others of these receipts show too.
        self.items = [*receipt.items, *(receipts.items[place] for place in receipt.shared_items)]
        text, _, signatures = receipts.checkpoint.decode().rpartition("\n\n")
        self.origin, size, root = text.split("\n")
        self.leaf_index, self.size = receipt.leaf_index, int(size)
        entry = b"\1" + sha256(b"liaison-entry-v1", receipt.salt, receipt.statement)
        path = [receipts.hashes[32 * place : 32 * place + 32] for place in receipt.path]
        check_path("inclusion", entry, self.leaf_index, self.size, path, from_base64(root))
        if self.origin not in trust.logs:
            raise Failed(f"checkpoint: expected a log of the trust file, found {self.origin}")
        short, self.log_key = trust.logs[self.origin]
        *lines, end = signatures.split("\n")
        expect("checkpoint: after the last line", "", end)
        named = [line.split(" ")[2] for line in lines if line.startswith(f"— {self.origin} ")]
        by_key = [raw[4:] for raw in map(from_base64, named) if raw[:4] == short]
        if not by_key or not all(is_signed(self.log_key, f"{text}\n".encode(), each) for each in by_key):
            raise Failed(f"checkpoint: expected a signature by {self.origin} with key {short.hex()}, found none of it")
        self.statement = pb.Statement.FromString(receipt.statement)
        expect("statement: must_understand", 1, self.statement.must_understand)

    def check_under(self, directory):
        """That the statement names this head, and that it lists the log with the pinned key (8, step 4)."""
        expect("directory head: digest, by the statement", self.statement.under.digest, directory.digest)
        keys = [node.log_key for node in directory.records["node"] if node.log_origin == self.origin]
        expect("directory: log key", self.log_key, only("directory", f"one node with log {self.origin}", keys))

    def check_acceptance(self, directory, envelope, reader):
        """That the node accepted this notice; for a recipient, that it is for it (8, steps 5 and 6)."""
        expect("statement: event", "accepted", self.statement.WhichOneof("event"))
        accepted, at_us = self.statement.accepted, self.statement.observed_at_us
        manifest = pb.Manifest.FromString(envelope.payload)
        directory.check_signed("manifest", envelope, manifest.originator, pb.KEY_USAGE_NOTICE, at_us)
        expect("accepted: notice", sha256(encoding("manifest", envelope.payload)), accepted.notice_id)
        expect("accepted: signature", sha256(envelope.signatures[0].sig), accepted.signature_digest)
        expect("accepted: originator", directory.number(manifest.originator), accepted.originator)
        for field in ("reference", "kind", "handling", "precedence", "expires_at_us", "respond_by", "relation"):
            expect(f"accepted: {field}", getattr(manifest, field), getattr(accepted, field))
        expect("accepted: retain_until_us", at_us + KEPT_DAYS[manifest.retention] * DAY_US, accepted.retain_until_us)
        if reader == manifest.originator:
            # An originator is shown no items; here it named every recipient itself.
            expect("accepted: recipients", len(manifest.audience.partners), accepted.recipient_count)
            return manifest
        item, me = only("receipt", "one recipient item", self.items), directory.number(reader)
        expect("recipient item: partner number", me, item.recipient.number)
        data = sha256(b"liaison-recipient-v1", item.recipient.salt, number(me, 4))
        check_path("recipient item", data, item.index, accepted.recipient_count, item.path, accepted.recipients_root)
        return manifest

    def check_acknowledgement(self, directory, recipient, notice_id, leaf_index, batch=()):
        """That the recipient signed for this notice (5; 8, steps 5 and 6). Who signed the batch has its items."""
        expect("statement: event", "acknowledged", self.statement.WhichOneof("event"))
        stated, at_us = self.statement.acknowledged, self.statement.observed_at_us
        envelope = pb.Envelope.FromString(stated.envelope)
        directory.check_signed("acknowledgement", envelope, recipient, pb.KEY_USAGE_ACKNOWLEDGEMENT, at_us)
        signed = pb.Acknowledgement.FromString(envelope.payload)
        expect("acknowledged: recipient", (recipient, directory.number(recipient)), (signed.recipient, stated.recipient))
        expect("acknowledged: log", self.origin, signed.log_origin)
        expect("acknowledged: count and root", (signed.count, signed.root), (stated.count, stated.root))
        if batch:
            place = only("batch", "the notice once", [n for n, each in enumerate(batch) if each.notice_id == notice_id])
            item = batch[place]
            expect("batch: root", signed.root, root_of([item_data(each) for each in batch]))
        else:
            shown = only("receipt", "one acknowledged item", self.items)
            item, place = shown.acknowledged, shown.index
            check_path("item", item_data(item), shown.index, signed.count, shown.path, signed.root)
        expect("item: notice and leaf", (notice_id.hex(), leaf_index), (item.notice_id.hex(), item.leaf_index))
        expect("acknowledged: what items moved, in bytes", (signed.count + 3) // 4, len(stated.moved))
        moved = (stated.moved[place // 4] >> 2 * (place % 4) ^ item_data(item)[31]) & 3
        expect("item: it handed over or decided", True, moved != 0)
        return pb.Verdict.Name(item.verdict).removeprefix("VERDICT_")
