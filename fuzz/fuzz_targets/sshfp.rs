#![no_main]
libfuzzer_sys::fuzz_target!(|octets: &[u8]| sshanchor_fuzz::bodies::sshfp(octets));
