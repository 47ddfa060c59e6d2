#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (tests::targets::clock_peer::TARGET.run)(bytes));
