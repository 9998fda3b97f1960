//! The store in the keychain, against a real Secret Service.
//!
//! Run by `tests/keyring/run cargo test -p keyring`. Without that the tests say so and are skipped, unless
//! `REQUIRE_KEYRING=1`: the keychain of the person who runs them is left alone. They run one after another,
//! since some stop the keychain. A word after `--` that is part of tests' names runs these only.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod keychain;
mod processes;
mod records;
mod sessions;
mod trouble;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::time::Instant;

struct Test {
    name: &'static str,
    run: fn() -> Pin<Box<dyn Future<Output = ()>>>,
}

macro_rules! tests {
    ($($test:path),* $(,)?) => {
        vec![$(Test { name: stringify!($test), run: || Box::pin($test()) }),*]
    };
}

fn main() {
    if processes::is_worker() {
        return processes::work();
    }
    let mut tests = tests![
        records::suite,
        records::what_people_see_in_the_keychain,
        records::services_are_apart,
        records::lock_files,
        records::no_place_for_lock_files,
        records::entries_that_are_no_documents,
        records::two_entries_for_a_record,
        records::many_connections_while_others_ask,
        records::a_restart,
        processes::no_swap_is_lost,
        processes::killed_amid_swaps,
        processes::one_refresh,
        processes::end_while_the_keychain_hangs,
        processes::no_session_bus,
        sessions::a_login_survives_a_restart,
        sessions::sign_out_leaves_no_secret,
        trouble::locked,
        trouble::locked_while_there_is_no_record_yet,
        trouble::gone,
        trouble::gone_amid_a_renewal,
        trouble::hangs,
        trouble::no_default_collection,
    ];
    let named: Vec<String> =
        std::env::args().skip(1).filter(|arg| tests.iter().any(|t| t.name.contains(arg))).collect();
    tests.retain(|test| named.is_empty() || named.iter().any(|name| test.name.contains(name)));

    let variable = "KEYRING_CONTROL";
    if std::env::var_os(variable).is_none() {
        let required = std::env::var_os("REQUIRE_KEYRING").is_some();
        let outcome = if required { "FAILED" } else { "skipped" };
        for test in tests {
            println!("{outcome} {}: {variable} is not set", test.name);
        }
        println!("these tests need a keychain: tests/keyring/run cargo test -p keyring");
        std::process::exit(i32::from(required));
    }
    let (mut passed, mut failed) = (0, 0);
    for test in tests {
        let began = Instant::now();
        if succeeds(&test) {
            println!("ok {} ({:.1?})", test.name, began.elapsed());
            passed += 1;
        } else {
            println!("FAILED {}", test.name);
            failed += 1;
            keychain::restart();
        }
    }
    println!("{passed} passed, {failed} failed");
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
