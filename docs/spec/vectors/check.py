#!/usr/bin/env python3
"""Checks of the vectors that need no more than SHA-256, written from docs/spec and not from the ledger's sources.

    python3 docs/spec/vectors/check.py

Every vector of a kind that is decided here must come out as it says: result, code and output. Kinds that need Ed25519, rules or
all of protobuf are checked in what hashes and layouts show of them, and counted as such.
"""

import base64
import binascii
import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ZERO = bytes(32)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_hash(data):
    return sha256(b"\x00", data)


def node_hash(left, right):
    return sha256(b"\x01", left, right)


def unhex(text):
    return bytes.fromhex(text)


# --- log tree: RFC 9162 section 2.1 ---------------------------------------------------------------------------------------


def log_root(leaves):
    """Merkle tree hash over leaf hashes (section 2.1.1)."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(log_root(leaves[:split]), log_root(leaves[split:]))


def included(leaf, index, size, path, root):
    """Section 2.1.3.2."""
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def consistent(first, second, path, first_root, second_root):
    """Section 2.1.4.2, with equal sizes as block.md has them: an empty path and equal roots."""
    if first == second:
        return not path and first_root == second_root
    if not 0 < first < second or not path:
        return False
    path = list(path)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_root and sr == second_root


# --- state trie: state.md ------------------------------------------------------------------------------------------------


def bit(key, number):
    return (key[number // 8] >> (7 - number % 8)) & 1


def state_root(records):
    """Root over {state key: record bytes}."""
    if not records:
        return ZERO
    if len(records) == 1:
        ((key, record),) = records.items()
        return sha256(b"\x10", key, sha256(record))
    keys = list(records)
    split = next(b for b in range(256) if len({bit(key, b) for key in keys}) == 2)
    sides = [{k: r for k, r in records.items() if bit(k, split) == side} for side in (0, 1)]
    return sha256(b"\x11", bytes([split]), state_root(sides[0]), state_root(sides[1]))


def check_state(root, key, proof):
    """The record hash, or `b""` for absence; a code where the proof fails."""
    leaf_key, leaf_record = unhex(proof["leaf_key"]), unhex(proof["leaf_record"])
    bits, siblings = unhex(proof["bits"]), unhex(proof["siblings"])
    lengths = (len(leaf_key), len(leaf_record))
    if lengths not in ((0, 0), (32, 32)) or len(siblings) != 32 * len(bits) or (lengths == (0, 0) and bits):
        raise Malformed("FMT_VALUE")
    if not leaf_key:
        return b"" if root == ZERO else "V_STATE_PROOF"
    if any(a >= b for a, b in zip(bits, bits[1:])):
        return "V_STATE_PROOF"
    h = sha256(b"\x10", leaf_key, leaf_record)
    for place in reversed(range(len(bits))):
        b, sibling = bits[place], siblings[32 * place : 32 * place + 32]
        if bit(leaf_key, b) != bit(key, b):
            return "V_STATE_PROOF"
        pair = (sibling, h) if bit(key, b) else (h, sibling)
        h = sha256(b"\x11", bytes([b]), *pair)
    if h != root:
        return "V_STATE_PROOF"
    return leaf_record if leaf_key == key else b""


# --- encodings: as much of them as is needed to find what is hashed ---------------------------------------------------------


class Malformed(Exception):
    """The bytes are not in their format, with the code that says how."""


def u64(number):
    return number.to_bytes(8, "big")


def cbor(data, at=0):
    """The item at an offset, and where it ends. For what is known to be well formed."""
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if low >= 24 and major != 7:
        size = 1 << (low - 24)
        low, at = int.from_bytes(data[at : at + size], "big"), at + size
    if major in (0, 1):
        return (low if major == 0 else -1 - low), at
    if major in (2, 3):
        text = data[at : at + low]
        return (text if major == 2 else text.decode()), at + low
    if major == 7:
        return None, at
    if major == 6:
        return cbor(data, at)
    items = []
    for _ in range(low * (major - 3)):
        item, at = cbor(data, at)
        items.append(item)
    return (items if major == 4 else dict(zip(items[::2], items[1::2]))), at


def cbor_string(data, major=2):
    size = len(data)
    head = bytes([size]) if size < 24 else b"\x18" + bytes([size]) if size < 256 else b"\x19" + size.to_bytes(2, "big")
    return bytes([head[0] | major << 5]) + head[1:] + data


def sig_structure(protected, payload):
    """RFC 9052 section 4.4."""
    return b"\x84" + cbor_string(b"Signature1", 3) + cbor_string(protected) + b"\x40" + cbor_string(payload)


def protobuf(data):
    """Fields by number: lists of integers and byte strings. For what is known to be well formed."""
    at, fields = 0, {}

    def varint():
        nonlocal at
        number = shift = 0
        while True:
            byte, at = data[at], at + 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while at < len(data):
        key, value = varint(), varint()
        if key & 7 == 2:
            value, at = data[at : at + value], at + value
        fields.setdefault(key >> 3, []).append(value)
    return fields


HEADER = (("protocol_version", 4), ("ledger", 32), ("height", 8), ("previous", 32), ("time_ms", 8), ("proposer", 32))
HEADER += (("tree_size", 8), ("tree_root", 32), ("state_root", 32), ("validators", 32), ("next_validators", 32))


def header_fields(data):
    """block.md, header."""
    mark = b"ledger/header/v1\0"
    if not data.startswith(mark):
        raise Malformed("FMT_MAGIC")
    if len(data) != 269:
        raise Malformed("FMT_TRUNCATED" if len(data) < 269 else "FMT_TRAILING")
    fields, at = {}, len(mark)
    for name, size in HEADER:
        part, at = data[at : at + size], at + size
        fields[name] = part.hex() if size == 32 else int.from_bytes(part, "big")
    return fields


def ledger_id(genesis):
    return sha256(b"ledger/genesis/v1\0", genesis).hex()


# --- kinds that are decided: (result, code, output) -------------------------------------------------------------------------


def good(**output):
    return "good", "", output


def refuted(code="", **place):
    return "refuted", code, place


def decide_log_root(i):
    return good(root=log_root([unhex(h) for h in i["leaves"]]).hex())


def decide_inclusion(i):
    path = [unhex(h) for h in i["path"]]
    return good() if included(unhex(i["leaf"]), i["index"], i["size"], path, unhex(i["root"])) else refuted()


def decide_consistency(i):
    path = [unhex(h) for h in i["path"]]
    roots = unhex(i["from_root"]), unhex(i["to_root"])
    return good() if consistent(i["from_size"], i["to_size"], path, *roots) else refuted()


def decide_state_root(i):
    records = {sha256(r["id"].encode()): unhex(r["record"]) for r in i["records"]}
    return good(root=state_root(records).hex())


def decide_record_proof(i):
    record, place = unhex(i["record"]), {"height": i["height"], "record": i["id"]}
    outcome = check_state(unhex(i["state_root"]), sha256(i["id"].encode()), i["proof"])
    if isinstance(outcome, str):
        return refuted(outcome, **place)
    if outcome != (sha256(record) if record else b""):
        return refuted("V_RECORD", **place)
    return good(present=bool(record))


def decide_timeline(i):
    head = ZERO
    for entry in i["entries"]:
        head = sha256(b"\x12", head, unhex(entry))
    stated = i["head"] if i["entries"] else i["head"] or ZERO.hex()
    whole = len(i["entries"]) == i["count"] and head.hex() == stated
    return good() if whole else refuted("V_TIMELINE", record=i["id"])


def decide_commitment(i):
    path = i["path"].encode()
    parts = unhex(i["salt"]), len(path).to_bytes(4, "big"), path, i["value"].encode()
    return good(commitment=sha256(b"ledger/commitment/v1\0", *parts).hex())


def decide_delivery(i):
    content, size = unhex(i["content"]), i["chunk_bytes"]
    leaves = [leaf_hash(content[at : at + size]) for at in range(0, len(content), size)]
    # As even as can be, and never more batches than chunks.
    count = max(1, min(i["batches"], len(leaves)))
    ends = [len(leaves) * n // count for n in range(count + 1)]
    batches = [
        {"first_chunk": a, "chunks": z - a, "bytes": len(content[a * size : z * size]), "root": log_root(leaves[a:z]).hex()}
        for a, z in zip(ends, ends[1:])
    ]
    return good(root=log_root(leaves).hex(), sha256=sha256(content).hex(), batches=batches)


def decide_header(i):
    data = unhex(i["bytes"])
    return good(block=sha256(data).hex(), leaf=leaf_hash(data).hex(), **header_fields(data))


def place_in_time(i):
    return unhex(i["ledger"]) + u64(i["height"]) + i["round"].to_bytes(4, "big")


def decide_vote(i):
    step = {"prevote": b"\x01", "precommit": b"\x02"}[i["step"]]
    named = b"\x01\0\0\0" if i["block"] else b"\0\0\0\0"
    block = unhex(i["block"]) if i["block"] else ZERO
    return good(signed=(b"ledger/vote/v1\0" + step + place_in_time(i) + named + block).hex())


def decide_proposal(i):
    valid = i["valid_round"]
    named, valid = (b"\0", 0) if valid is None else (b"\x01", valid)
    parts = named, place_in_time(i), valid.to_bytes(4, "big"), unhex(i["block"])
    return good(signed=(b"ledger/prop/v1\0" + b"".join(parts)).hex())


DECIDED = {
    "commitment": decide_commitment,
    "consistency": decide_consistency,
    "delivery": decide_delivery,
    "header": decide_header,
    "inclusion": decide_inclusion,
    "log-root": decide_log_root,
    "proposal": decide_proposal,
    "record-proof": decide_record_proof,
    "state-root": decide_state_root,
    "timeline": decide_timeline,
    "vote": decide_vote,
}


def decided(decide, vector):
    try:
        found = decide(vector["input"])
    except Malformed as malformed:
        found = "malformed", str(malformed), {}
    return found == (vector["result"], vector["code"], vector["output"])


# --- kinds that are looked at: whether a vector agrees with what hashes and layouts show ------------------------------------


def states(vector, **shown):
    """Whether the output of a good vector says what was shown."""
    return vector["code"] == "" and all(vector["output"][name] == value for name, value in shown.items())


def look_at_entry(v):
    """Ids, and what is signed (entry.md, signing)."""
    data, identifier = unhex(v["input"]["bytes"]), leaf_hash(unhex(v["input"]["bytes"])).hex()
    if v["result"] == "refuted":
        return v["output"].get("entry") == identifier
    if v["result"] == "malformed":
        return v["code"].startswith("FMT_") and (v["code"] == "FMT_TOO_LARGE" or len(data) <= 65_535)
    (protected, _, payload, signature), _ = cbor(data)
    header, _ = cbor(protected)
    cosignatures = header.get(-65_537, [])
    # The private label is the last pair of the header: without it is the header that co-signers sign.
    pair = 6 + 66 * len(cosignatures) if cosignatures else 0
    body = b"\xa4" + protected[1 : len(protected) - pair]
    cosigned = b"\x83" + cbor_string(b"LedgerCosignature1", 3) + cbor_string(body) + cbor_string(payload)
    kids = [s[1] for s in header[15].get(-65_537, []) if s[1] != header[4]] + [header[4]]
    messages = [cosigned] * len(cosignatures) + [sig_structure(protected, payload)]
    signed = zip(kids, messages, cosignatures + [signature])
    names = "party", "kid", "role", "purpose"
    signers = [dict(zip(names, (s[0], s[1].hex(), *s[2:]))) for s in header[15].get(-65_537, [])]
    known = {sha256(unhex(key)) for key in v["input"]["keys"]}
    shown = {
        "id": identifier, "kid": header[4].hex(), "issuer": header[15][1], "subject": header[15][2],
        "ledger": header[15][3], "expires": header[15][4], "issued": header[15][6], "cti": header[15][7].hex(),
        "payload": payload.hex(), "signers": signers,
        "signatures": [{"kid": k.hex(), "message": m.hex(), "signature": s.hex()} for k, m, s in signed],
    }
    return states(v, **shown) and known.issuperset(kids)


def look_at_genesis(v):
    """The ledger id, and the validator set as a part of the document (genesis.md)."""
    if v["result"] != "good":
        return v["result"] == "malformed" and v["code"].startswith("FMT_")
    data = unhex(v["input"]["bytes"])
    (validators,) = protobuf(data)[8]
    members = [protobuf(member) for member in protobuf(validators)[1]]
    shown = [{"id": sha256(member[4][0]).hex(), "power": member[3][0]} for member in members]
    return states(v, ledger=ledger_id(data), validators=sha256(b"ledger/validators/v1\0", validators).hex(), members=shown)


def look_at_receipt(v):
    """The path, and what is signed (receipt.md). Whose the signature is, is left open."""
    i, data = v["input"], unhex(v["input"]["bytes"])
    if v["result"] == "malformed":
        return v["code"].startswith("FMT_")
    (protected, unprotected, _, _), _ = cbor(data)
    header, _ = cbor(protected)
    (size, index, path), _ = cbor(unprotected[396][-1][0])
    place = {"leaf": index, "entry": i["leaf"]}
    if header[15][1] != ledger_id(unhex(i["genesis"])):
        return (v["result"], v["code"], v["output"]) == refuted("V_HEADER_LEDGER", **place)
    if not included(unhex(i["leaf"]), index, size, path, unhex(i["tree_root"])):
        return (v["result"], v["code"], v["output"]) == refuted("V_INCLUSION", **place)
    if v["result"] == "refuted":
        return v["code"] in ("V_RECEIPT_KEY", "V_RECEIPT_SIGNATURE") and v["output"] == place
    signed = sig_structure(protected, unhex(i["tree_root"])).hex()
    return states(v, ledger=header[15][1], kid=header[4].hex(), leaf_index=index, tree_size=size, signed=signed)


def chain_frames(data):
    """Kinds and payloads of a chain file (chain-file.md)."""
    mark = b"ledger/chain/v1\0"
    if not data.startswith(mark):
        raise Malformed("FMT_TRUNCATED" if len(data) < len(mark) else "FMT_MAGIC")
    at, frames = len(mark), []
    while not frames or frames[-1][0] != 4:
        head, size = data[at : at + 5], int.from_bytes(data[at + 1 : at + 5], "big")
        if len(head) < 5:
            raise Malformed("FMT_TRUNCATED")
        if head[0] not in (1, 2, 3, 4):
            raise Malformed("FMT_UNKNOWN_VALUE")
        if size > 16_842_752:
            raise Malformed("FMT_TOO_LARGE")
        payload, checksum = data[at + 5 : at + 5 + size], data[at + 5 + size : at + 9 + size]
        if len(checksum) < 4:
            raise Malformed("FMT_TRUNCATED")
        if sha256(head, payload)[:4] != checksum:
            raise Malformed("FMT_CHECKSUM")
        kinds = [kind for kind, _ in frames] + [head[0]]
        if kinds != sorted(kinds) or kinds[0] != 1 or kinds.count(1) > 1:
            raise Malformed("FMT_VALUE")
        frames.append((head[0], payload))
        at += 9 + size
    counts = [[kind for kind, _ in frames].count(kind) for kind in (2, 3)]
    if counts[0] and frames[-1][1] != b"".join(map(u64, counts)):
        raise Malformed("FMT_TRUNCATED")
    if at != len(data):
        raise Malformed("FMT_TRAILING")
    return frames


def look_at_chain_file(v):
    """Frames decide what is malformed, and the first frame whose ledger it is. Forged entries before damage take Ed25519 to see."""
    try:
        frames = chain_frames(unhex(v["input"]["bytes"]))
    except Malformed as malformed:
        is_forged = v["result"] == "refuted" and v["code"] in ("V_SIGNATURE", "V_WEAK_KEY")
        return is_forged or (v["result"], v["code"]) == ("malformed", str(malformed))
    if ledger_id(frames[0][1]) != v["input"]["trust"]:
        return (v["result"], v["code"]) == ("trust not met", "")
    if v["result"] != "good":
        return v["result"] == "refuted" and v["code"].startswith("V_")
    blocks = [payload for kind, payload in frames if kind == 2]
    bodies = [block[4 + int.from_bytes(block[:4], "big") :] for block in blocks]
    entries = sum(int.from_bytes(body[269:273], "big") for body in bodies)
    return states(v, blocks=len(blocks), entries=entries, records=len(frames) - len(blocks) - 2)


def base64_of(text):
    """RFC 4648 section 4, with padding, and padding bits that are zero."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("FMT_VALUE") from error
    if base64.b64encode(data).decode() != text:
        raise Malformed("FMT_VALUE")
    return data


