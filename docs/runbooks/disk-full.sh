#!/usr/bin/env bash
# A validator's disk is full: docs/OPERATING.md, disk.
. "$(dirname "$0")/machines.sh"
# What stands for a full disk below would end a process by this signal; a disk sends none.
trap '' XFSZ
consortium

step "validator-1 has no room left: a limit to the length of its files stands for that"
longest=$(find "$WORK/validator-1" -type f -printf '%s\n' | sort -n | tail -n 1)
prlimit --pid "${PROCESS[validator-1]}" --fsize="$((longest + 4096))"

step "it stops with STORE_IO, and the others go on"
for ((written = 0; ; written++)); do
    kill -0 "${PROCESS[validator-1]}" 2>/dev/null || break
    ((written < 200)) || fail "validator-1 still has room"
    business validator-2 1
done
code=0
wait "${PROCESS[validator-1]}" || code=$?
unset "PROCESS[validator-1]"
[ "$code" = 32 ] || fail "validator-1 ended with $code: $(tail -n 3 "$WORK/validator-1.log")"
grep -q STORE_IO "$WORK/validator-1.log" || fail "validator-1 does not name the cause"
business validator-2 1

step "room is made, and it is started: it takes what it missed, and votes, since its log is whole"
start validator-1
agree validator-2 validator-1
becomes validator-1 recovering False

step "with another one down its vote is needed, and there"
stop validator-4
business validator-3 2
agree validator-1 validator-2 validator-3 follower-1
