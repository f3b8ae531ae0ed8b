#!/usr/bin/env python3
"""A second reading of docs/PROTOCOL.md: judges every vector in this folder with no code of Liaison's.

It needs the package `cryptography` and nothing else. It says how many right and how many wrong vectors it judged, and ends with
status 1 if it disagrees with one of them.
"""

import base64
import hashlib
import json
import pathlib
import re
import sys
import unicodedata

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

HERE = pathlib.Path(__file__).resolve().parent
MANIFEST = "application/vnd.liaison.manifest.v1+protobuf"
ACKNOWLEDGEMENT = "application/vnd.liaison.acknowledgement.v1+protobuf"
HEAD = "application/vnd.liaison.directory-head.v1+protobuf"


class Refused(Exception):
    """What is refused, and in a word why."""


def need(holds, word):
    if not holds:
        raise Refused(word)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def unhex(text):
    """Pieces of hexadecimal digits parted by spaces; xx*n stands for xx n times."""
    out = b""
    for piece in text.split():
        unit, _, times = piece.partition("*")
        out += bytes.fromhex(unit) * int(times or 1)
    return out


def be(number, width):
    return number.to_bytes(width, "big")


# --- protobuf, strictly -------------------------------------------------------------------------------------------------------

# message: {number: (name, kind, most)}. A kind is a number, bytes, text or a message; most is 1 for a singular field, "oneof"
# for one of a oneof, otherwise how often the field may stand.
U32, U64, I64, ENUM, BOOL, BYTES, TEXT = "u32", "u64", "i64", "enum", "bool", "bytes", "text"
SHAPES = {
    "Envelope": {1: ("payload", BYTES, 1), 2: ("payload_type", TEXT, 1), 3: ("signatures", "Signature", 32)},
    "Signature": {1: ("sig", BYTES, 1), 2: ("keyid", TEXT, 1)},
    "Manifest": {
        1: ("network", BYTES, 1), 2: ("directory_version", U64, 1), 3: ("reference", TEXT, 1), 4: ("kind", ENUM, 1),
        5: ("originator", TEXT, 1), 6: ("audience", "Audience", 1), 7: ("handling", "Handling", 1), 8: ("precedence", ENUM, 1),
        9: ("issued_at_us", I64, 1), 10: ("expires_at_us", I64, 1), 11: ("respond_by", ENUM, 1), 12: ("retention", ENUM, 1),
        13: ("relation", "Relation", 1), 14: ("parts", "PartCommitment", 1000)},
    "Audience": {1: ("partners", TEXT, 1024), 2: ("groups", TEXT, 32), 3: ("exempted", TEXT, 1024)},
    "Handling": {1: ("code", ENUM, 1), 2: ("restriction", TEXT, 1), 3: ("source", ENUM, 1), 4: ("information", ENUM, 1),
                 5: ("tlp", ENUM, 1)},
    "Relation": {1: ("type", ENUM, 1), 2: ("notice_id", BYTES, 1), 3: ("reference", TEXT, 1)},
    "PartCommitment": {1: ("role", ENUM, 1), 2: ("media_type", TEXT, 1), 3: ("size", U64, 1), 4: ("commitment", BYTES, 1),
                       5: ("plaintext_commitment", BYTES, 1)},
    "Acknowledgement": {1: ("network", BYTES, 1), 2: ("log_origin", TEXT, 1), 3: ("recipient", TEXT, 1), 4: ("system", TEXT, 1),
                        5: ("count", U32, 1), 6: ("root", BYTES, 1), 7: ("signed_at_us", I64, 1)},
    "AcknowledgedItem": {1: ("salt", BYTES, 1), 2: ("leaf_index", U64, 1), 3: ("notice_id", BYTES, 1), 4: ("verdict", ENUM, 1),
                         5: ("reason", TEXT, 1)},
    "DirectoryHead": {
        1: ("network", BYTES, 1), 2: ("network_name", TEXT, 1), 3: ("version", U64, 1), 4: ("previous", BYTES, 1),
        5: ("issued_at_us", I64, 1), 6: ("renew_by_us", I64, 1), 7: ("threshold", U32, 1),
        8: ("authority_keys", "PublicKey", 16), 9: ("record_count", U64, 1), 10: ("records_root", BYTES, 1),
        11: ("must_understand", U32, 1), 12: ("next_number", U32, 1)},
    "PublicKey": {1: ("algorithm", ENUM, 1), 2: ("key", BYTES, 1)},
    "Record": {1: ("partner", "Partner", "oneof"), 2: ("key", "PartnerKey", "oneof"), 3: ("node", "Node", "oneof"),
               4: ("group", "Group", "oneof"), 5: ("agreement", "Agreement", "oneof")},
    "Partner": {1: ("number", U32, 1), 2: ("id", TEXT, 1), 3: ("name", TEXT, 1), 4: ("category", ENUM, 1), 5: ("home", TEXT, 1),
                6: ("status", ENUM, 1), 7: ("tls_authorities", BYTES, 4), 8: ("tls_keys", BYTES, 16)},
    "PartnerKey": {1: ("partner", TEXT, 1), 2: ("usage", ENUM, 1), 3: ("public_key", "PublicKey", 1), 4: ("not_before_us", I64, 1),
                   5: ("not_after_us", I64, 1), 6: ("denied", BOOL, 1)},
    "Node": {1: ("id", TEXT, 1), 2: ("log_origin", TEXT, 1), 3: ("log_key", "PublicKey", 1), 4: ("tls_authorities", BYTES, 4),
             5: ("tls_keys", BYTES, 16), 6: ("addresses", TEXT, 8)},
    "Group": {1: ("id", TEXT, 1), 2: ("members", TEXT, 1024)},
    "Agreement": {
        1: ("id", TEXT, 1), 2: ("originators", TEXT, 1024), 3: ("recipients", TEXT, 1024), 4: ("kinds", ENUM, 32),
        5: ("highest_handling", ENUM, 1), 6: ("highest_tlp", ENUM, 1), 7: ("highest_precedence", ENUM, 1), 8: ("from_us", I64, 1),
        9: ("until_us", I64, 1), 10: ("legal_basis", TEXT, 1)},
    "Statement": {
        1: ("version", U32, 1), 2: ("must_understand", U32, 1), 3: ("observed_at_us", I64, 1), 4: ("under", "HeadInForce", 1),
        10: ("log_opened", "LogOpened", "oneof"), 11: ("directory_adopted", "DirectoryAdopted", "oneof"),
        12: ("accepted", "Accepted", "oneof"), 13: ("acknowledged", "Acknowledged", "oneof"), 14: ("expired", "Expired", "oneof"),
        15: ("mailbox_stated", "MailboxStated", "oneof"), 16: ("rebased", "Rebased", "oneof")},
    "HeadInForce": {1: ("version", U64, 1), 2: ("digest", BYTES, 1)},
    "LogOpened": {1: ("reason", TEXT, 1), 2: ("before", BYTES, 1)},
    "DirectoryAdopted": {1: ("version", U64, 1), 2: ("digest", BYTES, 1)},
    "Accepted": {
        1: ("notice_id", BYTES, 1), 2: ("signature_digest", BYTES, 1), 3: ("originator", U32, 1), 4: ("reference", TEXT, 1),
        5: ("kind", ENUM, 1), 6: ("handling", "Handling", 1), 7: ("precedence", ENUM, 1), 8: ("expires_at_us", I64, 1),
        9: ("respond_by", ENUM, 1), 10: ("retain_until_us", I64, 1), 11: ("relation", "Relation", 1),
        12: ("recipients_root", BYTES, 1), 13: ("recipient_count", U32, 1), 14: ("passed_over", U32, 1),
        15: ("agreements", BYTES, 4096)},
    "Acknowledged": {1: ("recipient", U32, 1), 2: ("envelope", BYTES, 1), 3: ("root", BYTES, 1), 4: ("count", U32, 1),
                     5: ("moved", BYTES, 1)},
    "Expired": {1: ("deadline_us", I64, 1), 2: ("root", BYTES, 1), 3: ("count", U32, 1)},
    "MailboxStated": {1: ("partner", U32, 1), 2: ("log_origin", TEXT, 1), 3: ("after", U64, 1), 4: ("through", U64, 1),
                      5: ("count", U64, 1), 6: ("root", BYTES, 1), 7: ("before", BYTES, 1)},
    "Rebased": {1: ("through", U64, 1), 2: ("digest", BYTES, 1)},
    "Evidence": {1: ("version", U32, 1), 2: ("statement", BYTES, 1), 3: ("salt", BYTES, 1), 4: ("items", "ItemProof", 4096),
                 5: ("notice", BYTES, 1), 6: ("directory_head", BYTES, 1), 7: ("records", "RecordProof", 256)},
    "ItemProof": {1: ("index", U64, 1), 2: ("path", BYTES, 64), 3: ("recipient", "RecipientItem", "oneof"),
                  4: ("acknowledged", "AcknowledgedItem", "oneof"), 5: ("expired", "ExpiredItem", "oneof")},
    "RecipientItem": {1: ("salt", BYTES, 1), 2: ("number", U32, 1)},
    "ExpiredItem": {1: ("salt", BYTES, 1), 2: ("leaf_index", U64, 1), 3: ("recipient", U32, 1), 4: ("outcome", ENUM, 1),
                    5: ("notice_id", BYTES, 1)},
    "RecordProof": {1: ("index", U64, 1), 2: ("record", BYTES, 1), 3: ("salt", BYTES, 1), 4: ("path", BYTES, 64)},
}
EXPLICIT = {("MailboxStated", "after")}
# Numbers kept for what is still to come: a reader that does not know one stops, or goes on and passes over the record.
KEPT = {"Statement": (range(10, 64), "stops"), "Record": (range(1, 64), "chosen"),
        "PartnerKey": (range(16, 64), "narrows"), "Agreement": (range(16, 64), "narrows")}


