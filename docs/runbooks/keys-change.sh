#!/usr/bin/env bash
# A validator gets other keys: docs/OPERATING.md, validators that come and go.
. "$(dirname "$0")/machines.sh"
consortium
founder() { echo "$WORK/validator-$1/founder/organisation"; }

step "1: new keys beside the old ones; a restart reads them"
ledger-node keys next --data-dir "$WORK/validator-2"
OLD=$(identity validator-2 keys) NEW=$(identity validator-2 next)
stop validator-2
start validator-2

step "2: members sign"
DRAFT=$WORK/rotate.draft
at validator-2 validator rotate "$OLD" --keys-of "$WORK/validator-2/keys/next" --key "$(founder 2).pem" \
    --with "$(founder 1).pub" --with "$(founder 3).pub" --draft "$DRAFT" >/dev/null
for number in 1 3; do at validator-$number -q draft sign "$DRAFT" --key "$(founder $number).pem" >/dev/null; done
at validator-2 -q draft submit "$DRAFT" --key "$(founder 2).pem" >/dev/null

step "3: with the second block after it votes with the new ones"
business validator-1 2
becomes validator-2 role validator
at validator-2 -o json validator show | grep -q "$NEW" || fail "the set has the old keys"
stop validator-4
business validator-3 2
start validator-4

step "4: the new keys take the old ones' place"
ledger-node keys promote --data-dir "$WORK/validator-2"
stop validator-2
start validator-2

step "5: the others learn the new identity, and forget the former one"
for node in validator-1 validator-3 validator-4 follower-1; do
    forget $node "$OLD"
    introduce $node "$NEW" "$(peers_of validator-2)"
done
reload validator-1 validator-3 validator-4 follower-1
[ "$(identity validator-2 keys)" = "$NEW" ] || fail "the new keys are not in place"

step "6: the former keys are deleted, and the next start does without them"
rm -r "$WORK/validator-2/keys/former"
stop validator-2
start validator-2
becomes validator-2 role validator
business validator-2 1
agree validator-2 validator-1 validator-3 validator-4 follower-1