def note_line(line):
    """Name, key id and signature of a line of a note."""
    parts = line.split(" ", 2)
    if len(parts) != 3 or parts[0] != "\u2014" or not parts[1] or any(c == "+" or c.isspace() for c in parts[1]):
        raise Malformed("FMT_VALUE")
    data = base64_of(parts[2])
    if len(data) < 5:
        raise Malformed("FMT_VALUE")
    return parts[1], data[:4], data[4:]


def note_parts(note):
    """Text and lines of a signed note (checkpoint.md)."""
    if len(note.encode()) > 65_536:
        raise Malformed("FMT_TOO_LARGE")
    end = note.rfind("\n\n")
    if any(c < " " and c != "\n" for c in note) or end < 0 or not note[end + 2 :].endswith("\n"):
        raise Malformed("FMT_VALUE")
    lines = note[end + 2 : -1].split("\n")
    if len(lines) > 300:
        raise Malformed("FMT_TOO_LARGE")
    return note[: end + 1], [note_line(line) for line in lines]


def checkpoint_text(text):
    """Origin, size and root."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise Malformed("FMT_VALUE")
    origin, size, root = lines[:3]
    if not 1 <= len(origin) <= 255 or any(not "!" <= c <= "~" or c == "+" for c in origin):
        raise Malformed("FMT_IDENTIFIER")
    digits = size.isascii() and size.isdigit() and (size == "0" or size[0] != "0")
    if not digits or int(size) >= 1 << 64 or len(base64_of(root)) != 32:
        raise Malformed("FMT_VALUE")
    return {"origin": origin, "size": int(size), "root": base64_of(root).hex()}


def look_at_checkpoint(v):
    """Form, and whose the lines are. Whether they are valid is left open."""
    try:
        text, lines = note_parts(v["input"]["note"])
        shown = checkpoint_text(text)
    except Malformed as malformed:
        return (v["result"], v["code"]) == ("malformed", str(malformed))
    there = {(name, identifier) for name, identifier, _ in lines}
    for key in v["input"]["keys"]:
        kind = {"log": b"\x01", "cosigner": b"\x04"}[key["kind"]]
        identifier = sha256(key["name"].encode(), b"\n", kind, unhex(key["public_key"]))[:4]
        if (key["name"], identifier) not in there:
            return (v["result"], v["code"]) == ("refuted", "")
    return states(v, **shown) if v["result"] == "good" else (v["result"], v["code"]) == ("refuted", "")


def misplaced(header, data, certificate, trust):
    """Why a header and a certificate are not a pair of this ledger, if they are not."""
    if header["ledger"] != trust:
        return "refuted", "V_HEADER_LEDGER"
    if certificate[15:23] != u64(header["height"]) or certificate[27:59] != sha256(data):
        return "refuted", "V_CERTIFICATE_BLOCK"
    return None


def unsupported(header, certificate, validators, above):
    """Why a set does not stand behind a header, if it does not. Signatures are left open."""
    if header["validators"] != sha256(b"ledger/validators/v1\0", validators).hex():
        return "not determined", ""
    if header["height"] <= above:
        return "refuted", "V_HEIGHT"
    powers = {sha256(member[4][0]): member[3][0] for member in members_of(validators)}
    signers = [certificate[at : at + 32] for at in range(61, len(certificate), 96)]
    if any(signer not in powers for signer in signers):
        return "refuted", "V_CERTIFICATE_SIGNER"
    if 3 * sum(powers[signer] for signer in signers) <= 2 * sum(powers.values()):
        return "refuted", "V_QUORUM"
    if not 1 <= header["protocol_version"] <= 5:
        return "not determined", ""
    return None


def members_of(validators):
    return [protobuf(member) for member in protobuf(validators)[1]]


def set_change(change, validators, above, trust):
    """What is wrong with a change of the validators before any signature is looked at, if anything; the set after, and its header's height."""
    named, by, after = (change.get(number, [b""])[0] for number in (1, 2, 3))
    fields = header_fields(named)
    wrong = misplaced(fields, named, by, trust) or unsupported(fields, by, validators, above)
    if wrong is None and fields["next_validators"] != sha256(b"ledger/validators/v1\0", after).hex():
        wrong = "refuted", "V_VALIDATORS"
    return wrong, after, fields["height"]