def varint(data, at, end):
    value = 0
    for place in range(10):
        need(at < end, "MALFORMED")
        byte, at = data[at], at + 1
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            need(value < 1 << 64, "MALFORMED")
            return value, at
    raise Refused("MALFORMED")


def typed(kind, value):
    if kind == U32:
        return value & 0xFFFFFFFF
    if kind == ENUM:
        value &= 0xFFFFFFFF
        return value - (1 << 32) if value >> 31 else value
    if kind == I64:
        return value - (1 << 64) if value >> 63 else value
    return value != 0 if kind == BOOL else value


def decode(shape, data, at=0, end=None, order=None, newer=None):
    """A message as a dict of the fields it holds; `order` collects whether it is in its one form, `newer` kept numbers."""
    end = len(data) if end is None else end
    message, seen, chosen = {}, {}, False
    while at < end:
        tag, at = varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        need(1 <= number < 1 << 29, "MALFORMED")
        length = None
        if wire == 2:
            length, at = varint(data, at, end)
            need(at + length <= end, "MALFORMED")
        if number not in SHAPES[shape]:
            kept, rule = KEPT.get(shape, ((), None))
            if number in kept:
                need(rule != "stops" and not (rule == "chosen" and chosen), "MALFORMED")
                chosen = chosen or rule == "chosen"
                if newer is not None:
                    newer.append(number)
            if order is not None:
                order.append(False)
            if wire == 0:
                _, at = varint(data, at, end)
            else:
                width = {1: 8, 2: length, 5: 4}.get(wire)
                need(width is not None and at + width <= end, "MALFORMED")
                at += width
            continue
        name, kind, most = SHAPES[shape][number]
        numeric = kind in (U32, U64, I64, ENUM, BOOL)
        values = []
        if numeric and wire == 0:
            value, at = varint(data, at, end)
            values.append(typed(kind, value))
        elif numeric and wire == 2 and most not in (1, "oneof"):
            stop = at + length
            while at < stop:
                value, at = varint(data, at, stop)
                values.append(typed(kind, value))
        elif not numeric and wire == 2:
            piece, stop = data[at : at + length], at + length
            if kind == BYTES:
                values.append(piece)
            elif kind == TEXT:
                try:
                    values.append(piece.decode("utf-8"))
                except UnicodeDecodeError:
                    raise Refused("MALFORMED") from None
            else:
                values.append(decode(kind, data, at, stop, order, newer))
            at = stop
        else:
            raise Refused("MALFORMED")
        seen[name] = seen.get(name, 0) + len(values)
        if most == "oneof":
            need(not chosen, "MALFORMED")
            chosen = True
        need(seen[name] <= (1 if most == "oneof" else most), "SIGNATURE_COUNT" if name == "signatures" else "MALFORMED")
        if most in (1, "oneof"):
            message[name] = values[0]
        else:
            message.setdefault(name, []).extend(values)
    return message


def encode(shape, message):
    """A message in its one form: fields by number, defaults left out, numbers no longer than needed."""
    out = b""

    def number(value):
        value, written = value & (1 << 64) - 1, b""
        while value > 0x7F:
            value, written = value >> 7, written + bytes([value & 0x7F | 0x80])
        return written + bytes([value])

    for place, (name, kind, most) in sorted(SHAPES[shape].items()):
        if name not in message:
            continue
        values = message[name] if most not in (1, "oneof") else [message[name]]
        for value in values:
            if most == 1 and not isinstance(value, dict) and not value and (shape, name) not in EXPLICIT:
                continue
            if isinstance(value, (dict, bytes, str)):
                piece = encode(kind, value) if isinstance(value, dict) else value.encode() if isinstance(value, str) else value
                out += number(place << 3 | 2) + number(len(piece)) + piece
            else:
                out += number(place << 3) + number(int(value))
    return out


def as_json(shape, message):
    """protobuf's JSON with the protos' names: bytes in base64, defaults left out."""
    out = {}
    for name, kind, most in SHAPES[shape].values():
        if name not in message:
            continue
        write = lambda v: base64.b64encode(v).decode() if kind == BYTES else as_json(kind, v) if isinstance(v, dict) else v
        value = message[name]
        if most in (1, "oneof"):
            if isinstance(value, dict) or value or (shape, name) in EXPLICIT:
                out[name] = write(value)
        elif value:
            out[name] = [write(one) for one in value]
    return out


# --- names and words ----------------------------------------------------------------------------------------------------------

