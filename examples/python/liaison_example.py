#!/usr/bin/env python3
"""One notice from a partner to another, by code that knows only proto/liaison/v1 and docs/PROTOCOL.md.

    liaison_example.py SENDER RECIPIENT      two folders that `liaison partner add` made

The sender signs a notice and submits it. The recipient collects and acknowledges everything that waits for it. Both check
every receipt against the keys in their own network.trust. Status 0: all was proven. Status 1: something was not; the last
line says what was expected and what was found.
"""

import os
import pathlib
import sys
import time
import tomllib

import grpc
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.protobuf.message import DecodeError
from liaison_proofs import DAY_US, Directory, Failed, Receipt, Trust
from liaison_proofs import commitment, encoding, expect, item_data, payload_type, root_of, sha256
from liaison_stubs import pb

ITEMS_MAX = 4096
RECORDS_PAGE = 500
DEADLINE_S = 30


class Partner:
    """A partner: its keys, what it pins, its line to its node, and the directories it has verified."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.context = tomllib.loads(self.read("context.toml").decode())
        self.id = self.context["partner"]
        self.trust = Trust(self.read(self.context["trust"]).decode())
        files = [self.read(self.context[file]) for file in ("authority", "key", "certificate")]
        name = self.context.get("server_name")
        options = [("grpc.ssl_target_name_override", name)] if name else []
        channel = grpc.secure_channel(self.context["node"], grpc.ssl_channel_credentials(*files), options)
        self.exchange = pb.ExchangeServiceStub(channel)
        self.directory_service = pb.DirectoryServiceStub(channel)
        self.directories = {}

    def read(self, file):
        return (self.folder / file).read_bytes()

    def proven(self, what, text):
        print(f"{self.id:<4} {what:<16} {text}")

    def sign(self, kind, message, key_file):
        payload = message.SerializeToString()
        expect(f"{kind}: the network first", b"\x0a\x20" + self.trust.network, payload[:34])
        key = load_pem_private_key(self.read(key_file), password=None)
        signature = pb.Signature(sig=key.sign(encoding(kind, payload)))
        return pb.Envelope(payload=payload, payload_type=payload_type(kind), signatures=[signature])

    def head(self, version=0):
        return self.directory_service.GetHead(pb.GetHeadRequest(version=version), timeout=DEADLINE_S).head

    def directory(self, version):
        """The records that this partner may see under a head, fetched and proven once."""
        if version not in self.directories:
            proofs, request = [], pb.ListRecordsRequest(version=version, page_size=RECORDS_PAGE)
            while not proofs or request.page_token:
                page = self.directory_service.ListRecords(request, timeout=DEADLINE_S)
                proofs.extend(page.records)
                request.page_token = page.next_page_token
            self.directories[version] = Directory(self.trust, self.head(version), proofs)
            self.proven("directory head", f"version {version}, signed by the authority in network.trust")
            self.proven("directory path", f"{len(proofs)} records lead to the root of that head")
        return self.directories[version]

    def open(self, receipts, nth):
        receipt = Receipt(self.trust, receipts, nth)
        directory = self.directory(receipt.statement.under.version)
        receipt.check_under(directory)
        self.proven("opening", f"statement and salt open leaf {receipt.leaf_index}, under that head")
        self.proven("inclusion", f"leaf {receipt.leaf_index} lies in the tree of {receipt.size}")
        self.proven("checkpoint", f"{receipt.origin} signed that tree with the key in network.trust")
        return receipt, directory

    def accepted(self, receipts, nth, envelope):
        """Believes the receipt of acceptance of a notice. Gives what it is about."""
        receipt, directory = self.open(receipts, nth)
        manifest = receipt.check_acceptance(directory, envelope, self.id)
        notice_id = sha256(encoding("manifest", envelope.payload))
        self.proven("acceptance", f"{manifest.reference} by {manifest.originator}, sha256:{notice_id.hex()}")
        return manifest, notice_id, receipt

    def acknowledged(self, receipts, nth, recipient, item, batch=()):
        """Believes the receipt for an acknowledged notice."""
        receipt, directory = self.open(receipts, nth)
        verdict = receipt.check_acknowledgement(directory, recipient, item.notice_id, item.leaf_index, batch)
        self.proven("acknowledgement", f"{recipient} signed {verdict} for sha256:{item.notice_id.hex()}")


def send(sender, recipient):
    """Signs a notice and submits it. Gives its NoticeId and leaf, as an item names them."""
    head, now_us = Directory(sender.trust, sender.head()), time.time_ns() // 1000
    content = pb.Content(text=pb.Text(subject="Vehicle seen", body="A grey van, seen on Monday.", language="en"))
    part = pb.Part(salt=os.urandom(32), bytes=content.SerializeToString())
    said = pb.PartCommitment(role=pb.PART_ROLE_CONTENT, media_type=payload_type("content"), size=len(part.bytes))
    said.commitment = commitment(said.role, part)
    manifest = pb.Manifest(
        network=sender.trust.network,
        directory_version=head.version,
        reference=f"{sender.id}/example/{os.urandom(6).hex()}",
        kind=pb.KIND_MESSAGE,
        originator=sender.id,
        audience=pb.Audience(partners=[recipient]),
        handling=pb.Handling(
            code=pb.HANDLING_CODE_H0,
            source=pb.SOURCE_EVALUATION_A,
            information=pb.INFORMATION_EVALUATION_1,
            tlp=pb.TLP_GREEN,
        ),
        precedence=pb.PRECEDENCE_ROUTINE,
        issued_at_us=now_us,
        expires_at_us=now_us + 30 * DAY_US,
        respond_by=pb.RESPOND_BY_THREE_DAYS,
        retention=pb.RETENTION_ONE_YEAR,
        parts=[said],
    )
    envelope = sender.sign("manifest", manifest, sender.context["notice_key"])
    request = pb.SubmitRequest(envelope=envelope.SerializeToString(), parts=[part])
    response = sender.exchange.Submit(request, timeout=DEADLINE_S)
    _, notice_id, receipt = sender.accepted(response.receipts, 0, envelope)
    return pb.AcknowledgedItem(notice_id=notice_id, leaf_index=receipt.leaf_index)


def collect(recipient):
    """Checks everything that waits. Gives the log's origin, and an item to sign for each notice."""
    origin, items = None, []
    for message in recipient.exchange.Collect(pb.CollectRequest(until_idle=True), timeout=DEADLINE_S):
        for nth, delivery in enumerate(message.deliveries):
            envelope = pb.Envelope.FromString(delivery.envelope)
            manifest, notice_id, receipt = recipient.accepted(message.receipts, nth, envelope)
            expect("parts", len(manifest.parts), len(delivery.parts))
            for said, part in zip(manifest.parts, delivery.parts):
                expect("part: commitment", said.commitment, commitment(said.role, part))
            recipient.proven("parts", f"{len(delivery.parts)} open what {manifest.originator} signed")
            item = pb.AcknowledgedItem(leaf_index=receipt.leaf_index, notice_id=notice_id)
            item.salt, item.verdict = os.urandom(32), pb.VERDICT_ACCEPTED
            origin, items = receipt.origin, items + [item]
    return origin, items