def proof_anchor(anchor, trust):
    """What is wrong with an anchor before any signature is looked at, if anything; its header, and the members of its set."""
    genesis, data, certificate = (anchor.get(number, [b""])[0] for number in (1, 2, 3))
    if ledger_id(genesis) != trust:
        return ("trust not met", ""), None, None
    header, (validators,), above = header_fields(data), protobuf(genesis)[8], 0
    wrong = misplaced(header, data, certificate, trust)
    for change in anchor.get(4, []) if wrong is None else []:
        wrong, validators, above = set_change(protobuf(change), validators, above, trust)
        if wrong is not None:
            return wrong, header, None
    wrong = wrong or unsupported(header, certificate, validators, above)
    return wrong, header, members_of(validators)


def entry_statement(proof, given, header, members):
    """What is wrong with an entry proof under a header (proof.md, entry proofs)."""
    identifier, receipts = proof[1][0], proof.get(2, [])
    if given is not None and leaf_hash(unhex(given)) != identifier:
        return "refuted", "V_OTHER_ENTRY"
    if not receipts:
        return "not determined", ""
    for receipt in receipts:
        (protected, unprotected, _, _), _ = cbor(receipt)
        head, _ = cbor(protected)
        (size, index, path), _ = cbor(unprotected[396][-1][0])
        if size != header["tree_size"]:
            return "refuted", "V_TREE_SIZE"
        if head[15][1] != header["ledger"]:
            return "refuted", "V_HEADER_LEDGER"
        if not included(identifier, index, size, path, unhex(header["tree_root"])):
            return "refuted", "V_INCLUSION"
        if head[4] not in [sha256(member[7][0]) for member in members]:
            return "refuted", "V_RECEIPT_KEY"
    return None