PARTNER = r"[A-Z0-9-]{1,32}"
SYSTEM = NODE = r"[a-z0-9-]{1,32}"
REFERENCE = r"[A-Za-z0-9._/-]{1,64}"
ORIGIN = r"[A-Za-z0-9._/:-]{1,128}"
NETWORK_NAME = r"[a-z0-9.-]{1,64}"
MEDIA_TYPE = r"(?=[!-~]{3,127}\Z)[!-~]*/[!-~]*"
TURNS = set("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def named(pattern, text, word="FIELD_INVALID"):
    need(re.fullmatch(pattern, text) is not None, word)


def words(text, most, least=0):
    need(least <= len(text.encode()) <= most, "FIELD_INVALID")
    need(not any(c in TURNS or unicodedata.category(c) == "Cc" for c in text), "FIELD_INVALID")


def known(message, name, last):
    need(1 <= message.get(name, 0) <= last, "FIELD_INVALID")


def digest(message, name):
    need(len(message.get(name, b"")) == 32, "FIELD_INVALID")
    return message[name]


# --- keys and signatures ------------------------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def point(data):
    """The point of a canonical encoding (RFC 8032 section 5.1.3)."""
    number = int.from_bytes(data, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    need(y < P, "Point")
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    need((x * x - square) % P == 0 and not (x == 0 and sign), "Point")
    return (P - x if x & 1 != sign else x), y


def add(one, two):
    (x1, y1), (x2, y2) = one, two
    t = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P


def is_small(data):
    eightfold = point(data)
    for _ in range(3):
        eightfold = add(eightfold, eightfold)
    return eightfold == (0, 1)


def check_key(algorithm, key):
    need(algorithm in (1, 2), "Algorithm")
    need(len(key) == (32 if algorithm == 1 else 65), "Length")
    if algorithm == 1:
        point(key)
        need(not is_small(key), "SmallOrder")
    else:
        need(key[0] == 4, "Point")
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
        except ValueError:
            raise Refused("Point") from None
    return sha256(b"liaison-key-v1", bytes([algorithm]), key)


def is_der(signature):
    """Strict DER of two positive numbers: what decodes and encodes to the same bytes."""
    try:
        r, s = utils.decode_dss_signature(signature)
    except ValueError:
        return False
    return r > 0 and s > 0 and max(r, s) < 1 << 256 and utils.encode_dss_signature(r, s) == signature


def verify(algorithm, key, message, signature):
    if algorithm == 1:
        need(len(signature) == 64, "SIGNATURE_SHAPE")
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
            need(int.from_bytes(signature[32:], "little") < L and not is_small(signature[:32]), "BAD_SIGNATURE")
        except (InvalidSignature, ValueError):
            raise Refused("BAD_SIGNATURE") from None
    else:
        need(is_der(signature), "SIGNATURE_SHAPE")
        try:
            public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
            public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Refused("BAD_SIGNATURE") from None


def signed(algorithm, key, message, signature):
    try:
        verify(algorithm, key, message, signature)
        return True
    except Refused:
        return False


# --- envelopes, manifests, acknowledgements -----------------------------------------------------------------------------------


def pae(payload_type, payload):
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def read_envelope(data):
    need(len(data) <= 68 << 10, "TOO_LARGE")
    envelope = decode("Envelope", data)
    need(len(envelope.get("payload_type", "").encode()) <= 128, "FIELD_INVALID")
    return envelope.get("payload", b""), envelope.get("payload_type", ""), envelope.get("signatures", [])


def verify_envelope(data, network, payload_type, usage, keys, at):
    """Section "Verifying an envelope": gives payload, digest, the key that signed and the signature."""
    payload, found_type, signatures = read_envelope(data)
    need(len(signatures) == 1, "SIGNATURE_COUNT")
    signature = signatures[0].get("sig", b"")
    need(signature, "SIGNATURE_MISSING")
    encoding = pae(found_type, payload)
    signer, verdicts = None, []
    for key in keys:
        if key["usage"] == usage and signer is None:
            try:
                verify(key["algorithm"], key["key"], encoding, signature)
                signer = key
            except Refused as refused:
                verdicts.append(str(refused))
    if signer is None:
        shape = verdicts and all(word == "SIGNATURE_SHAPE" for word in verdicts)
        raise Refused("SIGNATURE_SHAPE" if shape else "BAD_SIGNATURE")
    need(found_type == payload_type, "UNKNOWN_PAYLOAD_TYPE")
    need(payload[:34] == b"\x0a\x20" + network, "OTHER_NETWORK")
    in_force = not signer["denied"] and signer["not_before_us"] <= at < signer["not_after_us"]
    need(in_force, "KEY_NOT_IN_FORCE")
    return payload, sha256(encoding), signer, signature


DAY = 86_400_000_000


def check_handling(handling):
    known(handling, "code", 4)
    known(handling, "source", 4)
    known(handling, "information", 4)
    known(handling, "tlp", 5)
    restriction = handling.get("restriction", "")
    need((handling["code"] == 4) == (restriction != ""), "FIELD_INVALID")
    words(restriction, 1024)


def check_relation(relation):
    known(relation, "type", 4)
    digest(relation, "notice_id")
    named(REFERENCE, relation.get("reference", ""))


def read_manifest(payload):
    need(len(payload) <= 64 << 10, "TOO_LARGE")
    m = decode("Manifest", payload)
    digest(m, "network")
    need(m.get("directory_version", 0) > 0, "FIELD_INVALID")
    named(REFERENCE, m.get("reference", ""))
    known(m, "kind", 17)
    named(PARTNER, m.get("originator", ""))
    audience = m.get("audience", {})
    for name in ("partners", "groups", "exempted"):
        for one in audience.get(name, []):
            named(PARTNER, one)
    need(audience.get("partners") or audience.get("groups"), "FIELD_INVALID")
    check_handling(m.get("handling", {}))
    known(m, "precedence", 4)
    issued, expires = m.get("issued_at_us", 0), m.get("expires_at_us", 0)
    need(issued > 0 and issued < expires <= issued + 5 * 366 * DAY, "FIELD_INVALID")
    known(m, "respond_by", 5)
    known(m, "retention", 4)
    if "relation" in m:
        check_relation(m["relation"])
    need(m.get("parts"), "FIELD_INVALID")
    for part in m["parts"]:
        known(part, "role", 3)
        named(MEDIA_TYPE, part.get("media_type", ""))
        digest(part, "commitment")
        need(len(part.get("plaintext_commitment", b"")) in (0, 32), "FIELD_INVALID")
    return m


def in_time(manifest, at):
    if manifest["issued_at_us"] - at > 300_000_000:
        return "FUTURE_DATED"
    if at - manifest["issued_at_us"] > 3 * DAY:
        return "TOO_OLD"
    return "EXPIRED" if at >= manifest["expires_at_us"] else None


def commit(role, salt, data):
    return sha256(b"liaison-part-v1", bytes([role]), be(len(data), 8), salt, data)


def acknowledged_item(item):
    """Leaf data of one acknowledged notice, of which salt and NoticeId are bytes."""
    known(item, "verdict", 3)
    reason = item.get("reason", "")
    need((item["verdict"] == 3) == (reason != ""), "FIELD_INVALID")
    words(reason, 256)
    digest(item, "salt")
    digest(item, "notice_id")
    return sha256(b"liaison-acknowledged-item-v1", item["salt"], be(item.get("leaf_index", 0), 8), item["notice_id"],
                  bytes([item["verdict"]]), be(len(reason.encode()), 2), reason.encode())


def read_acknowledgement(payload):
    a = decode("Acknowledgement", payload)
    need(1 <= a.get("count", 0) <= 4096, "FIELD_INVALID")
    digest(a, "network")
    named(ORIGIN, a.get("log_origin", ""))
    named(PARTNER, a.get("recipient", ""))
    named(SYSTEM, a.get("system", ""))
    digest(a, "root")
    need(a.get("signed_at_us", 0) > 0, "FIELD_INVALID")
    return a


def moved_by(packed, index, leaf):
    """Whether an item handed over, and whether it decided."""
    bits = (packed[index // 4] >> (2 * (index % 4)) & 3) ^ (leaf[31] & 3)
    return bool(bits & 1), bool(bits & 2)


# --- RFC 6962 -----------------------------------------------------------------------------------------------------------------


def leaf_hash(data):
    return sha256(b"\0", data)


def node_hash(left, right):
    return sha256(b"\1", left, right)


def split(size):
    return 1 << (size - 1).bit_length() - 1


def tree_root(leaves):
    """Section 2.1, of hashed leaves."""
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return leaves[0]
    middle = split(len(leaves))
    return node_hash(tree_root(leaves[:middle]), tree_root(leaves[middle:]))


def inclusion_root(leaf, index, size, path):
    """Section 2.1.1 read backwards: the root that a path leads to, or None."""
    if not 0 <= index < size:
        return None
    if size == 1:
        return leaf if not path else None
    if not path:
        return None
    middle = split(size)
    if index < middle:
        left = inclusion_root(leaf, index, middle, path[:-1])
        return left and node_hash(left, path[-1])
    right = inclusion_root(leaf, index - middle, size - middle, path[:-1])
    return right and node_hash(path[-1], right)


def consistency_roots(old, new, old_root, path, whole=True):
    """Section 2.1.2 read backwards: the old and the new root that a path leads to, or None."""
    if old == new:
        if whole:
            return (old_root, old_root) if not path else None
        return (path[0], path[0]) if len(path) == 1 else None
    if not path:
        return None
    middle = split(new)
    if old <= middle:
        roots = consistency_roots(old, middle, old_root, path[:-1], whole)
        return roots and (roots[0], node_hash(roots[1], path[-1]))
    roots = consistency_roots(old - middle, new - middle, old_root, path[:-1], False)
    return roots and (node_hash(path[-1], roots[0]), node_hash(path[-1], roots[1]))


def is_consistent(old, old_root, new, new_root, path):
    return 1 <= old <= new and consistency_roots(old, new, old_root, path) == (old_root, new_root)


# --- C2SP texts ---------------------------------------------------------------------------------------------------------------


def b64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused("BadNote") from None
    need(base64.b64encode(data).decode() == text, "BadNote")
    return data


def is_key_name(name):
    return name != "" and not any(c.isspace() or c == "+" or unicodedata.category(c) == "Cc" for c in name)


def key_hash(name, kind, key):
    return sha256(name.encode(), b"\n", bytes([kind]), key)[:4]


def read_vkey(text):
    pieces = text.split("+", 2)
    need(len(pieces) == 3 and is_key_name(pieces[0]), "BadNote")
    data = b64(pieces[2])
    need(len(data) == 33 and data[0] in (1, 4), "BadNote")
    try:
        check_key(1, data[1:])
    except Refused:
        raise Refused("BadNote") from None
    need(pieces[1] == key_hash(pieces[0], data[0], data[1:]).hex(), "BadNote")
    return pieces[0], data[0], data[1:]


def read_note(data):
    need(len(data) <= 32 << 10, "BadNote")
    try:
        note = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("BadNote") from None
    need(not any(c < " " and c != "\n" for c in note), "BadNote")
    text, parted, rest = note.rpartition("\n\n")
    need(parted and rest.endswith("\n"), "BadNote")
    signatures = []
    for line in rest[:-1].split("\n"):
        need(line.startswith("\u2014 "), "BadNote")
        name, parted, value = line[2:].partition(" ")
        value = b64(value)
        need(parted and is_key_name(name) and len(value) > 4, "BadNote")
        signatures.append((name, value[:4], value[4:]))
    need(len(signatures) <= 64, "BadNote")
    return text + "\n", signatures


def note_signed(text, signatures, vkey):
    """When a witness cosigned, or 0 for a log; None if the key signed nothing. One false signature spoils the note."""
    name, kind, key = vkey
    shown = []
    for found, short, value in signatures:
        if (found, short) != (name, key_hash(name, kind, key)):
            continue
        message, time = text, 0
        if kind == 4:
            need(len(value) == 72, "BadNote")
            time, value = int.from_bytes(value[:8], "big"), value[8:]
            message = f"cosignature/v1\ntime {time}\n{text}"
        need(signed(1, key, message.encode(), value), "BadNote")
        shown.append(time)
    return shown[0] if shown else None


def read_checkpoint(text):
    lines = text.split("\n")
    need(len(lines) == 4 and lines[3] == "", "BadNote")
    named(ORIGIN, lines[0], "BadNote")
    need(re.fullmatch(r"0|[1-9][0-9]*", lines[1]) and int(lines[1]) < 1 << 64, "BadNote")
    root = b64(lines[2])
    need(len(root) == 32, "BadNote")
    return lines[0], int(lines[1]), root


def read_proof(text):
    head, parted, note = text.partition("\n\n")
    lines = head.split("\n")
    need(parted and lines.pop(0) == "c2sp.org/tlog-proof@v1", "BadNote")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = b64(lines.pop(0)[6:])
        need(extra, "BadNote")
    index = re.fullmatch(r"index (0|[1-9][0-9]*)", lines.pop(0) if lines else "")
    need(index and int(index[1]) < 1 << 64, "BadNote")
    path = [b64(line) for line in lines]
    need(all(len(one) == 32 for one in path), "BadNote")
    return extra, int(index[1]), path, read_note(note.encode())


# --- the trust file -----------------------------------------------------------------------------------------------------------


def once(trust, name, value, line):
    need(name not in trust, line)
    trust[name] = value


def read_trust(text):
    """Refused with the line, from 1; with 0 for the file as a whole."""
    trust = {"authority": [], "logs": [], "names": []}
    lines = (text[:-1] if text.endswith("\n") else text).split("\n")
    grouped = set()

    def vkey(text, kind, line):
        try:
            key = read_vkey(text)
        except Refused:
            raise Refused(line) from None
        need(key[1] == kind, line)
        return key

    def define(name, what, line):
        need(name != "none" and name not in [known for known, _ in trust["names"]], line)
        trust["names"].append((name, what))

    for nth, full in enumerate(lines):
        line = str(nth + 1)
        need(nth < 256 and not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", full), line)
        w = [word for word in re.split(r"[ \t]+", full) if word]
        if not w or w[0].startswith("#"):
            continue
        if w[0] == "network" and len(w) == 2:
            need(re.fullmatch(r"sha256:[0-9a-f]{64}", w[1]), line)
            once(trust, "network", w[1], line)
        elif w[0] == "threshold" and len(w) == 2:
            need(re.fullmatch(r"[0-9]+", w[1]), line)
            once(trust, "threshold", int(w[1]), line)
        elif w[0] == "authority" and len(w) == 2:
            key = re.fullmatch(r"(ed25519:[0-9a-f]{64}|ecdsa-p256:[0-9a-f]{130})", w[1])
            need(key, line)
            algorithm, _, digits = w[1].partition(":")
            algorithm = 1 if algorithm == "ed25519" else 2
            try:
                check_key(algorithm, bytes.fromhex(digits))
            except Refused:
                raise Refused(line) from None
            trust["authority"].append((algorithm, bytes.fromhex(digits)))
        elif w[0] == "log" and len(w) in (2, 3):
            key = vkey(w[1], 1, line)
            need(key[2] not in [log[2] for log in trust["logs"]], line)
            trust["logs"].append(key)
        elif w[0] == "witness" and len(w) in (3, 4):
            key = vkey(w[2], 4, line)
            need(key[2] not in [what[2] for _, what in trust["names"] if isinstance(what, tuple)], line)
            define(w[1], key, line)
        elif w[0] == "group" and len(w) >= 4:
            names = [name for name, _ in trust["names"]]
            for member in w[3:]:
                need(member in names and member not in grouped, line)
                grouped.add(member)
            enough = {"all": str(len(w[3:])), "any": "1"}.get(w[2], w[2])
            need(re.fullmatch(r"[0-9]+", enough) and 1 <= int(enough) <= len(w[3:]), line)
            define(w[1], [int(enough)] + w[3:], line)
        elif w[0] == "quorum" and len(w) == 2:
            need(w[1] == "none" or w[1] in [name for name, _ in trust["names"]], line)
            once(trust, "quorum", w[1], line)
        else:
            raise Refused(line)
    need({"network", "threshold", "quorum"} <= set(trust), "0")
    check_authority(trust["threshold"], trust["authority"], "0")
    return trust


def witnessed(trust, text, signatures):
    """The names of the witnesses whose cosignatures are there, and whether they are the quorum."""
    met = {"none": True}
    found = []
    for name, what in trust["names"]:
        if isinstance(what, tuple):
            met[name] = note_signed(text, signatures, what) is not None
            found += [name] if met[name] else []
        else:
            met[name] = sum(met[member] for member in what[1:]) >= what[0]
    return found, met[trust["quorum"]]


# --- the directory ------------------------------------------------------------------------------------------------------------


def check_authority(threshold, keys, word="head"):
    need(len(set(keys)) == len(keys) <= 16 and 1 <= threshold <= len(keys), word)


def verify_head(data, trusted, network=None):
    """Gives the head and its digest. `trusted` is a threshold and keys; None: those that the head itself names."""
    try:
        payload, payload_type, signatures = read_envelope(data)
        need(payload_type == HEAD, "head")
        head = decode("DirectoryHead", payload)
        own = (head.get("threshold", 0),
               [(key.get("algorithm", 0), key.get("key", b"")) for key in head.get("authority_keys", [])])
        for algorithm, key in own[1]:
            check_key(algorithm, key)
        check_authority(*own)
        encoding = pae(HEAD, payload)
        for threshold, keys in (trusted or own, own):
            by = [key for key in keys if any(signed(*key, encoding, one.get("sig", b"")) for one in signatures)]
            need(len(by) >= threshold, "head")
        for one in signatures:
            by = [key for key in (trusted or own)[1] + own[1] if signed(*key, encoding, one.get("sig", b""))]
            need(by, "head")
            hint = one.get("keyid", "")
            need(hint in ("", sha256(b"liaison-key-v1", bytes([by[0][0]]), by[0][1]).hex()), "head")
        need(head.get("must_understand", 0) == 1, "head")
        digest_ = sha256(encoding)
        version = head.get("version", 0)
        need(version >= 1, "head")
        first = version == 1
        need(len(head.get("network", b"")) == (0 if first else 32), "head")
        need(len(head.get("previous", b"")) == (0 if first else 32), "head")
        found = digest_ if first else head["network"]
        need(network is None or network == found, "head")
        need(first or payload[:34] == b"\x0a\x20" + found, "head")
        need(head.get("record_count", 0) <= 100_000, "head")
        named(NETWORK_NAME, head.get("network_name", ""))
        digest(head, "records_root")
    except Refused:
        raise Refused("head") from None
    return head, digest_, found


def takes_newer(record):
    """Whether a record is passed over for a value that is not known here. 0 is wrong in every program, and judged later."""
    unknown = lambda message, name, last: not 0 <= message.get(name, 0) <= last
    key, agreement = record.get("key"), record.get("agreement")
    if key is not None:
        return unknown(key, "usage", 2) or unknown(key.get("public_key", {}), "algorithm", 2)
    if agreement is not None:
        kinds = agreement.get("kinds", [])
        strange = [kind for kind in kinds if not 0 <= kind <= 17]
        alone = strange and not any(1 <= kind <= 17 for kind in kinds)
        ceilings = (("highest_handling", 4), ("highest_tlp", 5), ("highest_precedence", 4))
        return bool(alone) or any(unknown(agreement, *one) for one in ceilings)
    return False


def check_record(data):
    """What a record is about and what it says; None for one that takes a newer program to read."""
    need(len(data) <= 128 << 10, "TOO_LARGE")
    newer = []
    record = decode("Record", data, newer=newer)
    if newer or takes_newer(record):
        return None, None
    need(len(record) == 1, "FIELD_INVALID")
    ((what, r),) = record.items()
    if what in ("partner", "node"):
        authorities = r.get("tls_authorities", [])
        need(authorities and all(len(one) <= 4096 for one in authorities), "FIELD_INVALID")
        need(all(len(one) == 32 for one in r.get("tls_keys", [])), "FIELD_INVALID")
    if what == "partner":
        need(r.get("number", 0) > 0, "FIELD_INVALID")
        named(PARTNER, r.get("id", ""))
        words(r.get("name", ""), 128, 1)
        need(r.get("category", 0) != 0 and r.get("status", 0) != 0, "FIELD_INVALID")
        named(NODE, r.get("home", ""))
    if what == "key":
        named(PARTNER, r.get("partner", ""))
        known(r, "usage", 2)
        key = r.get("public_key", {})
        check_key(key.get("algorithm", 0), key.get("key", b""))
        need(r.get("not_before_us", 0) < r.get("not_after_us", 0), "FIELD_INVALID")
    if what == "node":
        named(NODE, r.get("id", ""))
        named(ORIGIN, r.get("log_origin", ""))
        key = r.get("log_key", {})
        need(key.get("algorithm") == 1, "FIELD_INVALID")
        check_key(1, key.get("key", b""))
        for address in r.get("addresses", []):
            named(r"[!-~]{1,260}", address)
    if what == "group":
        named(PARTNER, r.get("id", ""))
        for member in r.get("members", []):
            named(PARTNER, member)
    if what == "agreement":
        named(REFERENCE, r.get("id", ""))
        need(r.get("originators") and r.get("recipients") and r.get("kinds"), "FIELD_INVALID")
        for party in r["originators"] + r["recipients"]:
            named(PARTNER, party)
        need(0 not in r["kinds"], "FIELD_INVALID")
        need(r.get("from_us", 0) < r.get("until_us", 0), "FIELD_INVALID")
        words(r.get("legal_basis", ""), 1024, 1)
        known(r, "highest_handling", 4)
        known(r, "highest_tlp", 5)
        known(r, "highest_precedence", 4)
    return what, r


def check_directory(head, records):
    """Records with their salts against a head, and the rules between records."""
    need(len(records) == head.get("record_count", 0), "records")
    leaves = []
    for record, salt in records:
        need(len(salt) == 32, "records")
        leaves.append(leaf_hash(sha256(b"liaison-record-v1", salt, record)))
    need(tree_root(leaves) == head["records_root"], "records")
    read = [check_record(record) for record, _ in records]
    of = lambda what: [r for found, r in read if found == what]
    unique = lambda values: need(len(set(values)) == len(values), "records")
    partners = {r["id"] for r in of("partner")}
    groups = {r["id"] for r in of("group")}
    nodes = {r["id"] for r in of("node")}
    unique([r["id"] for r in of("partner")] + [r["id"] for r in of("group")])
    unique([r["number"] for r in of("partner")])
    unique([r["id"] for r in of("node")])
    unique([r["log_origin"] for r in of("node")])
    unique([r["log_key"]["key"] for r in of("node")])
    unique([r["id"] for r in of("agreement")])
    unique([r["public_key"]["key"] for r in of("key")])
    logs, signers = {r["log_key"]["key"] for r in of("node")}, {r["public_key"]["key"] for r in of("key")}
    authority = {key["key"] for key in head["authority_keys"]}
    need(not (logs & signers or logs & authority or signers & authority), "records")
    need(all(r["number"] < head.get("next_number", 0) for r in of("partner")), "records")
    need(all(r["home"] in nodes for r in of("partner")), "records")
    need(all(r["partner"] in partners for r in of("key")), "records")
    need(all(set(r.get("members", [])) <= partners for r in of("group")), "records")
    need(all(set(r["originators"] + r["recipients"]) <= partners | groups for r in of("agreement")), "records")
    return read


def check_succession(before, after):
    """Each is a head, its digest, and what its records say."""
    (old, old_digest, old_read), (new, _, new_read) = before, after
    need(new["version"] == old["version"] + 1 and new["previous"] == old_digest, "follows")
    given = old.get("next_number", 0)
    need(new.get("next_number", 0) >= given, "follows")
    numbers = {r["id"]: r["number"] for what, r in old_read if what == "partner"}
    for what, r in new_read:
        if what == "partner":
            same = numbers.get(r["id"]) == r["number"]
            need(same or (r["id"] not in numbers and r["number"] not in numbers.values() and r["number"] >= given), "follows")
    return new["version"]


def verify_record(head, proof):
    need(len(proof.get("salt", b"")) == 32 and all(len(one) == 32 for one in proof.get("path", [])), "record")
    data = sha256(b"liaison-record-v1", proof["salt"], proof.get("record", b""))
    found = inclusion_root(leaf_hash(data), proof.get("index", 0), head.get("record_count", 0), proof.get("path", []))
    need(found == head["records_root"], "record")
    return data, check_record(proof.get("record", b""))


# --- statements and receipts --------------------------------------------------------------------------------------------------


def read_statement(data):
    s = decode("Statement", data)
    need(s.get("version", 0) > 0 and s.get("must_understand", 0) == 1, "FIELD_INVALID")
    if "under" in s:
        digest(s["under"], "digest")
    events = [name for name, _, most in SHAPES["Statement"].values() if most == "oneof" and name in s]
    need(len(events) == 1, "FIELD_INVALID")
    event = events[0]
    e = s[event]
    if event == "log_opened":
        words(e.get("reason", ""), 256, 1)
        need(len(e.get("before", b"")) <= 32 << 10, "FIELD_INVALID")
    if event == "directory_adopted":
        digest(e, "digest")
    if event == "accepted":
        for name in ("notice_id", "signature_digest", "recipients_root"):
            digest(e, name)
        named(REFERENCE, e.get("reference", ""))
        known(e, "kind", 17)
        known(e, "precedence", 4)
        known(e, "respond_by", 5)
        check_handling(e.get("handling", {}))
        if "relation" in e:
            check_relation(e["relation"])
        need(all(len(one) == 32 for one in e.get("agreements", [])), "FIELD_INVALID")
    if event in ("acknowledged", "expired"):
        digest(e, "root")
        need(1 <= e.get("count", 0) <= 4096, "FIELD_INVALID")
        need(len(e.get("envelope", b"")) <= 68 << 10, "FIELD_INVALID")
    if event == "acknowledged":
        packed, rest = e.get("moved", b""), e["count"] % 4
        need(len(packed) == (e["count"] + 3) // 4, "FIELD_INVALID")
        need(rest == 0 or packed[-1] >> (2 * rest) == 0, "FIELD_INVALID")
    if event == "mailbox_stated":
        named(ORIGIN, e.get("log_origin", ""))
        digest(e, "root")
        need(len(e.get("before", b"")) in (0, 32), "FIELD_INVALID")
    if event == "rebased":
        digest(e, "digest")
    return s, event


def leaf_of(statement, salt):
    return b"\1" + sha256(b"liaison-entry-v1", salt, statement)


def recipient_item(salt, number):
    return sha256(b"liaison-recipient-v1", salt, be(number, 4))


def expired_item(salt, leaf_index, notice_id, number, outcome):
    return sha256(b"liaison-expired-item-v1", salt, be(leaf_index, 8), notice_id, be(number, 4), bytes([outcome]))


RETENTION_DAYS = {1: 30, 2: 366, 3: 5 * 366, 4: 10 * 366}
STEPS = ["file", "inclusion", "checkpoint", "directory", "signature", "items"]


def verify_receipt(data, trust):
    """The six steps. Refused with the name of the first that fails; otherwise gives which event is proven."""
    step = "file"
    try:
        need(len(data) <= 4 << 20, step)
        extra, index, path, (text, signatures) = read_proof(data.decode("utf-8"))
        evidence = decode("Evidence", extra)
        need(encode("Evidence", evidence) == extra, step)
        need(evidence.get("version") == 1 and len(evidence.get("salt", b"")) == 32, step)
        statement, event = read_statement(evidence.get("statement", b""))
        e = statement[event]
        at = statement.get("observed_at_us", 0)
        origin, size, root = read_checkpoint(text)

        step = "inclusion"
        leaf = leaf_of(evidence["statement"], evidence["salt"])
        need(inclusion_root(leaf_hash(leaf), index, size, path) == root, step)

        step = "checkpoint"
        signers = None
        if trust:
            signers = [log for log in trust["logs"] if log[0] == origin and note_signed(text, signatures, log) is not None]
            need(signers, step)
            need(witnessed(trust, text, signatures)[1], step)

        step = "directory"
        envelope = evidence.get("directory_head", b"")
        pinned = trust and ((trust["threshold"], trust["authority"]), bytes.fromhex(trust["network"][7:]))
        head, head_digest, network = verify_head(envelope, *(pinned or (None, None)))
        need(encode("Envelope", decode("Envelope", envelope)) == envelope, step)
        under = statement.get("under", {})
        need((under.get("version"), under.get("digest")) == (head["version"], head_digest), step)
        partners, keys, logs, homes, nodes, groups, agreements = {}, [], [], {}, {}, {}, {}
        for proof in evidence.get("records", []):
            data_, (what, record) = verify_record(head, proof)
            if what == "partner":
                partners[record["number"]] = record["id"]
                homes[record["number"]] = (record["home"], record["status"] == 1)
            if what == "group":
                groups[record["id"]] = record.get("members", [])
            if what == "agreement":
                agreements[data_] = record
            if what == "key":
                keys.append(record)
            if what == "node":
                logs.append((record["log_origin"], 1, record["log_key"]["key"]))
                nodes[record["log_origin"]] = record["id"]
        listed = next((one for one in logs if one[0] == origin), None)
        need(listed is not None, step)
        if signers is None:
            step = "checkpoint"
            need(note_signed(text, signatures, listed) is not None, step)

        step = "signature"
        usable = lambda partner: [
            {"usage": {1: "notice", 2: "acknowledgement"}[key["usage"]], "denied": key.get("denied", False),
             "algorithm": key["public_key"]["algorithm"], "key": key["public_key"]["key"],
             "not_before_us": key.get("not_before_us", 0), "not_after_us": key.get("not_after_us", 0)}
            for key in keys if key["partner"] == partner]
        if event == "accepted":
            notice = evidence.get("notice", b"")
            payload, _, _ = read_envelope(notice)
            need(sha256(pae(MANIFEST, payload)) == e["notice_id"], step)
            need(e.get("originator") in partners, step)
            originator = partners[e["originator"]]
            need(homes[e["originator"]] == (nodes[origin], True), step)
            payload, _, signer, signature = verify_envelope(notice, network, MANIFEST, "notice", usable(originator), at)
            need(sha256(signature) == e["signature_digest"], step)
            m = read_manifest(payload)
            envelope = decode("Envelope", notice)
            need(encode("Envelope", envelope) == notice, step)
            key_id = sha256(b"liaison-key-v1", bytes([signer["algorithm"]]), signer["key"]).hex()
            need(envelope["signatures"][0].get("keyid", "") in ("", key_id), step)
            same = ("reference", "kind", "precedence", "expires_at_us", "respond_by")
            need(all(m.get(name) == e.get(name) for name in same), step)
            strip = lambda message, shape: as_json(shape, message)
            need(strip(m["handling"], "Handling") == strip(e["handling"], "Handling"), step)
            need(m["originator"] == originator, step)
            need(strip(m.get("relation", {}), "Relation") == strip(e.get("relation", {}), "Relation"), step)
            need(e.get("retain_until_us") == at + RETENTION_DAYS[m["retention"]] * DAY, step)
            for agreement in (agreements[one] for one in e.get("agreements", []) if one in agreements):
                need(m["kind"] in agreement["kinds"] and m["precedence"] <= agreement["highest_precedence"], step)
                need(m["handling"]["code"] <= agreement["highest_handling"], step)
                need(m["handling"]["tlp"] <= agreement["highest_tlp"], step)
        else:
            need(not evidence.get("notice"), step)
        if event == "acknowledged":
            need(e.get("recipient") in partners, step)
            recipient = partners[e["recipient"]]
            need(homes[e["recipient"]][1], step)
            payload, _, _, _ = verify_envelope(
                e.get("envelope", b""), network, ACKNOWLEDGEMENT, "acknowledgement", usable(recipient), at)
            a = read_acknowledgement(payload)
            need((a["root"], a["count"]) == (e["root"], e["count"]), step)
            need((a["recipient"], a["log_origin"]) == (recipient, origin), step)

        step = "items"
        for item in evidence.get("items", []):
            kinds = {"accepted": "recipient", "acknowledged": "acknowledged", "expired": "expired"}
            need(kinds.get(event) in item, step)
            shown = item[kinds[event]]
            need(len(shown.get("salt", b"")) == 32 and all(len(one) == 32 for one in item.get("path", [])), step)
            if event == "accepted":
                need(shown.get("number") in partners, step)
                audience, name = m["audience"], partners[shown["number"]]
                through = [groups[one] if one in groups else [name] for one in audience.get("groups", [])]
                in_one = name not in audience.get("exempted", []) and any(name in members for members in through)
                need(name in audience.get("partners", []) or in_one, step)
                leaf, root, count = recipient_item(shown["salt"], shown["number"]), e["recipients_root"], e["recipient_count"]
            elif event == "acknowledged":
                leaf, root, count = acknowledged_item(shown), e["root"], e["count"]
                need(item.get("index", 0) < count, step)
                need(shown["verdict"] != 1 or not moved_by(e["moved"], item.get("index", 0), leaf)[1], step)
            else:
                known(shown, "outcome", 4)
                need(shown.get("recipient") in partners, step)
                digest(shown, "notice_id")
                leaf = expired_item(
                    shown["salt"], shown.get("leaf_index", 0), shown["notice_id"], shown["recipient"], shown["outcome"])
                root, count = e["root"], e["count"]
            need(inclusion_root(leaf_hash(leaf), item.get("index", 0), count, item.get("path", [])) == root, step)
    except (Refused, UnicodeDecodeError):
        raise Refused(step) from None
    return event


# --- the vectors --------------------------------------------------------------------------------------------------------------

RIGHT, WRONG, DISAGREE = [0], [0], []


def judge(name, expect, run, exact=True):
    """Runs one vector. `exact`: the word it is refused with must be the vector's own."""
    try:
        found, word = run(), None
    except Refused as refused:
        found, word = None, str(refused)
    if "accept" in expect:
        RIGHT[0] += 1
        if word is not None or found != expect["accept"]:
            DISAGREE.append(f"{name}: expected {expect['accept']!r:.300}, found {word or found!r:.300}")
    else:
        WRONG[0] += 1
        if word is None or (exact and word != expect["refuse"]):
            DISAGREE.append(f"{name}: expected refusal {expect['refuse']}, found {word or found!r:.300}")


def equal(name, found, expected):
    judge(name, {"accept": expected}, lambda: found)


def load(name):
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def listed(file, names):
    chosen = [key for name in names for key in file["keys"] if key["name"] == name]
    return [dict(key, key=unhex(key["key"])) for key in chosen]


def sha(text):
    need(re.fullmatch(r"sha256:[0-9a-f]{64}", text), "a digest is sha256: and 64 digits")
    return bytes.fromhex(text[7:])


def basics():
    file = load("basics.json")
    for case in file["encodings"]:
        encoding = pae(case["payload_type"], unhex(case["payload"]))
        equal(case["name"], (encoding, sha256(encoding).hex()), (unhex(case["encoding"]), case["digest"]))
    for case in file["keys"]:
        judge(case["name"], case["expect"], lambda: "sha256:" + check_key(case["algorithm"], unhex(case["key"])).hex())
    for case in file["commitments"]:
        found = commit(case["role"], unhex(case["salt"]), unhex(case["bytes"])).hex()
        equal(case["name"], found, case["commitment"])
    for case in file["parts"]:
        judge(case["name"], case["expect"], lambda: open_parts(case))
    for case in file["envelopes"]:
        judge(case["name"], case["expect"], lambda: sha256(pae(MANIFEST, read_envelope(unhex(case["envelope"]))[0])).hex())


def open_parts(case):
    need(len(case["commitments"]) == len(case["parts"]), "PART_MISMATCH")
    parts = [(unhex(part["salt"]), unhex(part["bytes"])) for part in case["parts"]]
    need(sum(len(data) for _, data in parts) <= 1 << 20, "TOO_LARGE")
    for committed, (salt, data) in zip(case["commitments"], parts):
        need(committed["size"] == len(data), "PART_MISMATCH")
        need(len(salt) == 32, "FIELD_INVALID")
        need(commit(committed["role"], salt, data).hex() == committed["commitment"], "PART_MISMATCH")
    return True


def manifests():
    file = load("manifest.json")
    for key in file["keys"]:
        equal(key["name"], "sha256:" + check_key(key["algorithm"], unhex(key["key"])).hex(), key["id"])
    for case in file["cases"]:
        at = case.get("at_us", file["now_us"])

        def run():
            payload, found, signer, signature = verify_envelope(
                unhex(case["envelope"]), sha(file["network"]), MANIFEST, "notice", listed(file, case["keys"]), at)
            manifest = read_manifest(payload)
            equal(case["name"] + ", in time", in_time(manifest, at), case.get("in_time"))
            accepted = {"notice_id": "sha256:" + found.hex(), "signer": signer["name"],
                        "signature_digest": sha256(signature).hex()}
            if "manifest" in case["expect"].get("accept", {}):
                accepted["manifest"] = as_json("Manifest", manifest)
            return accepted

        judge(case["name"], case["expect"], run)


def acknowledgements():
    file = load("acknowledgement.json")
    read = lambda item: dict(item, salt=unhex(item["salt"]), notice_id=sha(item["notice_id"]))
    for case in file["trees"]:
        data = [acknowledged_item(read(item)) for item in case["items"]]
        check_tree(case, data)
    for case in file["cases"]:

        def run():
            payload, _, _, _ = verify_envelope(unhex(case["envelope"]), sha(file["network"]), ACKNOWLEDGEMENT, "acknowledgement",
                                               listed(file, case["keys"]), file["now_us"])
            said = read_acknowledgement(payload)
            need(said["count"] == len(case["items"]), "PART_MISMATCH")
            data = [acknowledged_item(read(item)) for item in case["items"]]
            need(tree_root([leaf_hash(one) for one in data]) == said["root"], "PART_MISMATCH")
            return as_json("Acknowledgement", said)

        judge(case["name"], case["expect"], run)


def check_tree(case, data):
    equal(case["name"], [one.hex() for one in data], case["leaf_data"])
    equal(case["name"], tree_root([leaf_hash(one) for one in data]).hex(), case["root"])
    for nth, one in enumerate(data):
        path = [bytes.fromhex(text) for text in case["paths"][nth]]
        equal(case["name"], inclusion_root(leaf_hash(one), nth, len(data), path), bytes.fromhex(case["root"]))


def directories():
    file = load("directory.json")
    for case in file["heads"]:
        keys = [(key["algorithm"], unhex(key["key"])) for key in case["trusted"]["keys"]]
        network = sha(case["network"]) if "network" in case else None

        def run():
            head, found, of = verify_head(unhex(case["envelope"]), (case["trusted"]["threshold"], keys), network)
            return {"digest": "sha256:" + found.hex(), "network": "sha256:" + of.hex(), "head": as_json("DirectoryHead", head)}

        judge(case["name"], case["expect"], run, exact=False)
    for case in file["directories"]:

        def run():
            head, _, _ = verify_head(unhex(case["head"]), None)
            records = [(unhex(one["record"]), unhex(one["salt"])) for one in case["records"]]
            read = check_directory(head, records)
            found = [place for place, (what, _) in enumerate(read) if what is None]
            need(found == case.get("passed_over", []), "passed over")
            return [as_json("Record", decode("Record", record)) for record, _ in records]

        judge(case["name"], case["expect"], run, exact=False)
    for case in file["successions"]:

        def run():
            def read(sealed):
                head, found, _ = verify_head(unhex(sealed["head"]), None)
                records = [(unhex(one["record"]), unhex(one["salt"])) for one in sealed["records"]]
                return head, found, check_directory(head, records)

            return check_succession(read(case["before"]), read(case["after"]))

        judge(case["name"], case["expect"], run, exact=False)
    for case in file["records"]:
        proof = {"index": case["index"], "record": unhex(case["record"]), "salt": unhex(case["salt"]),
                 "path": [unhex(one) for one in case["path"]]}
        judge(case["name"], case["expect"], lambda: verify_record(verify_head(unhex(case["head"]), None)[0], proof)[0].hex(),
              exact=False)


def statements():
    file = load("statement.json")
    for case in file["cases"]:

        def run():
            data = unhex(case["statement"])
            statement, _ = read_statement(data)
            leaf = leaf_of(data, unhex(case["salt"]))
            return {"statement": as_json("Statement", statement), "leaf": leaf.hex(), "leaf_hash": leaf_hash(leaf).hex()}

        judge(case["name"], case["expect"], run)
    for case in file["items"]:
        data = [recipient_item(unhex(one["salt"]), one["number"]) for one in case["recipients"]]
        data += [expired_item(unhex(one["salt"]), one["leaf_index"], sha(one["notice_id"]), one["number"], one["outcome"])
                 for one in case["expired"]]
        check_tree(case, data)


def tlog():
    file = load("tlog.json")
    entry = lambda nth: leaf_hash(b"\1" + sha256(b"a made-up entry ", be(nth, 8)))
    for case in file["roots"]:
        equal(f"root of {case['size']}", tree_root([entry(nth) for nth in range(case["size"])]).hex(), case["root"])
    hashes_ = lambda path: [bytes.fromhex(text) for text in path]
    for case in file["inclusions"]:
        found = inclusion_root(bytes.fromhex(case["leaf_hash"]), case["index"], case["size"], hashes_(case["path"]))
        said = {"accept": True} if case["holds"] else {"refuse": "inclusion"}
        judge(case.get("why", "inclusion"), said, lambda: need(found == bytes.fromhex(case["root"]), "inclusion") or True)
    for case in file["consistencies"]:
        found = is_consistent(case["old_size"], bytes.fromhex(case["old_root"]), case["new_size"],
                              bytes.fromhex(case["new_root"]), hashes_(case["path"]))
        said = {"accept": True} if case["holds"] else {"refuse": "consistency"}
        judge(case.get("why", "consistency"), said, lambda: need(found, "consistency") or True)
    for case in file["vkeys"]:

        def run():
            name, kind, key = read_vkey(case["vkey"])
            return {"key_name": name, "signature_type": kind, "key": key.hex()}

        judge(case["name"], case["expect"], run)
    for case in file["notes"]:

        def run():
            text, signatures = read_note(case["note"].encode())
            key = read_vkey(case["vkey"])
            time = note_signed(text, signatures, key)
            need(time is not None, "BadNote")
            origin, size, root = read_checkpoint(text)
            cosigned = {"cosigned_at_s": time} if key[1] == 4 else {}
            return dict({"origin": origin, "size": size, "root": root.hex()}, **cosigned)

        judge(case["name"], case["expect"], run)
    for case in file["proofs"]:

        def run():
            extra, index, path, _ = read_proof(case["proof"])
            return {"extra": extra.hex(), "index": index, "path": [one.hex() for one in path]}

        judge(case["name"], case["expect"], run)


def trusts():
    file = load("trust.json")
    for case in file["files"]:

        def run():
            trust = read_trust(case["text"])
            vkey = lambda name, kind, key: f"{name}+{key_hash(name, kind, key).hex()}+" + base64.b64encode(
                bytes([kind]) + key).decode()
            return {"network": trust["network"], "threshold": trust["threshold"], "logs": [vkey(*log) for log in trust["logs"]],
                    "authority_keys": ["sha256:" + check_key(*key).hex() for key in trust["authority"]]}

        judge(case["name"], case["expect"], run)
    head = load("receipt.json")["trust"]["no log"].replace("quorum none\n", "")
    for case in file["policies"]:
        run = lambda: list(witnessed(read_trust(head + case["policy"]), *read_note(case["note"].encode())))
        judge(case["name"], case["expect"], run)


def receipts():
    file = load("receipt.json")
    trust = {name: read_trust(text) for name, text in file["trust"].items()}
    for case in file["cases"]:
        run = lambda: verify_receipt(case["receipt"].encode(), trust[case["trust"]] if "trust" in case else None) and True
        judge(case["name"], dict(case["expect"], accept=True) if "accept" in case["expect"] else case["expect"], run)


def main():
    sys.setrecursionlimit(10_000)
    for part in (basics, manifests, acknowledgements, directories, statements, tlog, trusts, receipts):
        part()
    for line in DISAGREE:
        print("DISAGREE", line)
    print(f"{RIGHT[0]} right and {WRONG[0]} wrong vectors judged, {len(DISAGREE)} disagreements")
    return 1 if DISAGREE or not RIGHT[0] or not WRONG[0] else 0


if __name__ == "__main__":
    sys.exit(main())
