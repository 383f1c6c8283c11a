#!/usr/bin/env python3
"""Checks of the vectors that need no more than SHA-256, written from docs/spec and not from the ledger's sources.

    python3 docs/spec/vectors/check.py

Every vector of a kind that is checked here must come out as it says, good or bad. Kinds that need Ed25519 or protobuf are
checked in what hashes show of their good vectors, and counted as such.
"""

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


def state_outcome(root, key, proof):
    """`None`: the proof fails; else the record hash, or `b""` for absence. Raises ValueError where parts do not fit."""
    leaf_key, leaf_record = unhex(proof["leaf_key"]), unhex(proof["leaf_record"])
    bits, siblings = unhex(proof["bits"]), unhex(proof["siblings"])
    lengths = (len(leaf_key), len(leaf_record))
    if lengths not in ((0, 0), (32, 32)) or len(siblings) != 32 * len(bits) or (lengths == (0, 0) and bits):
        raise ValueError("FMT_VALUE")
    if not leaf_key:
        return b"" if root == ZERO else None
    if any(a >= b for a, b in zip(bits, bits[1:])):
        return None
    h = sha256(b"\x10", leaf_key, leaf_record)
    for place in reversed(range(len(bits))):
        b, sibling = bits[place], siblings[32 * place : 32 * place + 32]
        if bit(leaf_key, b) != bit(key, b):
            return None
        pair = (sibling, h) if bit(key, b) else (h, sibling)
        h = sha256(b"\x11", bytes([b]), *pair)
    if h != root:
        return None
    return leaf_record if leaf_key == key else b""


# --- kinds ---------------------------------------------------------------------------------------------------------------


def check_log_root(v):
    return v["output"]["root"] == log_root([unhex(h) for h in v["input"]["leaves"]]).hex()


def verdict(v, good):
    return (v["result"] == "good") == good


def check_inclusion(v):
    i = v["input"]
    path = [unhex(h) for h in i["path"]]
    return verdict(v, included(unhex(i["leaf"]), i["index"], i["size"], path, unhex(i["root"])))


def check_consistency(v):
    i = v["input"]
    path = [unhex(h) for h in i["path"]]
    roots = unhex(i["from_root"]), unhex(i["to_root"])
    return verdict(v, consistent(i["from_size"], i["to_size"], path, *roots))


def check_state_root(v):
    records = {sha256(r["id"].encode()): unhex(r["record"]) for r in v["input"]["records"]}
    return v["output"]["root"] == state_root(records).hex()


def check_record_proof(v):
    i = v["input"]
    record = unhex(i["record"])
    try:
        outcome = state_outcome(unhex(i["state_root"]), sha256(i["id"].encode()), i["proof"])
    except ValueError as error:
        return v["result"] == "malformed" and v["code"] == str(error)
    if outcome is None:
        return v["code"] == "V_STATE_PROOF"
    good = outcome == (sha256(record) if record else b"")
    return verdict(v, good) and (good or v["code"] == "V_RECORD")


def check_timeline(v):
    i = v["input"]
    head = ZERO
    for entry in i["entries"]:
        head = sha256(b"\x12", head, unhex(entry))
    return verdict(v, len(i["entries"]) == i["count"] and head.hex() == i["head"])


def check_commitment(v):
    i = v["input"]
    path = i["path"].encode()
    length = len(path).to_bytes(4, "big")
    tag = b"ledger/commitment/v1\0"
    return v["output"]["commitment"] == sha256(tag, unhex(i["salt"]), length, path, i["value"].encode()).hex()


def check_delivery(v):
    i, o = v["input"], v["output"]
    content, size = unhex(i["content"]), i["chunk_bytes"]
    leaves = [leaf_hash(content[at : at + size]) for at in range(0, len(content), size)]
    ends = [(b["first_chunk"], b["first_chunk"] + b["chunks"]) for b in o["batches"]]
    batches = all(log_root(leaves[a:z]).hex() == b["root"] for (a, z), b in zip(ends, o["batches"]))
    whole = o["root"] == log_root(leaves).hex() and o["sha256"] == sha256(content).hex()
    covered = [0] + [z for _, z in ends] == [a for a, _ in ends] + [len(leaves)]
    return whole and batches and covered


