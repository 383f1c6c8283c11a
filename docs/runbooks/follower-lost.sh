#!/usr/bin/env bash
# A follower's disk is lost: docs/OPERATING.md, damage.
. "$(dirname "$0")/machines.sh"
consortium
business validator-2 5

step "the directory is gone; genesis and configuration are not"
stop follower-1
mkdir "$WORK/saved" && cp "$WORK/follower-1/genesis" "$WORK/follower-1/config.toml" "$WORK/saved/"
rm -r "$WORK/follower-1" && mkdir "$WORK/follower-1"

step "new keys, so validators that list followers have to list it anew; the two files, and it takes everything, verified"
ledger-node keys new --data-dir "$WORK/follower-1" >/dev/null
cp "$WORK/saved/"* "$WORK/follower-1/"
business validator-1 2
start follower-1
agree validator-1 follower-1
at follower-1 export chain --out "$WORK/chain.ledger"
ledger-cli verify chain "$WORK/chain.ledger" --trust "$TRUST"
