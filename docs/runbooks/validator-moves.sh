#!/usr/bin/env bash
# A validator moves to another machine: docs/OPERATING.md, a validator's way back.
. "$(dirname "$0")/machines.sh"
consortium

step "the node is stopped, its directory copied, and the original removed: two of them would vote twice"
stop validator-1
cp -r "$WORK/validator-1" "$WORK/moved"
rm -r "$WORK/validator-1"

step "the copy does not vote by itself: it cannot know whether the original has gone on"
if timeout 60 ledger-node run --data-dir "$WORK/moved" >/dev/null 2>"$WORK/refused"; then fail "it started"; fi
grep -q NODE_VOTE_LOCK "$WORK/refused" || fail "it was refused for another reason: $(cat "$WORK/refused")"
ledger-node recover --data-dir "$WORK/moved"

step "it is reached at another address, which the others' settings may name from their next start or reload on"
sed -i -e "s/127.0.0.1:$PORT\"/127.0.0.1:$((PORT + 12))\"/" \
    -e "/^\[peer\]/,\$s/^listen = .*/listen = \"127.0.0.1:$((PORT + 13))\"/" "$WORK/moved/config.toml"
for node in validator-2 validator-3 validator-4 follower-1; do
    forget "$node" "$(identity moved keys)"
    introduce "$node" "$(identity moved keys)" "$(peers_of moved)"
done
reload validator-2 validator-3 validator-4 follower-1

step "it takes what was written meanwhile, and votes when no height is left at which it may have voted"
business validator-2 1
start moved
recovers moved validator-2
becomes moved role validator

step "with another one down its vote is needed, and there"
stop validator-4
business validator-3 2
agree moved validator-2 validator-3 follower-1
