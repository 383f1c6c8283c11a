//! The stable codes that are the services' own. Those of formats, rules and the verifier pass through unchanged.

use ledger_format::malformed::Explanation;

macro_rules! codes {
    ($($name:ident = $code:literal, $text:literal, $help:literal;)*) => {
        $(
            #[doc = $text]
            pub const $name: Explanation =
                Explanation { code: $code, text: $text, source: "docs/API.md", help: $help };
        )*

        /// All of them.
        pub const ALL: &[Explanation] = &[$($name,)*];
    };
}

codes! {
    BAD_REQUEST = "API_BAD_REQUEST",
        "The request lacks a field or has one that the service does not allow.",
        "See the message, and the comments of proto/ledger/v1.";
    NOT_FOUND = "API_NOT_FOUND",
        "There is no such thing on this ledger, as far as this node knows.",
        "Check the id or height; a record's absence can be proven with `ledger-cli prove record`.";
    REPLICAS = "API_REPLICAS",
        "The request asks for more validators than the ledger has.",
        "Ask for as many as `ledger-cli status` names, or fewer.";
    POOL_FULL = "API_POOL_FULL",
        "The node has as many entries waiting as it takes.",
        "Try again after the time in RetryInfo; submitting the same entry again is safe.";
    UNFINISHED = "API_UNFINISHED",
        "The node holds as much of requests that have not come whole as it may.",
        "Try again after the time in RetryInfo; nothing of the request was taken. Send fewer large requests at once.";
    UNREAD = "API_UNREAD",
        "The node holds as many bytes of answers that their clients have not read as it may.",
        "Read the answers of calls under way, and ask again after the time in RetryInfo. Ask for fewer large answers at once.";
    BUSY = "API_BUSY",
        "The node does as much of this at a time as it may, in all or for one caller.",
        "Try again after the time in RetryInfo. End streams that are not needed, and ask for less at once, or another node.";
    SLOW = "API_SLOW",
        "The request did not come whole in time.",
        "Nothing of it was taken: send it again, in smaller messages or fewer at once, and end the call's sending side.";
    STALLED = "API_STALLED",
        "The client has taken nothing of the stream for as long as the node waits.",
        "Read the stream as it comes. Go on after the last block or entry that has arrived; records begin anew, and what was submitted is asked for with WaitFor.";
    TOO_MANY = "API_TOO_MANY",
        "The request asks for, or carries, more than one call may.",
        "Split the request; the message names the limit.";
    TIMED_OUT = "API_TIMEOUT",
        "The entry was taken, and what became of it was not known in time.",
        "Ask again with WaitFor, or submit the same entry again: it counts once.";
    HEIGHT_NOT_KEPT = "API_HEIGHT_NOT_KEPT",
        "The state of that height is not kept any more, or does not exist yet.",
        "Ask for the latest height (0), or replay the chain: `ledger-cli export chain --no-records`.";
    STOPPING = "API_STOPPING",
        "The node is stopping.",
        "Try another node, or this one again when it is back.";
    UNSIGNED = "API_UNSIGNED",
        "This node follows the ledger and signs nothing, and no validator gave it a signature in time.",
        "Try again, or ask a validator; blocks, records and their proofs are the same here.";
    INTERNAL = "API_INTERNAL",
        "The node could not read what it stores.",
        "The operator finds the cause in the node's log; `ledger-node reindex` rebuilds indexes.";
}
