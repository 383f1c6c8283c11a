#!/usr/bin/env bash
# A new follower begins from an exported chain instead of the network: docs/OPERATING.md, backup.
. "$(dirname "$0")/machines.sh"
consortium
business validator-2 5

step "a checkpoint from a node that you trust, and then a chain from any node that has come as far"
at validator-1 checkpoint >"$WORK/head.note"
agree validator-1 follower-1
at follower-1 export chain --out "$WORK/chain.ledger"

step "an empty follower is filled, after the whole chain was verified"
stop follower-1
mkdir "$WORK/saved" && cp -r "$WORK/follower-1/"{keys,genesis,config.toml} "$WORK/saved/"
rm -r "$WORK/follower-1" && mkdir "$WORK/follower-1" && cp -r "$WORK/saved/"* "$WORK/follower-1/"
if ledger-node restore --data-dir "$WORK/follower-1" --snapshot "$WORK/chain.ledger" --checkpoint "$(printf '%064d' 1)" 2>"$WORK/refused"; then
    fail "restored without the block that was pinned"
fi
grep -q NODE_CHECKPOINT "$WORK/refused" || fail "it was refused for another reason: $(cat "$WORK/refused")"
ledger-node restore --data-dir "$WORK/follower-1" --snapshot "$WORK/chain.ledger" --checkpoint "$WORK/head.note"

step "it goes on from there"
business validator-3 2
start follower-1
agree validator-3 follower-1
