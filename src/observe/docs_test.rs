//! The page in `docs` names what there is, and nothing else.
#![cfg(feature = "metrics")]

use super::{events, metrics};

const PAGE: &str = include_str!("../../docs/observability.md");

/// The rows of the table under a heading: its cells, without backticks.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let cells = |row: &str| {
        row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    section.lines().filter(|line| line.starts_with("| `")).map(cells).collect()
}

#[test]
fn the_page_has_each_event_with_its_level_and_fields() {
    let of_the_code: Vec<_> = events::ALL
        .iter()
        .map(|(name, level, fields)| [(*name).to_owned(), level.to_lowercase(), fields.join(", ")])
        .collect();
    let of_the_page: Vec<_> = rows("Events")
        .into_iter()
        .map(|row| [row[0].clone(), row[1].clone(), row[2].clone()])
        .collect();
    assert_eq!(of_the_page, of_the_code);
}

#[test]
fn the_page_has_each_metric_with_its_kind() {
    let mut of_the_code: Vec<(String, &str)> = Vec::new();
    of_the_code.extend(metrics::COUNTERS.map(|(name, _)| (name.to_owned(), "counter")));
    of_the_code
        .extend(metrics::HISTOGRAMS.map(|(name, _)| (name.to_owned(), "histogram, seconds")));
    of_the_code.extend(metrics::GAUGES.map(|(name, _)| (name.to_owned(), "gauge")));
    let of_the_page: Vec<_> =
        rows("Metrics").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let of_the_code: Vec<_> =
        of_the_code.into_iter().map(|(name, kind)| (name, kind.to_owned())).collect();
    assert_eq!(of_the_page, of_the_code);
}