def record_statement(proof, header):
    """What is wrong with a record proof under a header (state.md, proofs)."""
    identifier, record = proof[1][0], proof.get(2, [b""])[0]
    path = protobuf(proof.get(3, [b""])[0])
    parts = {name: path.get(number, [b""])[0].hex() for number, name in enumerate(("leaf_key", "leaf_record", "bits", "siblings"), 1)}
    outcome = check_state(unhex(header["state_root"]), sha256(identifier), parts)
    if isinstance(outcome, str):
        return "refuted", outcome
    same = outcome == (sha256(record) if record else b"") and (not record or protobuf(record)[1][0] == identifier)
    return None if same else ("refuted", "V_RECORD")


def look_at_proof_file(v):
    """Ids, quorum, paths. Signatures, and which points are keys, are left open; of what is malformed, only the mark is decided."""
    data, said = unhex(v["input"]["bytes"]), (v["result"], v["code"])
    if not data.startswith(b"\x0a\x0fledger-proof-v1"):
        return said == ("malformed", "FMT_MAGIC")
    if v["result"] == "malformed":
        return v["code"].startswith("FMT_")
    file = protobuf(data)
    wrong, header, members = proof_anchor(protobuf(file[2][0]), v["input"]["trust"])
    statement = protobuf(file.get(16, file.get(17))[0])
    if wrong is None and 16 in file:
        wrong = entry_statement(statement, v["input"]["entry"], header, members)
    elif wrong is None:
        wrong = record_statement(statement, header)
    if wrong is not None:
        return said == wrong
    if v["result"] != "good":
        return v["result"] == "refuted" and v["code"] in ("V_WEAK_KEY", "V_CERTIFICATE_SIGNATURE", "V_RECEIPT_SIGNATURE")
    named = statement[1][0]
    return states(v, entry=named.hex()) if 16 in file else states(v, record=named.decode(), present=2 in statement)


