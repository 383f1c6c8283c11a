#!/usr/bin/env bash
# A validator's stored blocks are damaged: docs/OPERATING.md, damage.
. "$(dirname "$0")/machines.sh"
consortium
business validator-2 5
agree validator-2 validator-1

step "a disk gives back other bytes than it was given, in the middle of a block"
at validator-1 -q export chain --out "$WORK/chain.ledger"
stop validator-1
python3 - "$WORK/chain.ledger" "$WORK/validator-1/store/db" <<'PYTHON'
import sys

chain, store = (open(path, "rb").read() for path in sys.argv[1:])
# Sixteen bytes in the middle of the exported chain: all but its mark and its frames are as the store has them.
pieces = (chain[at : at + 16] for at in range(len(chain) // 2, len(chain)))
place = next(at for at in map(store.find, pieces) if at >= 0)
with open(sys.argv[2], "r+b") as file:
    file.seek(place)
    file.write(bytes(byte ^ 0xFF for byte in store[place : place + 16]))
PYTHON

step "before anything opens the store: a copy of the directory as it is"
cp -r "$WORK/validator-1" "$WORK/as-found"

step "the node does not start; reindex says whether blocks are hit"
if timeout 60 ledger-node run --data-dir "$WORK/validator-1" >/dev/null 2>"$WORK/refused"; then fail "it started"; fi
grep -Eq 'STORE_DAMAGED|NODE_BLOCK' "$WORK/refused" || fail "it was refused for another reason: $(cat "$WORK/refused")"
if ledger-node reindex --data-dir "$WORK/validator-1" 2>"$WORK/refused"; then fail "no block is hit"; fi

step "the store is moved away, and the blocks come from the others"
mv "$WORK/validator-1/store" "$WORK/store.damaged"
ledger-node recover --data-dir "$WORK/validator-1"
start validator-1
recovers validator-1 validator-2
agree validator-2 validator-1

step "all of it verifies, and what was moved away is not needed any more"
at validator-1 -q export chain --out "$WORK/again.ledger"
ledger-cli verify chain "$WORK/again.ledger" --trust "$TRUST"
rm -r "$WORK/store.damaged" "$WORK/as-found"
