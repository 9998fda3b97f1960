//! The public types, as the sources export them, and those that no other file here comes by.

use std::collections::BTreeSet;

use reqwest_oauth2::testing::{Fault, Provider};

use crate::logins::SECRET;
use crate::show::Show;

/// Public names that are no types: they cannot be shown.
const NO_TYPES: [&str; 4] = ["BoxError", "Grant", "TokenSaver", "TokenStore"];

/// Shows what the flows do not come by.
pub async fn others(show: &Show) {
    let builder = Provider::builder().client("foo", SECRET);
    show.note(&builder);
    let provider = builder.start().await.unwrap();
    show.note(&provider.hold());
    show.note(&provider.counts());
    show.note(&Fault::Garbage);
}

/// Every name with a capital that a `pub use` exports; those of `testing` with the module's name.
pub fn public() -> BTreeSet<String> {
    let exported = [
        ("", include_str!("../../src/lib.rs")),
        ("", include_str!("../../src/store/mod.rs")),
        ("testing::", include_str!("../../src/testing/mod.rs")),
    ];
    let mut names = BTreeSet::new();
    for (module, source) in exported {
        for item in source.split("pub use ").skip(1) {
            let item = item.split(';').next().unwrap();
            assert!(!item.contains('*') && !item.contains(" as "), "name them: {item}");
            let words = item.split(|c: char| !c.is_alphanumeric() && c != '_');
            let types = words.filter(|word| word.starts_with(|c: char| c.is_uppercase()));
            names.extend(types.map(|name| format!("{module}{name}")));
        }
        // What a module of the three defines itself would not be found.
        let own = ["\npub struct ", "\npub enum ", "\npub union "];
        assert!(own.iter().all(|own| !source.contains(own)), "a type outside a file of its own");
    }
    names.retain(|name| !NO_TYPES.contains(&&**name));
    names
}
