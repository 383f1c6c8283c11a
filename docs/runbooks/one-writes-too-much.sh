#!/usr/bin/env bash
# An exchange writes too much, and the members agree on a budget: docs/OPERATING.md, one party, or one exchange, writes too much.
. "$(dirname "$0")/machines.sh"
consortium
founder() { echo "$WORK/validator-$1/founder/organisation"; }
# A command that three of the four members sign one after another.
members() {
    local draft=$WORK/members.draft number
    at validator-1 "$@" --key "$(founder 1).pem" --with "$(founder 2).pub" --with "$(founder 3).pub" --draft "$draft" >/dev/null
    for number in 2 3; do at validator-$number -q draft sign "$draft" --key "$(founder $number).pem" >/dev/null; done
    at validator-1 -q draft submit "$draft" --key "$(founder 1).pem" >/dev/null
    rm "$draft"
}

step "the members agree on how much an exchange may write in a day"
members budget set --window 24h --exchange-entries 5
agree validator-1 validator-2 validator-3 follower-1
at validator-2 budget show exchange-2

step "whoever is at the end of it is told until when"
business validator-2 5
if business validator-2 1 2>"$WORK/refused"; then fail "a sixth entry was taken"; fi
grep BUDGET_SPENT "$WORK/refused" || fail "refused for something else: $(cat "$WORK/refused")"

step "the others write on, and everybody sees what was spent"
business validator-3 2
agree validator-3 follower-1
for exchange in 2 3; do at follower-1 budget show exchange-$exchange; done

step "who set the budget lifts it"
members budget lift
agree validator-1 validator-2
business validator-2 1
agree validator-2 follower-1
at follower-1 export chain --out "$WORK/chain.ledger" && ledger-cli verify chain "$WORK/chain.ledger" --trust "$TRUST"
