#!/usr/bin/env bash
# Four exchanges found a ledger: docs/OPERATING.md, founding.
. "$(dirname "$0")/machines.sh"
DATA=$(dirname "$0")/../../ledger-node/data
mkdir -p "$WORK/traders"

step "1, 2: each founder makes its node's keys and its own, on its own machine"
for founder in gzdex hkdex szdex mcdex; do
    ledger-node keys new --data-dir "$WORK/$founder" >/dev/null
    for key in organisation officer-1; do
        ledger-cli -q key new "$WORK/$founder/founder/$key.pem" --plain >/dev/null
    done
done

step "3, 4: one begins, and the file goes round"
FILE=$WORK/gba.ceremony
ledger-cli network genesis new "$FILE" --name 'Greater Bay Area provenance' --origin ledger.gzdex.example/gba \
    --ruleset "$DATA/rulesets/CN-NDA-2026.json" --calendar "$DATA/calendars/CN-2026.json"
for founder in gzdex hkdex szdex mcdex; do
    # The commitment to an officer would come from `ledger-cli commitment new`.
    ledger-cli -q network genesis add-member "$FILE" "$founder" --name-en "$founder" --as exchange --as identity-authority \
        --as node-operator --grant "$WORK/$founder/founder/organisation.pub=org-hsm" \
        --grant "$WORK/$founder/founder/officer-1.pub=officer-token,$(printf '%064d' 7)" --keys-of "$WORK/$founder/keys" >/dev/null
done

step "5: all read it, and agree on the hash by voice"
HASH=$(ledger-cli -o json network genesis show "$FILE" | python3 -c 'import json, sys; print(json.load(sys.stdin)["genesis"])')
echo "$HASH"

step "6, 7: all sign; who began seals"
if ledger-cli -q network genesis seal "$FILE" --key "$WORK/gzdex/founder/organisation.pem" --trust "$HASH" --to "$WORK/early" 2>"$WORK/refused"; then
    fail "sealed without the others' signatures"
fi
grep -q CLIENT_UNSIGNED "$WORK/refused" || fail "it was refused for another reason: $(cat "$WORK/refused")"
for founder in hkdex szdex mcdex; do
    ledger-cli -q network genesis sign "$FILE" --key "$WORK/$founder/founder/organisation.pem" --trust "$HASH" >/dev/null
done
ledger-cli -q network genesis seal "$FILE" --key "$WORK/gzdex/founder/organisation.pem" --trust "$HASH" --to "$WORK/gba.genesis" >/dev/null

step "8: everybody makes a data directory of it, followers too"
KNOWN='' NUMBER=0
for founder in gzdex hkdex szdex mcdex; do
    KNOWN="$KNOWN\"$(identity $founder keys)@127.0.0.1:$((PORT + 2 * NUMBER + 1))\", "
    NUMBER=$((NUMBER + 1))
done
NUMBER=0
for node in gzdex hkdex szdex mcdex auditor; do
    ledger-node init --genesis "$WORK/gba.genesis" --trust "$HASH" --data-dir "$WORK/$node" >/dev/null
    role=validator
    [ $node = auditor ] && role=follower
    printf 'listen = "127.0.0.1:%d"\nrole = "%s"\n\n[peer]\nlisten = "127.0.0.1:%d"\nknown = [%s]\n' \
        $((PORT + 2 * NUMBER)) $role $((PORT + 2 * NUMBER + 1)) "${KNOWN%, }" >"$WORK/$node/config.toml"
    NUMBER=$((NUMBER + 1))
done
start gzdex hkdex szdex mcdex auditor

step "business goes on at every exchange, and all have one history from the hash that was agreed on"
for founder in gzdex hkdex szdex mcdex; do business $founder 1; done
agree mcdex gzdex hkdex szdex auditor
at auditor export chain --out "$WORK/chain.ledger"
ledger-cli verify chain "$WORK/chain.ledger" --trust "$HASH"
