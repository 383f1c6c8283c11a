#!/usr/bin/env bash
# A validator leaves: docs/OPERATING.md, validators that come and go.
. "$(dirname "$0")/machines.sh"
consortium
founder() { echo "$WORK/validator-$1/founder/organisation"; }

step "the others sign: its own party need not"
LEAVES=$(at validator-1 -o json validator show | python3 -c 'import json, sys; print([v["identity"] for v in json.load(sys.stdin)["validators"] if v["party"] == "exchange-4"][0])')
DRAFT=$WORK/remove.draft
at validator-1 validator remove "$LEAVES" --key "$(founder 1).pem" --with "$(founder 2).pub" \
    --with "$(founder 3).pub" --draft "$DRAFT" >/dev/null
for number in 2 3; do at validator-$number -q draft sign "$DRAFT" --key "$(founder $number).pem" >/dev/null; done
at validator-1 -q draft submit "$DRAFT" --key "$(founder 1).pem" >/dev/null

step "two blocks later it stands by, and can be stopped"
business validator-1 2
becomes validator-4 role standby
stop validator-4

step "the others forget where it was"
for node in validator-1 validator-2 validator-3 follower-1; do forget $node "$LEAVES"; done
reload validator-1 validator-2 validator-3 follower-1
business validator-2 2
agree validator-2 validator-1 validator-3 follower-1
at validator-1 status
