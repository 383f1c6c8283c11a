//! Commitments and files in delivery.

use ledger_format::digest::hex;
use serde_json::json;

use super::GOOD;
use crate::{Kind, Vector};

/// Salted commitments.
pub(super) fn commitments() -> Kind {
    let vector = |name: &str, salt: u8, path: &str, value: &str| {
        let input = json!({ "salt": hex(&[salt; 32]), "path": path, "value": value });
        Vector::new(name, "", input, GOOD)
    };
    Kind {
        name: "commitment",
        description: "Commitments to values that stay off the ledger (commitment.md).",
        vectors: vec![
            vector("a price", 1, "contract_signed.price", "1200000.00 CNY"),
            vector("another salt", 2, "contract_signed.price", "1200000.00 CNY"),
            vector("another field", 1, "listing_applied.price", "1200000.00 CNY"),
            vector("not ASCII", 1, "contract_signed.price", "壹佰贰拾万元"),
            vector("empty value", 1, "key_grant.officer", ""),
        ],
    }
}

/// Tree hashes over chunks.
pub(super) fn deliveries() -> Kind {
    let vector = |bytes: usize, chunk: u32, batches: u32| {
        let content: Vec<u8> = (0..bytes).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let input = json!({ "content": hex(&content), "chunk_bytes": chunk, "batches": batches });
        let name = format!("{bytes} bytes, chunks of {chunk}, {batches} batches");
        Vector::new(name, "byte n is n modulo 251", input, GOOD)
    };
    Kind {
        name: "delivery",
        description: "The tree hash of a file over its chunks, and of each batch over its part of them (delivery.md).",
        vectors: vec![
            vector(0, 1_024, 1),
            vector(1, 1_024, 1),
            vector(1_024, 1_024, 1),
            vector(1_025, 1_024, 2),
            vector(5_000, 1_024, 3),
            vector(7_168, 1_024, 7),
        ],
    }
}