class Reader:
    """A fixed layout from its front (evidence.md)."""

    def __init__(self, data):
        self.data = data

    def take(self, size):
        if len(self.data) < size:
            raise Malformed("FMT_TRUNCATED")
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def mark(self, mark):
        if self.data[: len(mark)] != mark:
            raise Malformed("FMT_MAGIC")
        self.take(len(mark))

    def named(self, size):
        flag, data = self.number(1), self.take(size)
        if flag > 1 or not flag and any(data):
            raise Malformed("FMT_NOT_CANONICAL")
        return flag, data


def certificate_parts(c):
    """Round, what is certified, and who signed (block.md, certificates)."""
    c.mark(b"ledger/cert/v1\0")
    height, place, block, count = c.number(8), c.number(4), c.take(32), c.number(2)
    signers = [(c.take(32), c.take(64))[0] for _ in range(count)]
    if c.data:
        raise Malformed("FMT_TRAILING")
    return place, (height, block), signers


def evidence_parts(data):
    """Genesis document and changes, ledger, height, offence, round, and two statements: block, accused, and what orders them."""
    r, changed = Reader(data), data.startswith(b"ledger/evidence/2\0")
    r.mark(b"ledger/evidence/2\0" if changed else b"ledger/evidence/1\0")
    genesis, changes = r.take(r.number(4)), []
    if changed:
        changes = r.take(r.number(4))
        if not changes:
            raise Malformed("FMT_NOT_CANONICAL")
        changes = protobuf(changes)[1]
    r.mark(b"ledger/evid/v1\0")
    kind, ledger, height = r.number(1), r.take(32), r.number(8)
    if kind == 4:
        validator, header = r.take(32), r.take(269)
        fields, signature, c = header_fields(header), r.take(64), Reader(r.data)
        if (fields["ledger"], fields["height"]) != (ledger.hex(), height) or len(signature) != 64:
            raise Malformed("FMT_VALUE")
        place, certified, signers = certificate_parts(c)
        good = certified == (height, sha256(header))
        return (genesis, changes), ledger, height, "forged certificate", (place, validator, good, signers)
    if kind not in (1, 2, 3):
        raise Malformed("FMT_VALUE")
    pair, offence, number, validator = [], "conflicting certificates", None, None
    if kind != 3:
        number = r.number(4)
        step = r.number(1) if kind == 1 else None
        if step not in (1, 2, None):
            raise Malformed("FMT_VALUE")
        offence = {1: "double prevote", 2: "double precommit", None: "double proposal"}[step]
        validator = r.take(32)
    for _ in range(2):
        if kind == 1:
            named, block = r.named(32)
            pair.append((number, (named, block), [validator], (named, block, r.take(64))))
        elif kind == 2:
            block, valid = r.take(32), r.named(4)
            pair.append((number, block, [validator], (block, valid, r.take(64))))
        else:
            place, (_, block), signers = certificate_parts(Reader(r.take(r.number(4))))
            pair.append((place, block, signers, (place, block)))
    if r.data:
        raise Malformed("FMT_TRAILING")
    if pair[0][3] > pair[1][3]:
        raise Malformed("FMT_NOT_CANONICAL")
    return (genesis, changes), ledger, height, offence, pair


