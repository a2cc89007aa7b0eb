#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| giftproof_fuzz::index::run(bytes));
