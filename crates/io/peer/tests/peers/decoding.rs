//! Hostile bytes for everything that reads them.

use bytes::Bytes;
use ledger_peer::{Code, validity, wire};
use ledger_proto::peer::exchange_request::Content;
use ledger_proto::peer::{self as v1};
use proptest::prelude::*;

use crate::node::validators;
use crate::stranger::{Card, hello, message};

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        for read in [wire::from_dialler, wire::from_acceptor] {
            if let Err(refusal) = read(Bytes::from(bytes.clone())) {
                prop_assert_eq!(refusal.code, Code::Malformed);
            }
        }
    }

    #[test]
    fn a_damaged_hello_is_a_message_or_malformed(place in 0_usize..250, byte: u8, cut in 0_usize..250) {
        let good = hello(&validators()[0], v1::Role::Validator, 1, &[1; 32], &[2; 32]);
        let mut bytes = message(Content::Hello(good)).to_vec();
        if let Some(at) = bytes.get_mut(place) {
            *at = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        if let Err(refusal) = wire::from_dialler(Bytes::from(bytes)) {
            prop_assert_eq!(refusal.code, Code::Malformed);
        }
    }

    #[test]
    fn any_bytes_are_a_certificate_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _never_panics = validity(&bytes);
    }

    #[test]
    fn a_damaged_certificate_is_one_or_none(place in 0_usize..600, byte: u8, cut in 0_usize..600) {
        let mut bytes = Card::new().certified.cert[0].to_vec();
        prop_assert!(validity(&bytes).is_some_and(|(from, to)| from < to));
        if let Some(at) = bytes.get_mut(place) {
            *at = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        let _never_panics = validity(&bytes);
    }
}