def look_at_evidence(v):
    """Layout, whose keys, whether there is a conflict, and quorums. Signatures are left open."""
    data, said = unhex(v["input"]["bytes"]), (v["result"], v["code"])
    try:
        (genesis, changes), ledger, height, offence, pair = evidence_parts(data)
    except Malformed as malformed:
        return said == ("malformed", str(malformed))
    if not genesis:
        return said == ("not determined", "")
    if ledger_id(genesis) != v["input"]["trust"] or ledger.hex() != v["input"]["trust"]:
        return said == ("trust not met", "")
    (first,) = protobuf(genesis)[8]
    wrong, sets = followed(first, changes, v["input"]["trust"])
    if wrong is not None:
        return said == wrong
    own = [members for above, members in sets if above < height][-1]
    others = [members for _, members in reversed(sets) if members is not own]
    shown = data[data.index(b"ledger/evid/v1\0") :]
    results = [evidence_by(members, v, sha256(shown).hex(), height, offence, pair) for members in (own, *others)]
    proven = [found for found in results if isinstance(found, bool)]
    return proven[0] if proven else results[0] == said


def followed(validators, changes, trust):
    """What is wrong with changes before any signature is looked at, if anything; the sets, each with the height above which it signs."""
    sets, above = [(0, members_of(validators))], 0
    for change in changes:
        wrong, validators, above = set_change(protobuf(change), validators, above, trust)
        if wrong is not None:
            return wrong, None
        sets.append((above, members_of(validators)))
    return None, sets


