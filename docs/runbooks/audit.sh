#!/usr/bin/env bash
# An auditor, with a file and a laptop: docs/CLI.md, verifying.
. "$(dirname "$0")/machines.sh"
consortium
business validator-3 3

step "two nodes' chains, each verified from the genesis hash, are one history"
for node in validator-2 follower-1; do
    agree validator-3 $node
    at $node export chain --out "$WORK/$node.ledger"
    ledger-cli verify chain "$WORK/$node.ledger" --trust "$TRUST"
done
ledger-cli evidence compare "$WORK/validator-2.ledger" "$WORK/follower-1.ledger" --out "$WORK/fork.evidence" --trust "$TRUST"

step "one changed byte is found"
python3 - "$WORK/follower-1.ledger" <<'P'
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(-200, 2)
    byte = file.read(1)[0]
    file.seek(-1, 1)
    file.write(bytes([byte ^ 1]))
P
if ledger-cli verify chain "$WORK/follower-1.ledger" --trust "$TRUST" >"$WORK/refused" 2>&1; then
    fail "a changed chain was believed"
fi
cat "$WORK/refused"
grep -q 'FMT_\|V_' "$WORK/refused" || fail "it was refused for another reason"

step "what is known against validators"
at validator-1 evidence list
