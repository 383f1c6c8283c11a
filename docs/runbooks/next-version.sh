#!/usr/bin/env bash
# The validators let the ledger follow the next version of the protocol: docs/OPERATING.md, validators that come and go.
. "$(dirname "$0")/machines.sh"
consortium --protocol-version 4
founder() { echo "$WORK/validator-$1/founder/organisation"; }

step "every node's program knows it"
for node in validator-1 validator-2 validator-3 validator-4 follower-1; do
    [ "$(status $node known_protocol_version)" -ge 5 ] || fail "$node is too old"
done

step "members sign, for a height that leaves time"
HEIGHT=$(($(status validator-1 height) + 5)) DRAFT=$WORK/v5.draft
at validator-1 protocol activate 5 --height "$HEIGHT" --key "$(founder 1).pem" --with "$(founder 2).pub" \
    --with "$(founder 3).pub" --draft "$DRAFT" >/dev/null
for number in 2 3; do at validator-$number -q draft sign "$DRAFT" --key "$(founder $number).pem" >/dev/null; done
at validator-1 -q draft submit "$DRAFT" --key "$(founder 1).pem" >/dev/null
becomes validator-3 planned_protocol_version 5

step "from that height on it is in force"
business validator-2 5
agree validator-2 validator-1 validator-3 validator-4 follower-1
becomes follower-1 protocol_version 5
at follower-1 export chain --out "$WORK/chain.ledger" && ledger-cli verify chain "$WORK/chain.ledger" --trust "$TRUST"
