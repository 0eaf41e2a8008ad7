//! `iptables-xml`: needs no store.

use keepstate_ruleset::{kept::VERSION, syntax::iptables_xml};
use std::{
    fs,
    io::{self, Read, Write},
};

/// Largest text that is read, in bytes.
const TEXT_BYTES_MAX: u64 = 64 << 20;

const HELP: &str = "Usage: iptables-xml [-c] [-v] [-h] [FILE]\n          [--combine]\n          \
                    [--verbose]\n          [--help]\n";

pub(super) fn run(words: &[String]) -> io::Result<u8> {
    let program = "iptables-xml";
    let mut how = iptables_xml::Form::default();
    let mut file = None;
    for word in words {
        let letters: Vec<char> = match word.as_str() {
            "--combine" => vec!['c'],
            "--verbose" => vec!['v'],
            "--help" => vec!['h'],
            long if long.starts_with("--") => {
                eprintln!("{program}: unrecognized option '{long}'");
                vec![]
            }
            short if short.len() > 1 && short.starts_with('-') => short.chars().skip(1).collect(),
            name if file.is_none() => {
                file = Some(name);
                vec![]
            }
            _ => {
                eprintln!("Unknown arguments found on commandline");
                return Ok(1);
            }
        };
        for letter in letters {
            match letter {
                'c' => how.combine = true,
                'v' => how.verbose = true,
                'h' => {
                    print!("{HELP}");
                    return Ok(1);
                }
                // As the real one: it says so and goes on.
                other => eprintln!("{program}: invalid option -- '{other}'"),
            }
        }
    }
    let mut bytes = Vec::new();
    match file {
        None => drop(io::stdin().take(TEXT_BYTES_MAX).read_to_end(&mut bytes)?),
        Some(name) => match fs::File::open(name) {
            Ok(file) => drop(file.take(TEXT_BYTES_MAX).read_to_end(&mut bytes)?),
            Err(error) => {
                let error = error.to_string();
                let error = error.split(" (os error").next().unwrap_or("");
                eprintln!("Can't open {name}: {error}");
                return Ok(1);
            }
        },
    }
    let (text, result) = iptables_xml::convert(&String::from_utf8_lossy(&bytes), how);
    // Whoever closes our output has seen enough.
    let _ = io::stdout().write_all(text.as_bytes());
    let Err(stop) = result else { return Ok(0) };
    let said = stop.text.replace("{version}", VERSION).replace("{program}", program);
    if stop.status == 1 {
        eprintln!("{program}: {said}");
    } else {
        eprintln!("{said}");
    }
    Ok(stop.status)
}
