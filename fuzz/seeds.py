#!/usr/bin/env python3
"""Writes the corpus that every run begins with: the bytes in tests/vectors, the made-up lists and configurations of the repository, and
what lies in fuzz/seeds. Usage: seeds.py CORPUS"""

import base64
import hashlib
import json
import pathlib
import sys

FUZZ = pathlib.Path(__file__).resolve().parent
REPOSITORY = FUZZ.parent
VECTORS = REPOSITORY / "tests" / "vectors"
BYTES_MAX = 32 << 10
CORPUS = pathlib.Path(sys.argv[1])


def vectors(name):
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def unhex(text):
    """Digits; a stretch that repeats is written `digits*count` between spaces."""
    stretches = (stretch.split("*") for stretch in text.split())
    return b"".join(bytes.fromhex(stretch[0]) * int(stretch[1] if len(stretch) > 1 else 1) for stretch in stretches)


def write(target, data):
    if len(data) > BYTES_MAX:
        return  # It shows a limit, and would only make every other input slow.
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def fields(message):
    """The length-delimited fields of a protobuf message, as far as it can be read."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    try:
        while at < len(message):
            tag = varint()
            if tag & 7 == 0:
                varint()
                continue
            if tag & 7 != 2:
                return
            length = varint()
            yield tag >> 3, message[at : at + length]
            at += length
    except IndexError:
        return


def first(message, number):
    return next((data for found, data in fields(message) if found == number), None)


def varint(value):
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value >= 0x80 else bytes([value])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def answer(receipt):
    """A receipt of acceptance as its recipient collects it: a `CollectResponse`."""
    proof, checkpoint = receipt.split("\n\n", 1)
    _, extra, index, *path = proof.split("\n")
    evidence = base64.b64decode(extra.removeprefix("extra "))
    items = [data for number, data in fields(evidence) if number == 4]
    notice = first(evidence, 5)
    if not notice or len(items) != 1:
        return None
    shown = b"\x08" + varint(int(index.removeprefix("index "))) + field(2, first(evidence, 2)) + field(3, first(evidence, 3))
    shown += field(4, bytes(range(len(path)))) + field(6, b"\0")
    hashes = b"".join(base64.b64decode(line) for line in path)
    receipts = field(1, checkpoint.encode()) + field(2, hashes) + field(3, shown) + field(4, items[0])
    return field(2, field(1, notice)) + field(3, receipts)


for case in vectors("manifest.json")["cases"]:
    envelope = unhex(case["envelope"])
    write("envelope", envelope)
    payload = first(envelope, 1)
    if payload:
        write("manifest", payload)
for case in vectors("basics.json")["envelopes"] + vectors("acknowledgement.json")["cases"]:
    write("envelope", unhex(case["envelope"]))
for case in vectors("statement.json")["cases"]:
    write("statement", unhex(case["statement"]))

directories = vectors("directory.json")
for case in directories["directories"]:
    records = [unhex(sealed["record"]) for sealed in case["records"]]
    for record in records:
        write("record", record)
    write("directory", b"".join(len(record).to_bytes(2, "big") + record for record in records if len(record) < 1 << 16))

tlog = vectors("tlog.json")
for case in tlog["notes"]:
    write("note", case["note"].encode())
for case in tlog["vkeys"]:
    write("note", case["vkey"].encode())
for case in tlog["proofs"]:
    write("note", case["proof"].encode())
for case in vectors("receipt.json")["cases"]:
    write("receipt", case["receipt"].encode())
    if collected := "accept" in case["expect"] and answer(case["receipt"]):
        write("answer", collected)
for case in vectors("trust.json")["files"]:
    write("trust", case["text"].encode())

for path in [REPOSITORY / "src/import/un_list/sample.xml", *sorted((REPOSITORY / "tests/fixtures").glob("un-list-*.xml"))]:
    write("un_list", path.read_bytes())
for path in sorted((REPOSITORY / "tests/fixtures/interpol").glob("*.json")):
    write("interpol", path.read_bytes())
for path in sorted((REPOSITORY / "deploy").glob("*.toml")):
    write("config", path.read_bytes())
for path in sorted((FUZZ / "seeds").glob("*/*")):
    write(path.parent.name, path.read_bytes())

for folder in sorted(CORPUS.iterdir()):
    print(f"{folder.name:10} {len(list(folder.iterdir())):5} seeds")
