//! The parties of the demonstration. They are made up: their names say so, and their keys belong to nobody.

use std::path::Path;

use ed25519_dalek::SigningKey;
use ledger_client::act::Signatory;
use ledger_client::{ClientError, keys};
use ledger_event::{PartyAdmitted, PartyKind, PartyProfile, Purpose, Role};

use crate::setup::{FounderKey, founder_keys, grant};

/// What is public of one party.
#[derive(Clone, Copy, Debug)]
struct Person {
    id: &'static str,
    roles: &'static [Role],
    name_en: &'static str,
    name_zh: &'static str,
    /// GB/T 2260 region.
    region: &'static str,
    /// A registry's region and digit in the numbers of certificates.
    certificates: Option<(&'static str, &'static str)>,
}

const EXCHANGE: Person = Person {
    id: "demo-exchange",
    roles: &[Role::Exchange, Role::IdentityAuthority, Role::NodeOperator],
    name_en: "Demonstration Exchange",
    name_zh: "演示数据交易所",
    region: "4401",
    certificates: None,
};

const REGISTRY: Person = Person {
    id: "demo-registry",
    roles: &[Role::Registry],
    name_en: "Demonstration Registry",
    name_zh: "演示登记机构",
    region: "44",
    certificates: Some(("44", "1")),
};

const REVIEWER: Person = Person {
    id: "demo-reviewer",
    roles: &[Role::Reviewer],
    name_en: "Demonstration Compliance Reviewers",
    name_zh: "演示合规审核所",
    region: "4401",
    certificates: None,
};

const SUPPLIER: Person = Person {
    id: "demo-supplier",
    roles: &[Role::Supplier],
    name_en: "Demonstration Data Supplier",
    name_zh: "演示数据供方",
    region: "4403",
    certificates: None,
};

const BANK: Person = Person {
    id: "demo-bank",
    roles: &[Role::Buyer],
    name_en: "Demonstration Bank",
    name_zh: "演示银行",
    region: "4401",
    certificates: None,
};

const INSURER: Person = Person {
    id: "demo-insurer",
    roles: &[Role::Buyer],
    name_en: "Demonstration Insurer",
    name_zh: "演示保险公司",
    region: "4403",
    certificates: None,
};

const FILES: Person = Person {
    id: "demo-open-files",
    roles: &[Role::Supplier],
    name_en: "Demonstration Importer of Open Data Files",
    name_zh: "演示开放数据文件导入方",
    region: "4401",
    certificates: None,
};

const CATALOGUE: Person = Person {
    id: "demo-catalogue",
    roles: &[Role::Supplier],
    name_en: "Demonstration Importer of a Catalogue",
    name_zh: "演示目录导入方",
    region: "4401",
    certificates: None,
};

/// One party: its id, its roles, its keys.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) id: &'static str,
    pub(crate) roles: &'static [Role],
    person: Person,
    keys: Vec<FounderKey>,
}

/// All parties.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    pub(crate) exchange: Actor,
    pub(crate) registry: Actor,
    pub(crate) reviewer: Actor,
    pub(crate) supplier: Actor,
    pub(crate) bank: Actor,
    pub(crate) insurer: Actor,
    pub(crate) files: Actor,
    pub(crate) catalogue: Actor,
}

impl Cast {
    /// The cast with its keys, made at the first start and read after that. They are not encrypted, since they are worth nothing.
    pub(crate) fn load(directory: &Path) -> Result<Self, ClientError> {
        let actor = |person: Person| -> Result<Actor, ClientError> {
            let keys = load_keys(&directory.join(person.id))?;
            Ok(Actor { id: person.id, roles: person.roles, person, keys })
        };
        Ok(Self {
            exchange: actor(EXCHANGE)?,
            registry: actor(REGISTRY)?,
            reviewer: actor(REVIEWER)?,
            supplier: actor(SUPPLIER)?,
            bank: actor(BANK)?,
            insurer: actor(INSURER)?,
            files: actor(FILES)?,
            catalogue: actor(CATALOGUE)?,
        })
    }

    /// Everybody but the exchange, which genesis admits.
    pub(crate) fn admitted(&self) -> [&Actor; 7] {
        [
            &self.registry,
            &self.reviewer,
            &self.supplier,
            &self.bank,
            &self.insurer,
            &self.files,
            &self.catalogue,
        ]
    }
}

fn load_keys(directory: &Path) -> Result<Vec<FounderKey>, ClientError> {
    let mut all = founder_keys()?;
    for key in &mut all {
        let path = directory.join(format!("{}.pem", key.name));
        if path.exists() {
            key.key = keys::read(&path, || {
                Err(ClientError::key("a demonstration's key is not encrypted"))
            })?;
        } else {
            keys::write(&path, &key.key, None)?;
        }
    }
    Ok(all)
}

impl Actor {
    pub(crate) fn profile(&self) -> PartyProfile {
        let (region, digit) = self.person.certificates.unwrap_or_default();
        PartyProfile {
            kind: PartyKind::Legal.into(),
            name_zh: self.person.name_zh.to_owned(),
            name_en: self.person.name_en.to_owned(),
            jurisdiction: "CN".to_owned(),
            region: self.person.region.to_owned(),
            certificate_region: region.to_owned(),
            certificate_digit: digit.to_owned(),
            ..PartyProfile::default()
        }
    }

    pub(crate) fn keys(&self) -> &[FounderKey] {
        &self.keys
    }

    /// The organisation's own key.
    pub(crate) fn organisation(&self) -> &SigningKey {
        self.key(0)
    }

    #[expect(clippy::indexing_slicing, reason = "every actor has the three keys of `founder_keys`")]
    fn key(&self, number: usize) -> &SigningKey {
        &self.keys[number].key
    }

    fn signs(&self, number: usize, role: Role, purpose: Purpose) -> Signatory {
        Signatory::new(self.id, role, purpose, self.key(number))
    }

    /// The organisation alone.
    pub(crate) fn alone(&self, role: Role, purpose: Purpose) -> Vec<Signatory> {
        vec![self.signs(0, role, purpose)]
    }

    /// The organisation's key and an officer's token: what a binding act needs.
    pub(crate) fn two_factors(&self, role: Role, purpose: Purpose) -> Vec<Signatory> {
        vec![self.signs(0, role, purpose), self.signs(1, role, Purpose::SecondFactor)]
    }

    /// Two officers.
    pub(crate) fn two_officers(&self, role: Role) -> Vec<Signatory> {
        vec![self.signs(1, role, Purpose::Issue), self.signs(2, role, Purpose::SecondFactor)]
    }

    /// The act that admits this party, and its signers: the exchange, as exchange and as identity authority, and every new key.
    pub(crate) fn admission(&self, exchange: &Self) -> (PartyAdmitted, Vec<Signatory>) {
        let event = PartyAdmitted {
            profile: Some(self.profile()),
            roles: self.roles.iter().map(|role| i32::from(*role)).collect(),
            keys: self.keys.iter().map(|k| grant(self.id, &k.key, k.factor, k.officer)).collect(),
        };
        let mut signers = vec![
            exchange.signs(0, Role::Exchange, Purpose::Issue),
            exchange.signs(1, Role::IdentityAuthority, Purpose::Approve),
        ];
        let role = self.roles.first().copied().unwrap_or_default();
        signers.extend(
            (0..self.keys.len()).map(|number| self.signs(number, role, Purpose::Possession)),
        );
        (event, signers)
    }
}
