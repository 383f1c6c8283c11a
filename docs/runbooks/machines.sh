# What stands for the machines of a consortium in the runbooks: processes on the loopback, each with a directory of its own below $WORK.
# On real machines `start` and `stop` are the service manager's, and files travel in other ways than by `cp`.
# shellcheck shell=bash
set -euo pipefail

PORT=${PORT:-18500}
WORK=$(mktemp -d)
declare -A PROCESS=()

# Says what comes next.
step() { printf '\n== %s\n' "$*"; }

fail() {
    printf 'failed: %s\n' "$*" >&2
    exit 1
}

# Starts nodes, together: on a new ledger none is ready before a quorum is.
start() {
    local node tries
    for node in "$@"; do
        # What an earlier process said is not this one's word that it is ready.
        : >"$WORK/$node.out"
        ledger-node run --data-dir "$WORK/$node" >"$WORK/$node.out" 2>>"$WORK/$node.log" &
        PROCESS[$node]=$!
    done
    for node in "$@"; do
        for ((tries = 0; ; tries++)); do
            [ -s "$WORK/$node.out" ] && break
            kill -0 "${PROCESS[$node]}" 2>/dev/null || fail "$node ended: $(tail -n 3 "$WORK/$node.log")"
            ((tries < 600)) || fail "$node is not ready after a minute"
            sleep 0.1
        done
    done
}

# Stops nodes as a service manager does.
stop() {
    local node
    for node in "$@"; do
        kill -TERM "${PROCESS[$node]}"
        wait "${PROCESS[$node]}" || fail "$node ended with $?"
        unset "PROCESS[$node]"
    done
}

end() {
    local node
    for node in "${!PROCESS[@]}"; do kill -TERM "${PROCESS[$node]}" 2>/dev/null || true; done
    wait || true
    rm -rf "$WORK"
}
trap end EXIT

# The services' address of a node.
url() { sed -n '1,/^\[/s/^listen = "\(.*\)"/http:\/\/\1/p' "$WORK/$1/config.toml"; }

# A command of ledger-cli at a node.
at() {
    local node=$1
    shift
    ledger-cli --node "$(url "$node")" "$@"
}

# A field of what a node says of itself.
status() { at "$1" -o json status | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2"; }

# Waits until a field of a node's status has a value.
becomes() {
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        [ "$(status "$1" "$2")" = "$3" ] && return
        sleep 0.1
    done
    fail "$2 of $1 is $(status "$1" "$2"), not $3"
}

# Waits until nodes have the height of the first.
agree() {
    local node height
    height=$(status "$1" height)
    for node in "${@:2}"; do becomes "$node" height "$height"; done
}

# Lets business go on: an exchange admits traders, each in a block of its own.
TRADERS=0
business() {
    local exchange=$1 count=$2 key
    for ((; count > 0; count--)); do
        TRADERS=$((TRADERS + 1))
        key=$WORK/traders/trader-$TRADERS.pem
        ledger-cli -q key new "$key" --plain >/dev/null
        at "$exchange" -q party admit "trader-$TRADERS" --name-en "Trader $TRADERS" --as supplier \
            --grant "$key=org-hsm" --key "$WORK/$exchange/founder/organisation.pem" \
            --key "$WORK/$exchange/founder/officer-1.pem" --key "$key" >/dev/null
    done
}

# Lets business go on at an exchange until a validator votes again: what was written before all others had reported does not count.
recovers() {
    local tries
    for ((tries = 0; tries < 40; tries++)); do
        [ "$(status "$1" recovering)" = False ] && return
        business "$2" 1
    done
    fail "$1 still recovers"
}

# Four exchanges and a follower that are there already.
consortium() {
    mkdir -p "$WORK/traders"
    # What verdicts are about is known from those who founded, and not from a node that is audited.
    TRUST=$(ledger-node testnet --validators 4 --followers 1 --init-only --base-port "$PORT" --data-dir "$WORK" -o json "$@" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["genesis"])')
    start validator-1 validator-2 validator-3 validator-4 follower-1
    business validator-1 1
}

# The identity that a node's keys give it: `keys`, or those in `next`.
identity() {
    ledger-node keys show -o json --data-dir "$WORK/$1" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]]["identity"])' "$2"
}

# Puts another node into a node's settings, or takes one out.
introduce() { sed -i "s|^known = \[|known = [\"$2@$3\", |" "$WORK/$1/config.toml"; }
forget() { sed -i "s|\"$2@[^\"]*\",* *||" "$WORK/$1/config.toml"; }

# Has nodes read their settings again, and waits until they say so.
reload() {
    local node tries before
    for node in "$@"; do
        before=$(grep -c 'settings were read again' "$WORK/$node.log" || true)
        kill -HUP "${PROCESS[$node]}"
        for ((tries = 0; ; tries++)); do
            [ "$(grep -c 'settings were read again' "$WORK/$node.log")" -gt "$before" ] && break
            ((tries < 100)) || fail "$node did not read its settings: $(tail -n 3 "$WORK/$node.log")"
            sleep 0.1
        done
    done
}

# Where a node hears its peers.
peers_of() { sed -n '/^\[peer\]/,$s/^listen = "\(.*\)"/\1/p' "$WORK/$1/config.toml"; }
