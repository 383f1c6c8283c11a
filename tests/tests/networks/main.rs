//! Several nodes, each a process of its own. One network at a time: each takes both cores, and some are timed.

mod blame;
mod ceremony;
mod followers;
mod membership;
mod network;
mod outages;
mod recover;
mod versions;
