#!/usr/bin/env bash
# A validator's disk is lost, and its keys are not: docs/OPERATING.md, a validator's way back.
. "$(dirname "$0")/machines.sh"
consortium
business validator-2 2

step "the directory is gone; keys, genesis and configuration were kept elsewhere"
stop validator-1
mkdir "$WORK/kept" && cp -r "$WORK/validator-1/"{keys,genesis,config.toml} "$WORK/kept/"
rm -r "$WORK/validator-1" && mkdir "$WORK/validator-1" && cp -r "$WORK/kept/"* "$WORK/validator-1/"

step "it does not vote from a directory that cannot know what it has voted"
if timeout 60 ledger-node run --data-dir "$WORK/validator-1" >/dev/null 2>"$WORK/refused"; then fail "it started"; fi
grep -q NODE_VOTE_LOCK "$WORK/refused" || fail "it was refused for another reason: $(cat "$WORK/refused")"

step "recover, and start: it takes the history from the others, and votes when no height is left at which it may have voted"
ledger-node recover --data-dir "$WORK/validator-1"
start validator-1
becomes validator-1 recovering True
recovers validator-1 validator-2
becomes validator-1 role validator

step "with another one down its vote is needed, and there"
stop validator-4
business validator-3 2
agree validator-1 validator-2 validator-3 follower-1
