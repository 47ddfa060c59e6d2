#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (tests::targets::sctp::TARGET.run)(bytes));
