//! The stores that need more than Rust, against real servers: SQLite in a file, PostgreSQL and Redis.
//!
//! Run by `tests/stores/run cargo test -p stores`. Where a server is missing its tests say so and
//! are skipped, unless `REQUIRE_STORES=1`. It has no test harness, so that what it skips is seen. A
//! word after `--` that is part of tests' names runs these only.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod postgres;
mod redis;
mod sessions;
mod sqlite;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::time::Instant;

struct Test {
    name: &'static str,
    /// The variable with the server's address.
    needs: Option<&'static str>,
    run: fn() -> Pin<Box<dyn Future<Output = ()>>>,
}

macro_rules! tests {
    ($needs:expr; $($test:path),* $(,)?) => {
        [$(Test { name: stringify!($test), needs: $needs, run: || Box::pin($test()) }),*]
    };
}

fn main() {
    let mut tests = Vec::from(tests![None;
        sqlite::suite,
        sqlite::tables_are_apart,
        sqlite::opened_and_migrated_by_many_at_once,
        sqlite::table_missing_or_another,
        sqlite::bad_table_names,
        sqlite::two_rows_of_a_key,
        sqlite::half_a_record_is_left_as_it_is,
        sqlite::versions_are_whole,
        sqlite::the_file_is_the_owners,
        sqlite::files_that_are_no_database,
        sqlite::a_full_disk,
        sqlite::another_one_writes,
        sqlite::one_connection_is_enough,
        sqlite::errors_quote_nothing,
        sessions::sqlite::a_full_disk,
        sessions::sqlite::no_table,
        sessions::sqlite::clocks_a_minute_apart,
        sessions::sqlite::a_lease_outlives_its_holder,
    ]);
    tests.extend(tests![Some("POSTGRES_URL");
        postgres::suite,
        postgres::tables_are_apart,
        postgres::migrated_by_many_at_once,
        postgres::migrated_by_a_role_that_may_not,
        postgres::table_missing_or_another,
        postgres::bad_table_names,
        postgres::two_rows_of_a_key,
        postgres::half_a_record_is_left_as_it_is,
        postgres::versions_are_whole,
        postgres::one_connection_is_enough,
        postgres::a_pool_that_is_used_up,
        postgres::a_connection_that_is_cut,
        postgres::a_call_that_is_dropped,
        postgres::what_the_server_says,
        postgres::errors_quote_nothing,
        postgres::a_restart,
        sessions::postgres::a_restart,
        sessions::postgres::a_restart_amid_a_renewal,
        sessions::postgres::a_full_disk,
        sessions::postgres::no_table,
        sessions::postgres::no_table_amid_a_renewal,
        sessions::postgres::two_rows_of_a_key,
        sessions::postgres::a_row_changed_by_hand,
        sessions::postgres::a_row_changed_by_hand_amid_a_renewal,
        sessions::postgres::clocks_a_minute_apart,
        sessions::postgres::a_lease_outlives_its_holder,
    ]);
    tests.extend(tests![Some("REDIS_URL");
        redis::suite,
        redis::prefixes_are_apart,
        redis::half_a_record_is_left_as_it_is,
        redis::values_of_other_types,
        redis::versions_are_whole,
        redis::interleaved,
        redis::all_is_flushed,
        redis::scripts_are_flushed,
        redis::no_memory_left,
        redis::a_replica,
        redis::what_the_user_may_not,
        redis::a_restart,
        sessions::redis::a_restart,
        sessions::redis::a_restart_amid_a_renewal,
        sessions::redis::all_is_flushed,
        sessions::redis::all_is_flushed_amid_a_renewal,
        sessions::redis::a_lease_outlives_its_holder,
    ]);
    let named: Vec<String> =
        std::env::args().skip(1).filter(|arg| tests.iter().any(|t| t.name.contains(arg))).collect();
    tests.retain(|test| named.is_empty() || named.iter().any(|name| test.name.contains(name)));

    let required = std::env::var_os("REQUIRE_STORES").is_some();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for test in tests {
        let began = Instant::now();
        match test.needs.filter(|variable| std::env::var_os(variable).is_none()) {
            Some(variable) if required => {
                println!("FAILED {}: {variable} is not set", test.name);
                failed += 1;
            }
            Some(variable) => {
                println!("skipped {}: {variable} is not set", test.name);
                skipped += 1;
            }
            None if succeeds(&test) => {
                println!("ok {} ({:.1?})", test.name, began.elapsed());
                passed += 1;
            }
            None => {
                println!("FAILED {}", test.name);
                failed += 1;
            }
        }
    }
    if skipped > 0 {
        println!("skipped tests need servers: tests/stores/run cargo test -p stores");
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    std::process::exit(i32::from(failed > 0));
}

/// Each on a runtime of its own, so that none waits for another one's tasks.
fn succeeds(test: &Test) -> bool {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let end = catch_unwind(AssertUnwindSafe(|| runtime.block_on((test.run)())));
    runtime.shutdown_background();
    end.is_ok()
}
