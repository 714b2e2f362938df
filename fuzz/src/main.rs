//! One parser under libFuzzer: `FUZZ_PARSER` says which. Its seeds are written to `corpus/` before it begins.
#![no_main]
mod parser;

use libfuzzer_sys::fuzz_target;
use parser::Parser;
use std::sync::LazyLock;

static PARSER: LazyLock<&Parser> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_PARSER").expect("FUZZ_PARSER");
    parser::ALL.iter().find(|it| it.name == name).expect("the name of a parser")
});

fn write_seeds() {
    let folder = std::path::Path::new("corpus").join(PARSER.name);
    std::fs::create_dir_all(&folder).unwrap();
    for (at, seed) in (PARSER.seeds)().iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{at}")), seed).unwrap();
    }
}

fuzz_target!(init: write_seeds(), |bytes: &[u8]| {
    (PARSER.check)(bytes);
});
