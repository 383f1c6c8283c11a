//! Reading the state: the map that an act is judged by, given from outside.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::borrow::Borrow;
use core::cell::RefCell;
use core::fmt::Display;

use bytes::Bytes;
use ledger_event::record::Body;
use ledger_event::{
    ActivityRecord, AssetRecord, Calendar, CertificateRecord, ContractRecord, DeliveryRecord,
    KeyRecord, LedgerRecord, ListingRecord, MisconductRecord, PartyRecord, PastSets, Record,
    RegistrationRecord, ReviewRecord, Role, RuleSet, Timeline, ValidatorSet,
};
use ledger_format::digest::{Hash, KeyId};
use ledger_format::id::state_key;
use prost::Message as _;

/// The state after some height, by state key.
pub trait View {
    /// The canonical bytes of a record, if there is one.
    fn record(&self, key: &Hash) -> Option<&[u8]>;
}

/// Reads the record of an id.
pub fn read(view: &dyn View, id: &str) -> Option<Record> {
    decode(view.record(&state_key(id))?)
}

/// Reads the record of an id, when it is of the asked type.
pub fn read_as<T: Typed>(view: &dyn View, id: &str) -> Option<T> {
    read(view, id)?.body.and_then(T::from_body)
}

/// Records in a state were written by these rules; bytes that are no record count as none.
pub(crate) fn decode(bytes: &[u8]) -> Option<Record> {
    Record::decode(Bytes::copy_from_slice(bytes)).ok()
}

/// A type of record body.
pub trait Typed: Sized {
    /// Takes the body out of a record, if it is of this type.
    fn from_body(body: Body) -> Option<Self>;
    /// Puts the body into a record.
    fn into_body(self) -> Body;
}

macro_rules! typed {
    ($($type:ty = $variant:ident;)*) => {$(
        impl Typed for $type {
            fn from_body(body: Body) -> Option<Self> {
                if let Body::$variant(inner) = body { Some(inner) } else { None }
            }
            fn into_body(self) -> Body {
                Body::$variant(self)
            }
        }
    )*};
}

typed! {
    LedgerRecord = Ledger;
    RuleSet = RuleSet;
    Calendar = Calendar;
    ValidatorSet = Validators;
    MisconductRecord = Misconduct;
    PastSets = PastSets;
    PartyRecord = Party;
    KeyRecord = Key;
    AssetRecord = Asset;
    RegistrationRecord = Registration;
    CertificateRecord = Certificate;
    ReviewRecord = Review;
    ListingRecord = Listing;
    ContractRecord = Contract;
    DeliveryRecord = Delivery;
    ActivityRecord = Activity;
}

/// Keys and parties of the state before a block, read once: few of them sign most of a block, and reading them anew was two fifths of
/// what the rules took for an entry.
#[derive(Debug, Default)]
pub(crate) struct Register {
    keys: Once<KeyId, KeyRecord>,
    parties: Once<String, PartyRecord>,
}

type Once<K, T> = RefCell<BTreeMap<K, Option<Rc<T>>>>;

fn read_once<K, Q, T>(known: &Once<K, T>, base: &dyn View, kind: &str, name: &Q) -> Option<Rc<T>>
where
    K: Ord + Borrow<Q>,
    Q: Ord + Display + ToOwned<Owned = K> + ?Sized,
    T: Typed,
{
    if let Some(known) = known.borrow().get(name) {
        return known.clone();
    }
    let record = read_as(base, &format!("{kind}:{name}")).map(Rc::new);
    known.borrow_mut().insert(name.to_owned(), record.clone());
    record
}

/// What the entries of a block have changed so far, by id. Boxed: a record is large, and is moved whenever one comes before it.
pub(crate) type Changed = BTreeMap<String, Box<Opened>>;

/// A record that a block changes, and its state key, which each entry on its timeline names.
pub(crate) struct Opened {
    pub(crate) key: Hash,
    pub(crate) record: Record,
}

/// The state as a block sees it: what was in force before the block, and subjects as earlier entries of the block left them.
#[derive(Clone, Copy)]
pub(crate) struct State<'a> {
    base: &'a dyn View,
    register: &'a Register,
    changed: &'a Changed,
}

impl<'a> State<'a> {
    pub(crate) fn new(base: &'a dyn View, register: &'a Register, changed: &'a Changed) -> Self {
        Self { base, register, changed }
    }

    /// A key, as the state before the block has it.
    pub(crate) fn key(&self, kid: KeyId) -> Option<Rc<KeyRecord>> {
        read_once(&self.register.keys, self.base, "key", &kid)
    }

    /// A party, as the state before the block has it.
    pub(crate) fn party(&self, name: &str) -> Option<Rc<PartyRecord>> {
        read_once(&self.register.parties, self.base, "party", name)
    }

    /// Whether the state before the block gives a party a role.
    pub(crate) fn has_role(&self, party: &str, role: Role) -> bool {
        self.party(party).is_some_and(|party| party.roles().any(|has| has == role))
    }

    /// What the state before the block says otherwise: rule sets, calendars, validators.
    pub(crate) fn in_force<T: Typed>(&self, id: &str) -> Option<T> {
        read_as(self.base, id)
    }

    /// The state before the block, for counting days.
    pub(crate) fn base(&self) -> &'a dyn View {
        self.base
    }

    /// Whether there is a record of an id, without reading it.
    pub(crate) fn exists(&self, id: &str) -> bool {
        self.changed.contains_key(id) || self.base.record(&state_key(id)).is_some()
    }

    /// A subject as the entries before this one left it.
    pub(crate) fn record(&self, id: &str) -> Option<Record> {
        let opened = self.changed.get(id).map(|opened| opened.record.clone());
        opened.or_else(|| read(self.base, id))
    }

    /// A subject of the asked type.
    pub(crate) fn current<T: Typed>(&self, id: &str) -> Option<T> {
        self.record(id)?.body.and_then(T::from_body)
    }

    /// The entries about a subject so far.
    pub(crate) fn timeline(&self, id: &str) -> Timeline {
        self.record(id).and_then(|record| record.timeline).unwrap_or_default()
    }
}

/// What one entry writes: new bodies, and records that it only adds itself to. Boxed: a map has room for eleven from its first on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writes {
    pub(crate) records: BTreeMap<String, Option<Box<Body>>>,
}

impl Writes {
    /// Sets the body of a record, new or not.
    pub(crate) fn put(&mut self, id: &str, body: impl Typed) {
        self.records.insert(id.to_string(), Some(Box::new(body.into_body())));
    }

    /// Adds the entry to the timeline of a record that stays as it is.
    pub(crate) fn touch(&mut self, id: &str) {
        self.records.entry(id.to_string()).or_insert(None);
    }
}
