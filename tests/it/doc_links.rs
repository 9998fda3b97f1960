//! README, CONTRIBUTING and the pages of docs/: their links lead somewhere, wherever they are read, and
//! what their code needs is listed.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

/// The pages that are modules of the documentation, and the links between these.
const GUIDES: &str = include_str!("../../src/guides/mod.rs");
const MODULE_LINKS: &str = include_str!("../../src/guides/links.md");
/// Where docs.rs shows them.
const DOCS_RS: &str = "https://docs.rs/reqwest-oauth2/latest/reqwest_oauth2/";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let docs = read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]
        .map(|name| root().join(name))
        .into_iter()
        .chain(docs)
        .collect()
}

/// A page without its code.
fn prose(page: &Path) -> String {
    let text = read_to_string(page).unwrap();
    let outside = text.split("\n```").step_by(2);
    outside.collect::<Vec<_>>().join("\n")
}

/// The destinations of `[text](destination)`.
fn inline_links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The labels and destinations of `[label]: destination`.
fn definitions(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "))
}

fn links(text: &str) -> impl Iterator<Item = &str> {
    inline_links(text).chain(definitions(text).map(|(_, destination)| destination))
}

/// The labels of `[text][label]`.
fn labels(text: &str) -> impl Iterator<Item = &str> {
    text.split("][").skip(1).filter_map(|rest| rest.split(']').next())
}

fn is_relative(link: &str) -> bool {
    !link.contains("://") && !link.starts_with('#')
}

/// The anchors of a page's headings, as docs.rs and repository hosts make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let plain = |c: char| (c.is_alphanumeric() || c == ' ' || c == '-' || c == '_').then_some(c);
    headings
        .map(|line| line.trim_start_matches('#').trim().chars().filter_map(plain).collect())
        .map(|heading: String| heading.to_lowercase().replace(' ', "-"))
        .collect()
}

/// The page that is this module of the documentation, with what the module adds to it.
fn page_of(module: &str) -> Option<(String, &'static str)> {
    let (before, _) = GUIDES.split_once(&format!("pub mod {module} {{}}"))?;
    let attributes = before.rsplit("pub mod ").next()?;
    let (_, name) = attributes.split_once("\"../../docs/")?;
    let page = root().join("docs").join(name.split('"').next()?);
    Some((prose(&page), attributes))
}

fn is_guide(page: &Path) -> bool {
    let name = page.file_name().unwrap().to_str().unwrap();
    GUIDES.contains(&format!("\"../../docs/{name}\""))
}

#[test]
fn every_relative_link_leads_to_a_file() {
    for page in pages() {
        let text = prose(&page);
        for link in links(&text).filter(|link| is_relative(link)) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = page.parent().unwrap().join(file);
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            let found = || anchors(&prose(&target)).contains(anchor);
            assert!(anchor.is_empty() || found(), "{}: {link}: no such heading", page.display());
        }
    }
}

#[test]
fn every_label_is_defined() {
    for page in pages() {
        let text = prose(&page);
        let defined: BTreeSet<_> = definitions(&text).map(|(label, _)| label).collect();
        let used: BTreeSet<_> = labels(&text).collect();
        assert_eq!(used, defined, "{}", page.display());
    }
}

/// A registry shows README without the files beside it.
#[test]
fn readme_needs_no_file_beside_it() {
    let readme = prose(&root().join("README.md"));
    assert_eq!(links(&readme).find(|link| is_relative(link)), None);
    for anchor in links(&readme).filter_map(|link| link.strip_prefix('#')) {
        assert!(anchors(&readme).contains(anchor), "README has no heading #{anchor}");
    }
}

#[test]
fn links_to_the_documentation_lead_to_a_guide() {
    let readme = prose(&root().join("README.md"));
    let mut guides = 0;
    for link in links(&readme).filter_map(|link| link.strip_prefix(DOCS_RS)) {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let module = path.strip_prefix("guides/").and_then(|path| path.strip_suffix("/index.html"));
        let (page, attributes) = page_of(module.unwrap_or_default()).expect(link);
        let has =
            anchors(&page).contains(anchor) || attributes.contains(&format!("id=\\\"{anchor}"));
        assert!(anchor.is_empty() || has, "{link}: no such heading");
        guides += 1;
    }
    assert!(guides > 0);
}

/// docs.rs has no files beside a page: there the links are those of `links.md`, which rustdoc checks.
#[test]
fn guides_name_each_other_by_labels() {
    let modules: BTreeSet<_> = definitions(MODULE_LINKS).map(|(label, _)| label).collect();
    for page in pages().into_iter().filter(|page| is_guide(page)) {
        let text = prose(&page);
        let inline = inline_links(&text).find(|link| is_relative(link));
        assert_eq!(inline, None, "{}: write [text][label]", page.display());
        for (label, link) in definitions(&text).filter(|(_, link)| is_relative(link)) {
            assert!(modules.contains(label), "{}: {link} is not in links.md", page.display());
        }
    }
}

#[test]
fn every_page_is_a_guide() {
    // It is about the repository.
    let apart = |page: &Path| page.ends_with("docs/fuzzing.md");
    for page in pages().into_iter().filter(|page| page.parent().unwrap().ends_with("docs")) {
        assert_ne!(is_guide(&page), apart(&page), "{}", page.display());
    }
}

/// No promise without a test: those that docs/architecture.md names are in this binary.
#[test]
fn every_guarantee_names_tests_that_exist() {
    let page = prose(&root().join("docs/architecture.md"));
    let (_, after) = page.split_once("## Guarantees").unwrap();
    let (guarantees, after) = after.split_once("### Tests").unwrap();
    let (tests, _) = after.split_once("## Decisions").unwrap();
    let ids = |rows: &str| -> BTreeSet<String> {
        let rows = rows.lines().filter_map(|row| row.strip_prefix("| G"));
        rows.filter_map(|row| row.split(' ').next()).map(str::to_owned).collect()
    };
    let mut tested = ids(tests);
    assert!(tested.insert("16".to_owned()), "it has a package of its own");
    assert_eq!(tested, ids(guarantees));

    for row in tests.lines().filter(|row| row.starts_with("| G")) {
        let names: Vec<_> = row.split('`').skip(1).step_by(2).collect();
        assert_ne!(names.len(), 0, "{row}");
        for name in names {
            let (modules, test) = name.rsplit_once("::").expect(name);
            let file = root().join("tests/it").join(modules.replace("::", "/"));
            let code = read_to_string(file.with_extension("rs")).unwrap_or_default();
            assert!(code.contains(&format!("fn {test}(")), "{name} is not in tests/it");
        }
    }
}

/// `tests/published` runs the code of a page with these dependencies and no others.
#[test]
fn every_page_with_code_lists_what_it_needs() {
    for page in pages() {
        let text = read_to_string(&page).unwrap();
        let lists = text.contains("```toml\n[dependencies]\n");
        assert!(lists || !text.contains("```rust"), "{} has code, and no list", page.display());
    }
}
