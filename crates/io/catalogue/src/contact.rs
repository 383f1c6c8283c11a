//! Fields that name people: by-lines and contact points. They are neither carried nor digested.

use crate::json::{Json, Object};

/// Whether a field of this name holds a person's name or how to reach them.
pub(crate) fn is_contact(name: &str) -> bool {
    let local = name.rsplit(['#', '/', ':']).next().unwrap_or(name);
    let letters: String =
        local.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    ["contact", "mail", "phone", "联系", "聯絡", "电话", "電話"]
        .iter()
        .any(|part| letters.contains(part))
        || matches!(
            letters.as_str(),
            "author"
                | "authors"
                | "maintainer"
                | "maintainers"
                | "creator"
                | "creators"
                | "contributor"
                | "contributors"
                | "curator"
                | "editor"
                | "mbox"
                | "fax"
                | "vcardfn"
                | "wrangler"
        )
}

/// The value without its contact fields, at any depth. In CKAN's `extras`, a list of keys and values, those pairs go too.
pub(crate) fn without_contacts(json: Json) -> Json {
    match json {
        Json::Object(object) => Json::Object(
            object
                .into_iter()
                .filter(|(key, _)| !is_contact(key))
                .map(|(key, value)| (key, without_contacts(value)))
                .collect(),
        ),
        Json::List(list) => Json::List(
            list.into_iter().filter(|one| !is_contact_pair(one)).map(without_contacts).collect(),
        ),
        other => other,
    }
}

fn is_contact_pair(json: &Json) -> bool {
    let key = |object: &Object| object.get("key").and_then(Json::as_text).is_some_and(is_contact);
    json.as_object().is_some_and(|object| object.contains_key("value") && key(object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Limits;

    #[test]
    fn contacts_go_and_the_rest_stays() {
        let raw = r#"{
            "title": "x", "author": "A. Person", "author_email": "a@example.org", "maintainer": null,
            "dcat:contactPoint": {"vcard:fn": "A. Person"},
            "http://www.w3.org/ns/dcat#contactPoint": [{"@id": "_:c"}],
            "extras": [{"key": "Contact person", "value": "B"}, {"key": "issued", "value": "2024"}],
            "organization": {"title": "Bureau", "telephone": "1", "e-mail": "x"}, "authority": "kept"
        }"#;
        let json = Json::parse(raw, &Limits::default()).unwrap();
        let kept = r#"{
            "title": "x", "extras": [{"key": "issued", "value": "2024"}],
            "organization": {"title": "Bureau"}, "authority": "kept"
        }"#;
        assert_eq!(without_contacts(json), Json::parse(kept, &Limits::default()).unwrap());
    }
}
