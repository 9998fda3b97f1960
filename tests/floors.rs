//! Each module of the crate imports only from modules below it. The table is also in
//! docs/architecture.md; this test compares the two.
//!
//! It reads `src` as text, without comments and literals, and follows every path that begins with
//! `crate`, `super` or `self`, in `use` declarations and elsewhere.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The lowest floor first. A module imports from itself and from lower floors.
const FLOORS: [&[&str]; 10] = [
    &[
        "error",
        "secret",
        "clock",
        "jitter",
        "redact",
        "loopback",
        "challenge",
        "step_up",
        "lenient_json",
        "http_date",
        "line_end",
    ],
    &["token", "origin", "keys"],
    &["wire", "dpop"],
    &["client"],
    &["login", "grant", "store", "saver"],
    &[MACHINE],
    &["session"],
    &["sessions", "resource"],
    &["request"],
    &["middleware", "tower", "blocking"],
];

/// A folder of `session` that is a floor of its own. It imports nothing of the crate.
const MACHINE: &str = "session::machine";

/// Imports within one floor.
const BESIDE_EACH_OTHER: [(&str, &str); 4] =
    [("error", "redact"), ("error", "step_up"), ("step_up", "challenge"), ("token", "keys")];

/// A module that belongs to no floor, what it imports, and who imports it.
struct Beside {
    module: &'static str,
    imports: &'static [&'static str],
    used_by: &'static [&'static str],
}

const BESIDE: [Beside; 5] = [
    Beside {
        module: "observe",
        imports: &["error"],
        used_by: &["wire", "client", "store", "session"],
    },
    Beside { module: "presets", imports: &["error", "client"], used_by: &[] },
    Beside { module: "from_oauth2", imports: &["error", "token"], used_by: &[] },
    Beside { module: "testing", imports: &["clock", "jitter", "keys", "store"], used_by: &[] },
    Beside { module: "guides", imports: &[], used_by: &[] },
];

