#!/usr/bin/env bash
# The exchange that founded a ledger alone loses its disk after another one has come in: docs/OPERATING.md, damage.
. "$(dirname "$0")/machines.sh"
mkdir -p "$WORK/traders"
ledger-node testnet --validators 1 --init-only --base-port "$PORT" --data-dir "$WORK" >/dev/null
FIRST=$WORK/validator-1 SECOND=$WORK/validator-2

step "it is backed up while it is alone, once it has a block"
start validator-1
stop validator-1
cp -r "$FIRST" "$WORK/backup"

step "a second exchange comes in"
ledger-node keys new --data-dir "$SECOND" >/dev/null
cp "$FIRST/genesis" "$SECOND/genesis"
sed -e "s/^listen = \"127.0.0.1:$PORT\"/listen = \"127.0.0.1:$((PORT + 20))\"/" \
    -e "s/^listen = \"127.0.0.1:$((PORT + 1))\"/listen = \"127.0.0.1:$((PORT + 21))\"/" \
    "$FIRST/config.toml" >"$SECOND/config.toml"
introduce validator-1 "$(identity validator-2 keys)" "$(peers_of validator-2)"
start validator-1
start validator-2
KEY=$SECOND/founder/organisation.pem FOUNDER=$FIRST/founder/organisation.pem
ledger-cli -q key new "$KEY" --plain >/dev/null
at validator-1 -q party admit exchange-2 --name-en 'A second exchange' --as exchange --grant "$KEY=org-hsm" \
    --key "$FOUNDER" --key "$FIRST/founder/officer-1.pem" --key "$KEY" >/dev/null
at validator-1 -q validator add exchange-2 --keys-of "$SECOND/keys" --key "$FOUNDER" --key "$KEY" >/dev/null
business validator-1 3
becomes validator-2 role validator

step "the first one's blocks and log are gone; by genesis it is the only one, so its settings have to name the other"
stop validator-1
rm -r "$FIRST"/{store,wal,vote.lock}
grep -q "$(identity validator-2 keys)@" "$FIRST/config.toml" || fail "alone it would make a second history"
ledger-node recover --data-dir "$FIRST"
start validator-1
agree validator-2 validator-1
becomes validator-1 recovering True

step "now it knows who decides today, and that these cannot go on without it"
stop validator-1
if ledger-node recover --data-dir "$FIRST" 2>"$WORK/refused"; then fail "the other is no quorum"; fi
grep -q NODE_RECOVER_ALONE "$WORK/refused" || fail "it was refused for another reason: $(cat "$WORK/refused")"
ledger-node recover --alone --data-dir "$FIRST"
start validator-1
becomes validator-1 recovering False
business validator-1 2
agree validator-1 validator-2

step "the same from the backup: its blocks show nobody else either, and its settings are from before the other came"
stop validator-1
rm -r "$FIRST"
cp -r "$WORK/backup" "$FIRST"
if ledger-node recover --data-dir "$FIRST" 2>"$WORK/refused"; then fail "nobody is named, and it would be alone"; fi
grep -q NODE_RECOVER_ALONE "$WORK/refused" || fail "it was refused for another reason: $(cat "$WORK/refused")"

step "this is not the moment for --alone: the other one, whose address its operator has, is named first"
introduce validator-1 "$(identity validator-2 keys)" "$(peers_of validator-2)"
ledger-node recover --data-dir "$FIRST"
start validator-1
agree validator-2 validator-1
becomes validator-1 recovering True
stop validator-1
ledger-node recover --alone --data-dir "$FIRST"
start validator-1
becomes validator-1 recovering False
business validator-1 2
agree validator-1 validator-2