def check_header(v):
    data = unhex(v["input"]["bytes"])
    mark = b"ledger/header/v1\0"
    if v["result"] != "good":
        expected = "FMT_MAGIC" if not data.startswith(mark) else ("FMT_TRUNCATED", "FMT_TRAILING")
        return v["code"] in expected
    o = v["output"]
    names = ("ledger", "previous", "proposer", "tree_root", "state_root", "validators", "next_validators")
    present = all(unhex(o[name]) in data for name in names)
    numbers = all(o[name].to_bytes(8, "big") in data for name in ("height", "time_ms", "tree_size"))
    return present and numbers and o["leaf"] == leaf_hash(data).hex() and o["block"] == sha256(data).hex()


def check_entry(v):
    return v["result"] != "good" or v["output"]["id"] == leaf_hash(unhex(v["input"]["bytes"])).hex()


def check_genesis(v):
    ledger_id = sha256(b"ledger/genesis/v1\0", unhex(v["input"]["bytes"])).hex()
    return v["result"] != "good" or v["output"]["ledger"] == ledger_id


def check_chain_file(v):
    """Frames and their checksums: a file whose frames are right may still be refuted, and never the other way round."""
    data = unhex(v["input"]["bytes"])
    mark = b"ledger/chain/v1\0"
    if not data.startswith(mark):
        return v["code"] == "FMT_MAGIC"
    at, kinds = len(mark), []
    while not kinds or kinds[-1] != 4:
        head, length = data[at : at + 5], int.from_bytes(data[at + 1 : at + 5], "big")
        payload, checksum = data[at + 5 : at + 5 + length], data[at + 5 + length : at + 9 + length]
        if len(checksum) < 4:
            return v["code"] == "FMT_TRUNCATED"
        if sha256(head, payload)[:4] != checksum:
            return v["code"] == "FMT_CHECKSUM"
        kinds.append(head[0])
        at += 9 + length
    if at != len(data):
        return v["code"] == "FMT_TRAILING"
    return v["result"] in ("good", "refuted", "trust not met") and kinds == sorted(kinds)


# Kind by kind: the check, and whether it decides every vector or only looks at what hashes show.
CHECKS = {
    "chain-file": (check_chain_file, False),
    "commitment": (check_commitment, True),
    "consistency": (check_consistency, True),
    "delivery": (check_delivery, True),
    "entry": (check_entry, False),
    "genesis": (check_genesis, False),
    "header": (check_header, True),
    "inclusion": (check_inclusion, True),
    "log-root": (check_log_root, True),
    "record-proof": (check_record_proof, True),
    "state-root": (check_state_root, True),
    "timeline": (check_timeline, True),
}


def check_sums():
    lines = (HERE / "SHA256SUMS").read_text().splitlines()
    listed = dict(reversed(line.split("  ")) for line in lines)
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in HERE.glob("*.json")}
    return [] if listed == found else ["SHA256SUMS does not list these files"]


def main():
    wrong = check_sums()
    for path in sorted(HERE.glob("*.json")):
        file = json.loads(path.read_text())
        kind, vectors = file["kind"], file["vectors"]
        check, decides = CHECKS.get(kind, (None, False))
        if check is None:
            print(f"{kind:<14} {len(vectors):>3} vectors left to verifiers with Ed25519 and protobuf")
            continue
        wrong += [f"{kind}: {v['name']}" for v in vectors if not check(v)]
        print(f"{kind:<14} {len(vectors):>3} vectors {'checked' if decides else 'checked in their hashes'}")
    for line in wrong:
        print(f"WRONG {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
