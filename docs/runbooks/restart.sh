#!/usr/bin/env bash
# All nodes get another program, one after the other, and nobody notices: docs/OPERATING.md, upgrades.
. "$(dirname "$0")/machines.sh"
consortium

for node in validator-1 validator-2 validator-3 validator-4 follower-1; do
    step "$node: stop, copy, install, start, and wait until it has what the others have, and votes"
    stop $node
    cp -r "$WORK/$node" "$WORK/$node.before"
    other=validator-1
    [ $node = validator-1 ] && other=validator-2
    business $other 2
    start $node
    agree $other $node
    if [ $node != follower-1 ]; then
        becomes $node role validator
        becomes $node recovering False
    fi
    rm -r "$WORK/$node.before"
done
business validator-3 1
agree validator-3 validator-1 validator-2 validator-4 follower-1
