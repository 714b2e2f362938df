//! Every parser of foreign bytes, on valid inputs and on what becomes of them: some seconds in each run of the tests.
//! libFuzzer tries the same for as long as one likes (`fuzz/run`).
#[path = "../../fuzz/src/parser/mod.rs"]
mod parser;

use crate::support::fleet::Random;
use parser::Parser;
use std::panic::{catch_unwind, resume_unwind};

/// How many inputs each parser gets.
const ROUNDS: usize = 2_000;

/// What breaks parsers of text, numbers and paths.
const WORDS: [&[u8]; 20] = [
    b"0",
    b"-1",
    b"255",
    b"4294967295",
    b"9223372036854775807",
    b"18446744073709551616",
    b"1e999",
    b"null",
    b"[[[[",
    b"{\"",
    b"\"",
    b"\\u0000",
    b"..",
    b"/",
    b"%2f",
    b"\0",
    b"\n",
    b"\xff\xff\xff\xff",
    "\u{202e}".as_bytes(),
    b"~",
];

#[test]
fn each_seed_is_a_valid_input() {
    for parser in parser::ALL {
        for seed in (parser.seeds)() {
            assert!(check(parser, &seed), "{}: {}", parser.name, seed.escape_ascii());
        }
    }
}

#[test]
fn a_parser_keeps_its_promises_whatever_becomes_of_a_valid_input() {
    for parser in parser::ALL {
        let seeds = (parser.seeds)();
        let mut random = Random::new(1);
        let valid = (0..ROUNDS).filter(|_| check(parser, &changed(&seeds, &mut random))).count();
        assert!((1..ROUNDS).contains(&valid), "{}: {valid} of {ROUNDS} were valid", parser.name);
    }
}

/// Whether the bytes are valid; says which they were if a promise is broken.
fn check(parser: &Parser, bytes: &[u8]) -> bool {
    catch_unwind(|| (parser.check)(bytes)).unwrap_or_else(|why| {
        eprintln!("the parser is {}, the input b\"{}\"", parser.name, bytes.escape_ascii());
        resume_unwind(why)
    })
}

fn changed(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = random.pick(seeds).clone();
    for _ in 0..=random.below(3) {
        let (from, to) = (place(&bytes, random), place(&bytes, random));
        let (from, to) = (from.min(to), from.max(to));
        match random.below(6) {
            0 => flip(&mut bytes, from, random),
            1 => drop(bytes.splice(from..from, random.pick(&WORDS).iter().copied())),
            2 => drop(bytes.splice(from..to.min(from + 8), random.pick(&WORDS).iter().copied())),
            3 => drop(bytes.drain(from..to)),
            4 => bytes.extend_from_within(from..to),
            _ => {
                let other = random.pick(seeds);
                let rest = &other[place(other, random)..];
                drop(bytes.splice(from.., rest.iter().copied()));
            }
        }
    }
    bytes
}

fn place(bytes: &[u8], random: &mut Random) -> usize {
    usize::try_from(random.below(bytes.len() as u64 + 1)).unwrap()
}

fn flip(bytes: &mut [u8], at: usize, random: &mut Random) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}