#[test]
fn each_module_imports_only_from_below() {
    let mut wrong = Vec::new();
    for file in &*SOURCES {
        let importer = unit(&file.module);
        for path in file.paths.iter().filter(|path| !path.is_empty()) {
            let imported = unit(path);
            if !may_import(&importer, &imported) {
                let (file, path) = (&file.name, path.join("::"));
                wrong.push(format!("{file}: crate::{path}: {importer} may not import {imported}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_module_has_a_floor() {
    let placed = FLOORS.concat().into_iter().chain(BESIDE.iter().map(|beside| beside.module));
    let placed: BTreeSet<String> = placed.map(str::to_owned).collect();
    let there: BTreeSet<String> = SOURCES.iter().map(|file| unit(&file.module)).collect();
    assert_eq!(there, placed);
}

#[test]
fn imports_that_are_permitted_by_name_exist() {
    let imports: BTreeSet<(String, String)> = SOURCES
        .iter()
        .flat_map(|file| file.paths.iter().map(|path| (unit(&file.module), unit(path))))
        .collect();
    let by_name = BESIDE_EACH_OTHER.into_iter();
    let by_name = by_name.chain(BESIDE.iter().flat_map(|beside| {
        let imports = beside.imports.iter().map(|module| (beside.module, *module));
        imports.chain(beside.used_by.iter().map(|user| (*user, beside.module)))
    }));
    for (importer, imported) in by_name {
        let import = (importer.to_owned(), imported.to_owned());
        assert!(imports.contains(&import), "{importer} does not import {imported}");
    }
}

#[test]
fn the_page_shows_the_same_floors() {
    let page = read_to_string(root().join("docs/architecture.md")).unwrap();
    let of_the_page: Vec<Vec<String>> = rows(&page, "Floors", |row| row[0].parse::<u32>().is_ok())
        .into_iter()
        .map(|row| vec![row[0].clone(), row[1].clone()])
        .collect();
    let floors = FLOORS.iter().enumerate().rev();
    let of_the_test: Vec<Vec<String>> =
        floors.map(|(floor, modules)| vec![floor.to_string(), modules.join(", ")]).collect();
    assert_eq!(of_the_page, of_the_test);

    let of_the_page: Vec<Vec<String>> = rows(&page, "Beside the floors", |row| row[0] != "module")
        .into_iter()
        .map(|row| row[..3].to_vec())
        .collect();
    let cell = |modules: &[&str]| match modules {
        [] => "nothing".to_owned(),
        modules => modules.join(", "),
    };
    let of_the_test: Vec<Vec<String>> = BESIDE
        .iter()
        .map(|beside| vec![beside.module.to_owned(), cell(beside.imports), cell(beside.used_by)])
        .collect();
    assert_eq!(of_the_page, of_the_test);
}

#[test]
fn files_of_a_session_import_each_other_in_one_direction() {
    assert_eq!(circles(&files_of(&["session"])), [], "files that import each other in a circle");
}

#[test]
fn files_of_the_machine_import_each_other_in_one_direction() {
    // They share the type that is in mod.rs.
    let mut files = files_of(&["session", "machine"]);
    files.remove("mod");
    for imported in files.values_mut() {
        imported.remove("mod");
    }
    assert_eq!(circles(&files), [], "files that import each other in a circle");
}

#[test]
fn the_machine_uses_nothing_but_the_standard_library() {
    let machine = SOURCES.iter().filter(|file| unit(&file.module) == MACHINE);
    let files: Vec<&Source> = machine.collect();
    assert!(files.len() > 5);
    let modules: BTreeSet<&str> =
        files.iter().filter_map(|file| file.module.get(2)).map(String::as_str).collect();
    for file in &files {
        for name in &file.roots {
            // Such as `u32::MAX`.
            let is_number = name.trim_start_matches(['i', 'u', 'f']).parse::<u8>().is_ok();
            let is_known = is_number || ["std", "super", "self", "clippy"].contains(&&**name);
            assert!(is_known || modules.contains(&**name), "{}: {name}", file.name);
        }
    }
}

fn may_import(importer: &str, imported: &str) -> bool {
    let floor = |unit: &str| FLOORS.iter().position(|floor| floor.contains(&unit));
    let beside = |unit: &str| BESIDE.iter().find(|beside| beside.module == unit);
    if importer == imported || importer == ROOT || BESIDE_EACH_OTHER.contains(&(importer, imported))
    {
        return true;
    }
    match (beside(importer), beside(imported), floor(importer), floor(imported)) {
        (None, None, Some(importer), Some(imported)) => imported < importer,
        (Some(beside), None, ..) => beside.imports.contains(&imported),
        (None, Some(beside), ..) => beside.used_by.contains(&importer),
        _ => false,
    }
}

/// lib.rs: it declares the modules and names what is public.
const ROOT: &str = "the root";

/// The part of the crate that a path leads into.
fn unit(path: &[String]) -> String {
    match path {
        [] => ROOT.to_owned(),
        [first, second, ..] if first == "session" && second == "machine" => MACHINE.to_owned(),
        [first, ..] => first.clone(),
    }
}

/// The files of a folder, by name, and which of the others each one imports. A folder in it counts as
/// one file.
fn files_of(folder: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let depth = folder.len();
    let inside: Vec<&Source> = SOURCES
        .iter()
        .filter(|file| file.module.len() >= depth && file.module[..depth] == *folder)
        .collect();
    let name = |module: &[String]| module.get(depth).map_or("mod", String::as_str).to_owned();
    let names: BTreeSet<String> = inside.iter().map(|file| name(&file.module)).collect();
    // What mod.rs hands on is in the file that it names.
    let mut handed_on = BTreeMap::new();
    for file in inside.iter().filter(|file| file.module.len() == depth) {
        for path in file.paths.iter().filter(|path| path.len() > depth + 1) {
            handed_on.insert(path[path.len() - 1].clone(), path[depth].clone());
        }
    }
    let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in &inside {
        let importer = name(&file.module);
        let imports = files.entry(importer.clone()).or_default();
        for path in file.paths.iter().filter(|path| path.len() > depth && path[..depth] == *folder)
        {
            let first = &path[depth];
            let imported = match (names.contains(first), handed_on.get(first)) {
                (true, _) => first.clone(),
                (false, Some(file)) => file.clone(),
                (false, None) => "mod".to_owned(),
            };
            if imported != importer {
                imports.insert(imported);
            }
        }
    }
    // mod.rs of a folder whose files do not import from it: nothing but docs and re-exports.
    if !files.values().any(|imports| imports.contains("mod")) {
        files.remove("mod");
    }
    files
}

/// Sets of files that import each other in a circle.
fn circles(files: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reached_from = |start: &String| {
        let mut reached = BTreeSet::new();
        let mut next = vec![start];
        while let Some(file) = next.pop() {
            for imported in files.get(file).into_iter().flatten() {
                if reached.insert(imported.clone()) {
                    next.push(imported);
                }
            }
        }
        reached
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        files.keys().map(|file| (file, reached_from(file))).collect();
    let mut circles = BTreeSet::new();
    for (file, others) in &reached {
        let circle: BTreeSet<String> = others
            .iter()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(*file)))
            .cloned()
            .collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

/// A file of `src`.
struct Source {
    name: String,
    /// Where it is in the crate: `src/session/mod.rs` is `session`.
    module: Vec<String>,
    /// What it names of the crate, from the crate's root.
    paths: BTreeSet<Vec<String>>,
    /// With what its other paths begin: crates, modules, types of the language in lower case.
    roots: BTreeSet<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    files.retain(|file| *file != root().join("src/lib.rs"));
    files.sort();
    assert!(files.len() > 50, "too few files");
    files.iter().map(|file| read(file)).collect()
});

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn read(file: &Path) -> Source {
    let name = file.strip_prefix(root().join("src")).unwrap();
    let mut module: Vec<String> =
        name.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    module.pop_if(|last| last == "mod");
    let tokens = tokens(&code(&read_to_string(file).unwrap()));
    let name = name.display().to_string();
    let mut source = Source { name, module, paths: BTreeSet::new(), roots: BTreeSet::new() };
    Reader { tokens: &tokens, at: 0, source: &mut source, inline: Vec::new(), depth: 0 }.read();
    source
}

/// Follows the paths in a file.
struct Reader<'a> {
    tokens: &'a [String],
    at: usize,
    source: &'a mut Source,
    /// Modules in the file that the reader is in, and the depth of their braces.
    inline: Vec<(String, usize)>,
    depth: usize,
}

impl Reader<'_> {
    fn read(mut self) {
        while let Some(token) = self.token(0) {
            match token {
                "{" => self.depth += 1,
                "}" => {
                    self.depth -= 1;
                    let depth = self.depth;
                    self.inline.pop_if(|(_, at)| *at == depth);
                }
                "mod" if self.token(2) == Some("{") => {
                    let name = self.token(1).unwrap_or_default().to_owned();
                    self.inline.push((name, self.depth));
                }
                "use" => {
                    self.at += 1;
                    self.tree(&[]);
                    continue;
                }
                name if is_name(name) && self.token(1) == Some("::") && !self.is_continued() => {
                    self.tree(&[]);
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    fn token(&self, ahead: usize) -> Option<&str> {
        self.tokens.get(self.at + ahead).map(String::as_str)
    }

    /// Whether the token continues a path.
    fn is_continued(&self) -> bool {
        self.at > 0 && ["::", "$"].contains(&&*self.tokens[self.at - 1])
    }

    /// One path, or several in braces.
    fn tree(&mut self, before: &[String]) {
        let mut path = before.to_vec();
        loop {
            match self.token(0) {
                Some("{") => {
                    self.at += 1;
                    while self.token(0).is_some_and(|token| token != "}") {
                        self.tree(&path);
                        if self.token(0) == Some(",") {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                Some("*") => self.at += 1,
                Some(name) if is_name(name) => {
                    path.push(name.to_owned());
                    self.at += 1;
                    if self.token(0) == Some("::")
                        && self.token(1).is_some_and(|next| is_name(next) || "{*".contains(next))
                    {
                        self.at += 1;
                        continue;
                    }
                }
                _ => {}
            }
            break;
        }
        if self.token(0) == Some("as") {
            self.at += 2;
        }
        self.found(path);
    }

    fn found(&mut self, path: Vec<String>) {
        let Some(first) = path.first() else { return };
        let here = self.source.module.iter().chain(self.inline.iter().map(|(name, _)| name));
        let mut module: Vec<String> = here.cloned().collect();
        if !first.starts_with(|c: char| c.is_uppercase()) {
            self.source.roots.insert(first.clone());
        }
        match first.as_str() {
            "crate" => module.clear(),
            "super" | "self" => {}
            // `mod.rs` names the modules of its folder without a prefix.
            _ if self.source.name.ends_with("mod.rs") && path.len() > 1 => {}
            _ => return,
        }
        for part in path {
            match part.as_str() {
                "super" => drop(module.pop()),
                "crate" | "self" => {}
                _ => module.push(part),
            }
        }
        self.source.paths.insert(module);
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(code: &str) -> Vec<String> {
    let chars: Vec<char> = code.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let in_word = |c: &&char| c.is_alphanumeric() || **c == '_';
        let length = match chars[at] {
            c if c.is_whitespace() => 0,
            c if c.is_alphanumeric() || c == '_' => chars[at..].iter().take_while(in_word).count(),
            ':' if chars.get(at + 1) == Some(&':') => 2,
            _ => 1,
        };
        if length > 0 {
            tokens.push(chars[at..at + length].iter().collect());
        }
        at += length.max(1);
    }
    tokens
}

/// The text without comments, and without what is between quotes.
fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let starts =
        |at: usize, what: &str| what.chars().eq(chars[at..].iter().copied().take(what.len()));
    let find = |from: usize, what: &str| (from..chars.len()).find(|at| starts(*at, what));
    let mut code = String::new();
    let mut at = 0;
    while at < chars.len() {
        let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
        let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
        if starts(at, "//") {
            at = find(at, "\n").unwrap_or(chars.len());
        } else if starts(at, "/*") {
            at = find(at, "*/").map_or(chars.len(), |end| end + 2);
        } else if chars[at] == 'r' && !in_word && chars.get(at + 1 + hashes) == Some(&'"') {
            let end = format!("\"{}", "#".repeat(hashes));
            at = find(at + 2 + hashes, &end).map_or(chars.len(), |found| found + end.len());
        } else if chars[at] == '"' {
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if chars[at] == '\'' && chars.get(at + 1) == Some(&'\\') {
            at = find(at + 3, "'").map_or(chars.len(), |end| end + 1);
        } else if chars[at] == '\'' && chars.get(at + 2) == Some(&'\'') {
            at += 3;
        } else {
            code.push(chars[at]);
            at += 1;
        }
    }
    code
}

/// The rows of the tables under a heading, as cells without backticks.
fn rows(page: &str, heading: &str, keep: impl Fn(&[String]) -> bool) -> Vec<Vec<String>> {
    let marks = ["## ", "### "].map(|mark| format!("\n{mark}{heading}\n"));
    let (_, section) = marks.iter().find_map(|mark| page.split_once(mark)).unwrap();
    let section = section.split("\n#").next().unwrap();
    let cells = |row: &str| -> Vec<String> {
        row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    let rows = section.lines().filter(|line| line.starts_with('|') && !line.starts_with("|-"));
    rows.map(cells).filter(|row| keep(row)).collect()
}

#[test]
fn paths_are_found_wherever_they_are() {
    let text = r##"
        //! `crate::not::this`
        use std::fmt;
        use super::{Session, machine::{self, Mark as M}};
        pub(crate) use crate::error::*;
        const TEXT: &str = "crate::nor::this"; const C: char = '"'; const RAW: &str = r#"crate::"nor"#;
        fn f<'a>(x: &'a crate::token::Token) -> impl Fn() { crate::wire::read::<u8>(x); self::g() }
        mod tests { use super::*; use super::super::clock; }
        use super::last;
    "##;
    let tokens = tokens(&code(text));
    let module = ["session", "driver"].map(str::to_owned).to_vec();
    let name = "session/driver.rs".to_owned();
    let mut source = Source { name, module, paths: BTreeSet::new(), roots: BTreeSet::new() };
    Reader { tokens: &tokens, at: 0, source: &mut source, inline: Vec::new(), depth: 0 }.read();
    let found: Vec<String> = source.paths.iter().map(|path| path.join("::")).collect();
    assert_eq!(
        found,
        [
            "error",
            "session::Session",
            "session::clock",
            "session::driver",
            "session::driver::g",
            "session::last",
            "session::machine",
            "session::machine::Mark",
            "token::Token",
            "wire::read",
        ]
    );
    assert!(source.roots.contains("std") && !source.roots.contains("not"));
}

#[test]
fn circles_are_found() {
    let graph = |edges: &[(&str, &str)]| {
        let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (importer, imported) in edges {
            files.entry((*importer).to_owned()).or_default().insert((*imported).to_owned());
        }
        files
    };
    assert!(circles(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    let circle = circles(&graph(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]));
    assert_eq!(circle, [BTreeSet::from(["b".to_owned(), "c".to_owned()])]);
}
