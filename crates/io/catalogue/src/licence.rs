//! Licences as catalogues state them.

use crate::record::Licence;

/// One licence entry of a record: what a catalogue may say of a licence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) name: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) url: Option<String>,
}

/// SPDX identifier, other names in lower case, addresses without scheme and trailing slash.
type Known = (&'static str, &'static [&'static str], &'static [&'static str]);

const KNOWN: &[Known] = &[
    (
        "CC0-1.0",
        &["cc0 1.0", "cc0 1.0 universal", "creative commons zero v1.0 universal"],
        &["creativecommons.org/publicdomain/zero/1.0"],
    ),
    (
        "CC-BY-4.0",
        &["cc by 4.0", "creative commons attribution 4.0 international"],
        &["creativecommons.org/licenses/by/4.0"],
    ),
    (
        "CC-BY-SA-4.0",
        &["cc by-sa 4.0", "creative commons attribution share alike 4.0 international"],
        &["creativecommons.org/licenses/by-sa/4.0"],
    ),
    (
        "CC-BY-NC-4.0",
        &["cc by-nc 4.0", "creative commons attribution non commercial 4.0 international"],
        &["creativecommons.org/licenses/by-nc/4.0"],
    ),
    ("CC-BY-NC-SA-4.0", &["cc by-nc-sa 4.0"], &["creativecommons.org/licenses/by-nc-sa/4.0"]),
    ("CC-BY-ND-4.0", &["cc by-nd 4.0"], &["creativecommons.org/licenses/by-nd/4.0"]),
    ("CC-BY-NC-ND-4.0", &["cc by-nc-nd 4.0"], &["creativecommons.org/licenses/by-nc-nd/4.0"]),
    ("CC-BY-3.0", &["cc by 3.0"], &["creativecommons.org/licenses/by/3.0"]),
    ("CC-BY-SA-3.0", &["cc by-sa 3.0"], &["creativecommons.org/licenses/by-sa/3.0"]),
    (
        "ODbL-1.0",
        &["open data commons open database license v1.0"],
        &["opendatacommons.org/licenses/odbl/1-0", "opendatacommons.org/licenses/odbl/1.0"],
    ),
    (
        "ODC-By-1.0",
        &["open data commons attribution license v1.0"],
        &["opendatacommons.org/licenses/by/1-0", "opendatacommons.org/licenses/by/1.0"],
    ),
    (
        "PDDL-1.0",
        &["open data commons public domain dedication & license 1.0"],
        &["opendatacommons.org/licenses/pddl/1-0", "opendatacommons.org/licenses/pddl/1.0"],
    ),
    (
        "OGL-UK-3.0",
        &["open government licence v3.0"],
        &["nationalarchives.gov.uk/doc/open-government-licence/version/3"],
    ),
    (
        "OGL-UK-2.0",
        &["open government licence v2.0"],
        &["nationalarchives.gov.uk/doc/open-government-licence/version/2"],
    ),
    ("MIT", &["mit license", "the mit license"], &["opensource.org/licenses/mit"]),
    ("Apache-2.0", &["apache license 2.0"], &["apache.org/licenses/license-2.0"]),
    ("BSD-3-Clause", &["the 3-clause bsd license"], &["opensource.org/license/bsd-3-clause"]),
];

/// Joins what a record says of its licences. Several licences stay several: whether all or any of them apply is not
/// stated, so that there is no SPDX expression for them.
pub(crate) fn licence(statements: &[Statement]) -> Option<Licence> {
    let stated: Vec<_> = statements.iter().filter(|one| one.text().is_some()).collect();
    match stated.as_slice() {
        [] => None,
        [one] => {
            Some(Licence { stated: one.text()?.to_owned(), url: one.url.clone(), spdx: one.spdx() })
        }
        several => Some(Licence {
            stated: several.iter().filter_map(|one| one.text()).collect::<Vec<_>>().join("; "),
            url: None,
            spdx: None,
        }),
    }
}

impl Statement {
    fn text(&self) -> Option<&str> {
        [&self.title, &self.name, &self.url].into_iter().flatten().map(String::as_str).next()
    }

    /// The identifier that name, title and address agree on. Versions are never guessed.
    fn spdx(&self) -> Option<&'static str> {
        let mut found = [&self.name, &self.title, &self.url]
            .into_iter()
            .flatten()
            .filter_map(|text| by_name(text).or_else(|| by_address(text)));
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)
    }
}

fn by_name(text: &str) -> Option<&'static str> {
    let text = text.trim().to_ascii_lowercase();
    KNOWN.iter().find_map(|(spdx, names, _)| {
        (spdx.eq_ignore_ascii_case(&text) || names.contains(&text.as_str())).then_some(*spdx)
    })
}

fn by_address(text: &str) -> Option<&'static str> {
    let text = text.trim().to_ascii_lowercase();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let rest = rest.strip_prefix("www.").unwrap_or(rest).trim_end_matches('/');
    let rest = ["/legalcode", "/deed", "/deed.en"]
        .into_iter()
        .find_map(|suffix| rest.strip_suffix(suffix))
        .unwrap_or(rest)
        .trim_end_matches('/');
    KNOWN.iter().find_map(|(spdx, _, addresses)| addresses.contains(&rest).then_some(*spdx))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spdx(name: &str, title: &str, url: &str) -> Option<&'static str> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        licence(&[Statement { name: some(name), title: some(title), url: some(url) }])
            .and_then(|licence| licence.spdx)
    }

    #[test]
    fn an_identifier_is_given_only_for_one_and_the_same_licence() {
        for (name, title, url, expected) in [
            ("CC-BY-4.0", "", "", Some("CC-BY-4.0")),
            ("cc-by-4.0", "", "", Some("CC-BY-4.0")),
            (
                "",
                "Creative Commons Attribution 4.0",
                "https://creativecommons.org/licenses/by/4.0/",
                Some("CC-BY-4.0"),
            ),
            ("", "", "http://creativecommons.org/licenses/by/4.0/legalcode", Some("CC-BY-4.0")),
            ("", "", "https://creativecommons.org/publicdomain/zero/1.0/deed.en", Some("CC0-1.0")),
            (
                "",
                "UK Open Government License",
                "https://www.nationalarchives.gov.uk/doc/open-government-licence/version/3/",
                Some("OGL-UK-3.0"),
            ),
            // No version: cc-by of a CKAN server may be any.
            ("cc-by", "Creative Commons Attribution", "", None),
            ("CC-BY-4.0", "", "https://creativecommons.org/licenses/by-nc/4.0/", None),
            ("other-open", "https://www.usa.gov/government-works", "", None),
            ("", "", "https://creativecommons.org.example/licenses/by/4.0/", None),
        ] {
            assert_eq!(spdx(name, title, url), expected, "{name} {title} {url}");
        }
    }

    #[test]
    fn nothing_is_no_licence_and_several_are_no_single_one() {
        let by = Statement { name: Some("CC-BY-4.0".to_owned()), ..Statement::default() };
        let terms = Statement { title: Some("Terms".to_owned()), ..Statement::default() };
        assert_eq!(licence(&[]), None);
        assert_eq!(licence(&[Statement::default()]), None);
        assert_eq!(licence(&[Statement::default(), by.clone()]).unwrap().spdx, Some("CC-BY-4.0"));
        let both = licence(&[terms, by]).unwrap();
        assert_eq!((both.stated.as_str(), both.spdx), ("Terms; CC-BY-4.0", None));
        assert_eq!(both.label(), "Terms; CC-BY-4.0");
    }
}
