//! A COSE_Sign1 taken apart, to be put together again in ways in which no encoder would.

use ledger_format::entry::Entry;
use minicbor::{Decoder, Encoder};

/// The four parts of a COSE_Sign1, to be put together again in other ways.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) protected: Vec<u8>,
    pub(super) unprotected: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl Parts {
    pub(super) fn of(entry: &Entry) -> Self {
        let bytes = entry.bytes().clone();
        let mut decoder = Decoder::new(&bytes);
        decoder.tag().unwrap();
        decoder.array().unwrap();
        let protected = decoder.bytes().unwrap().to_vec();
        decoder.map().unwrap();
        let payload = decoder.bytes().unwrap().to_vec();
        let signature = decoder.bytes().unwrap().to_vec();
        Self { protected, unprotected: vec![0xa0], payload, signature }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.with_items(&string(&self.protected), &string(&self.payload))
    }

    /// With other items in place of the byte strings of protected header and payload.
    pub(super) fn with_items(&self, protected: &[u8], payload: &[u8]) -> Vec<u8> {
        let signature = string(&self.signature);
        [&[0xd2, 0x84], protected, &self.unprotected, payload, &signature].concat()
    }

    pub(super) fn with_protected(&self, protected: Vec<u8>) -> Vec<u8> {
        Self { protected, ..self.clone() }.bytes()
    }

    pub(super) fn with_payload(&self, payload: Vec<u8>) -> Vec<u8> {
        Self { payload, ..self.clone() }.bytes()
    }

    /// The protected header after a change of its items.
    pub(super) fn with_header(&self, change: impl FnOnce(&mut Items)) -> Vec<u8> {
        let mut items = items(&self.protected);
        change(&mut items);
        self.with_protected(map(&items))
    }

    /// The claims after a change of their items.
    pub(super) fn with_claims(&self, change: impl FnOnce(&mut Items)) -> Vec<u8> {
        self.with_header(|header| {
            let claims = header.iter_mut().find(|(key, _)| *key == [0x0f]).unwrap();
            let mut inner = items(&claims.1);
            change(&mut inner);
            claims.1 = map(&inner);
        })
    }
}

/// Keys and values of a CBOR map, as they are encoded.
pub(super) type Items = Vec<(Vec<u8>, Vec<u8>)>;

pub(super) fn items(bytes: &[u8]) -> Items {
    let mut decoder = Decoder::new(bytes);
    let count = decoder.map().unwrap().unwrap();
    let mut item = || {
        let from = decoder.position();
        decoder.skip().unwrap();
        bytes[from..decoder.position()].to_vec()
    };
    (0..count).map(|_| (item(), item())).collect()
}

pub(super) fn map(items: &Items) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(u64::try_from(items.len()).unwrap()).unwrap();
    let parts = items.iter().flat_map(|(key, value)| [key.clone(), value.clone()]);
    [encoder.into_writer(), parts.flatten().collect()].concat()
}

pub(super) fn text(text: &str) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.str(text).unwrap();
    encoder.into_writer()
}

pub(super) fn claim(claims: &mut Items, label: u8, value: Vec<u8>) {
    claims.iter_mut().find(|(key, _)| *key == [label]).unwrap().1 = value;
}

/// The value of the private label, in header and claims alike.
pub(super) fn private(items: &mut Items) -> &mut Vec<u8> {
    &mut items.iter_mut().find(|(key, _)| *key == PRIVATE).unwrap().1
}

/// The label of what is private to this format, -65537, as it is encoded.
pub(super) const PRIVATE: [u8; 5] = [0x3a, 0x00, 0x01, 0x00, 0x00];

/// An array after a change of its elements, each as it is encoded.
pub(super) fn with_elements(array: &[u8], change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let mut decoder = Decoder::new(array);
    let count = decoder.array().unwrap().unwrap();
    let mut element = || {
        let from = decoder.position();
        decoder.skip().unwrap();
        array[from..decoder.position()].to_vec()
    };
    let mut elements = (0..count).map(|_| element()).collect();
    change(&mut elements);
    let mut encoder = Encoder::new(Vec::new());
    encoder.array(u64::try_from(elements.len()).unwrap()).unwrap();
    [encoder.into_writer(), elements.concat()].concat()
}

/// A byte string.
pub(super) fn string(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.bytes(bytes).unwrap();
    encoder.into_writer()
}

/// A string as one chunk of a string of indefinite length.
pub(super) fn chunked(string: &[u8]) -> Vec<u8> {
    [&[string[0] & 0xe0 | 0x1f], string, &[0xff]].concat()
}

/// A map with fewer than 24 pairs, without its length.
pub(super) fn endless(map: &[u8]) -> Vec<u8> {
    [&[0xbf], &map[1..], &[0xff]].concat()
}
