#!/usr/bin/env bash
# A fifth exchange becomes a validator while the others go on: docs/OPERATING.md, validators that come and go.
. "$(dirname "$0")/machines.sh"
consortium
NEW=$WORK/validator-5

step "1: its operator makes a directory and starts the node, which stands by"
ledger-node keys new --data-dir "$NEW" >/dev/null
ledger-node init --genesis "$WORK/validator-1/genesis" --trust "$TRUST" --data-dir "$NEW" >/dev/null
sed -e "s/^listen = \"127.0.0.1:$PORT\"/listen = \"127.0.0.1:$((PORT + 20))\"/" \
    -e "s/^listen = \"127.0.0.1:$((PORT + 1))\"/listen = \"127.0.0.1:$((PORT + 21))\"/" \
    "$WORK/validator-1/config.toml" >"$NEW/config.toml"
start validator-5
becomes validator-5 role standby

step "2: its party is admitted; its private key stays where it was made"
KEY=$NEW/founder/organisation.pem ADMISSION=$WORK/admit.draft ADMITS=$WORK/validator-1/founder
ledger-cli -q key new "$KEY" --plain >/dev/null
at validator-1 -q party admit exchange-5 --name-en 'A fifth exchange' --as exchange --grant "${KEY%.pem}.pub=org-hsm" \
    --key "$ADMITS/organisation.pem" --key "$ADMITS/officer-1.pem" --with "${KEY%.pem}.pub" --draft "$ADMISSION" >/dev/null
at validator-5 -q draft sign "$ADMISSION" --key "$KEY" >/dev/null
at validator-1 -q draft submit "$ADMISSION" --key "$ADMITS/organisation.pem" >/dev/null
agree validator-1 validator-5

step "3: a member begins the draft, others sign, the new one too"
DRAFT=$WORK/add.draft
founder() { echo "$WORK/validator-$1/founder/organisation"; }
at validator-1 validator add exchange-5 --keys-of "$NEW/keys" --key "$(founder 1).pem" \
    --with "$(founder 2).pub" --with "$(founder 3).pub" --with "$NEW/founder/organisation.pub" --draft "$DRAFT" >/dev/null
for number in 2 3; do at validator-$number -q draft sign "$DRAFT" --key "$(founder $number).pem" >/dev/null; done
if at validator-1 -q draft submit "$DRAFT" --key "$(founder 1).pem" 2>"$WORK/refused"; then
    fail "submitted without its consent"
fi
grep -q CLIENT_UNSIGNED "$WORK/refused" || fail "it was refused for another reason: $(cat "$WORK/refused")"
at validator-5 -q draft sign "$DRAFT" --key "$KEY" >/dev/null
at validator-1 -q draft submit "$DRAFT" --key "$(founder 1).pem" >/dev/null

step "4: two blocks later it votes"
business validator-2 2
becomes validator-5 role validator
at validator-5 validator show
for number in 1 2 3 4; do introduce validator-$number "$(identity validator-5 keys)" "$(peers_of validator-5)"; done
reload validator-1 validator-2 validator-3 validator-4
step "with one of the others down its vote is needed"
stop validator-4
business validator-1 2
start validator-4
agree validator-1 validator-4 validator-5
