#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| reqwest_oauth2_fuzz::metadata::holds(input));
