//! README, CONTRIBUTING and the pages of docs/: their links lead somewhere, and their code is tested.

use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(|name| root.join(name))
        .into_iter()
        .chain(docs)
        .collect()
}

#[test]
fn every_relative_link_leads_to_a_file() {
    for page in pages() {
        let text = read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") {
                let target = page.parent().unwrap().join(file);
                assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            }
        }
    }
}

#[test]
fn every_page_with_code_is_tested() {
    let tested =
        [include_str!("../../src/doc_tests.rs"), include_str!("../docs/src/lib.rs")].concat();
    for page in pages() {
        let name = page.file_name().unwrap().to_str().unwrap();
        if read_to_string(&page).unwrap().contains("```rust") {
            assert!(tested.contains(&format!("/{name}\")")), "{name} is not in src/doc_tests.rs");
        }
    }
}