def evidence_by(members, v, shown, height, offence, pair):
    """What evidence comes to by a set: whether what a vector says of it can be, or the result of who does not know the accused."""
    powers = {sha256(member[4][0]): member[3][0] for member in members}
    quorum = lambda signers: 3 * sum(powers[s] for s in signers) > 2 * sum(powers.values())
    if offence == "forged certificate":
        place, validator, good, signers = pair
        if v["result"] == "refuted":
            return v["code"] == ("V_NO_CONFLICT" if good and quorum(signers) else "V_SIGNATURE")
        return states(v, id=shown, height=height, round=place, offence=offence, accused=[validator.hex()])
    (round_one, one, first, _), (round_two, two, second, _) = pair
    if any(signer not in powers for signer in first + second):
        return "not determined", ""
    if one == two:
        return "refuted", "V_NO_CONFLICT"
    if offence == "conflicting certificates":
        if not quorum(first) or not quorum(second):
            return "refuted", "V_QUORUM"
        if round_one != round_two:
            return "not determined", ""
    if v["result"] == "refuted":
        return v["code"] in ("V_SIGNATURE", "V_CERTIFICATE_SIGNATURE")
    accused = [signer.hex() for signer in first if signer in second]
    return states(v, id=shown, height=height, round=round_one, offence=offence, accused=accused)