def acknowledge(recipient, origin, items):
    """Signs once for all items, and checks the receipt of each."""
    signed = pb.Acknowledgement(
        network=recipient.trust.network,
        log_origin=origin,
        recipient=recipient.id,
        system=recipient.context["system"],
        count=len(items),
        root=root_of([item_data(item) for item in items]),
        signed_at_us=time.time_ns() // 1000,
    )
    envelope = recipient.sign("acknowledgement", signed, recipient.context["acknowledgement_key"])
    request = pb.AcknowledgeRequest(envelope=envelope.SerializeToString(), items=items)
    response = recipient.exchange.Acknowledge(request, timeout=DEADLINE_S)
    expect("results", len(items), len(response.results))
    for item, result in zip(items, response.results):
        expect("result: reason of refusal", "", result.refused)
        recipient.acknowledged(response.receipts, result.receipt, recipient.id, item, items)


def main(sender_folder, recipient_folder):
    sender, recipient = Partner(sender_folder), Partner(recipient_folder)
    sent = send(sender, recipient.id)
    origin, items = collect(recipient)
    if sent.notice_id not in [item.notice_id for item in items]:
        raise Failed(f"collect: expected sha256:{sent.notice_id.hex()}, found {len(items)} other notices")
    for start in range(0, len(items), ITEMS_MAX):
        acknowledge(recipient, origin, items[start : start + ITEMS_MAX])
    request = pb.ListEvidenceRequest(leaf_index=sent.leaf_index)
    evidence = sender.exchange.ListEvidence(request, timeout=DEADLINE_S).receipts
    sender.acknowledged(evidence, len(evidence.receipts) - 1, recipient.id, sent)
    print("all proven")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except Failed as failed:
        sys.exit(f"not proven: {failed}")
    except (ValueError, LookupError, DecodeError) as unreadable:
        sys.exit(f"not proven: what came cannot be read: {unreadable!r}")
    except grpc.RpcError as error:
        sys.exit(f"the node answered {error.code().name}: {error.details()}")
