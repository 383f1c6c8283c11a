#!/usr/bin/env bash
# A validator's clock is wrong: docs/OPERATING.md, at three in the morning.
. "$(dirname "$0")/machines.sh"
# What stands for the clock of a machine of its own, from Debian's package faketime. 77: the runbook could not be run.
library=$(find /usr/lib -name libfaketime.so.1 2>/dev/null | head -n 1)
[ -n "$library" ] || { echo "there is no libfaketime.so.1" >&2; exit 77; }

# Sets the clock of validator-1, whether it runs or not.
set_clock() { echo "$1" >"$WORK/clock.new" && mv "$WORK/clock.new" "$WORK/clock"; }

# Starts validator-1 by that clock.
start_by_clock() {
    LD_PRELOAD=$library FAKETIME_TIMESTAMP_FILE=$WORK/clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 start validator-1
}

# Lets business go on until a node's status tells of a clock.
tells() {
    local tries
    for ((tries = 0; tries < 40; tries++)); do
        status "$1" notices | grep NODE_CLOCK && return
        business validator-2 1
    done
    fail "$1 tells of no clock: $(status "$1" notices)"
}

consortium
stop validator-1

step "the clock of validator-1 is ten minutes behind: the others go on, and it says so"
set_clock -10m
start_by_clock
tells validator-1
agree validator-2 validator-1

step "who writes through it notices nothing: the time is that of the last block, which others made"
business validator-1 1
agree validator-1 validator-2

step "it is ten minutes ahead: the others say so, and give its proposals no vote"
set_clock +10m
tells validator-2
agree validator-2 validator-1

step "its clock is set, no restart is needed, and with another one down its vote is needed, and there"
set_clock +0
stop validator-4
business validator-3 2
agree validator-1 validator-2 validator-3 follower-1