LOOKED_AT = {
    "chain-file": look_at_chain_file,
    "checkpoint": look_at_checkpoint,
    "entry": look_at_entry,
    "evidence": look_at_evidence,
    "genesis": look_at_genesis,
    "proof-file": look_at_proof_file,
    "receipt": look_at_receipt,
}


def check_sums():
    lines = (HERE / "SHA256SUMS").read_text().splitlines()
    listed = dict(reversed(line.split("  ")) for line in lines)
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in HERE.glob("*.json")}
    return [] if listed == found else ["SHA256SUMS does not list these files"]


def agrees(kind, vector):
    """Whether a vector says of itself what was found; what cannot even be read does not."""
    try:
        return decided(DECIDED[kind], vector) if kind in DECIDED else LOOKED_AT[kind](vector)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError, Malformed):
        return False


def main():
    wrong, seen = check_sums(), set()
    for path in sorted(HERE.glob("*.json")):
        file = json.loads(path.read_text())
        kind, vectors = file["kind"], file["vectors"]
        seen.add(kind)
        if kind not in DECIDED and kind not in LOOKED_AT:
            print(f"{kind:<14} {len(vectors):>3} vectors left to verifiers with Ed25519 and protobuf")
            continue
        wrong += [f"{kind}: {v['name']}" for v in vectors if not agrees(kind, v)]
        print(f"{kind:<14} {len(vectors):>3} vectors {'decided' if kind in DECIDED else 'looked at'}")
    wrong += [f"no vectors of {kind}" for kind in sorted({*DECIDED, *LOOKED_AT} - seen)]
    for line in wrong:
        print(f"WRONG {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
