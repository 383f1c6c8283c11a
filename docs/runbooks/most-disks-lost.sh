#!/usr/bin/env bash
# More validators lose their disks than the ledger can do without: docs/OPERATING.md, a validator's way back.
. "$(dirname "$0")/machines.sh"
consortium
business validator-2 2

step "two of four directories are gone; keys, genesis and configuration were kept elsewhere"
stop validator-3 validator-4
for node in validator-3 validator-4; do
    mkdir "$WORK/kept-$node" && cp -r "$WORK/$node/"{keys,genesis,config.toml} "$WORK/kept-$node/"
    rm -r "${WORK:?}/$node" && mkdir "$WORK/$node" && cp -r "$WORK/kept-$node/"* "$WORK/$node/"
done

step "they recover and take the history, but two others are not enough to tell either what it has voted"
for node in validator-3 validator-4; do ledger-node recover --data-dir "$WORK/$node"; done
start validator-3 validator-4
agree validator-1 validator-3 validator-4
for node in validator-3 validator-4; do
    at "$node" -o json status | grep -q 'no report has come yet' || fail "$node does not say what it waits for"
done

step "the founders agree that no other copy of validator-3 runs, and choose a moment when no entry waits"
for node in validator-1 validator-2; do
    ledger-node status --data-dir "$WORK/$node" -o json | grep -Eq '"pool_entries": *0\b' || fail "entries wait at $node"
done
stop validator-3
ledger-node recover --alone --data-dir "$WORK/validator-3"
start validator-3
becomes validator-3 recovering False

step "three vote again, and are enough for the other one to recover without anybody's word"
recovers validator-4 validator-1
becomes validator-4 role validator
stop validator-1
business validator-2 2
agree validator-2 validator-3 validator-4 follower-1
