// words FILE: count the lines, words and bytes of a file.

use std::env;
use std::fs;
use std::process::exit;

fn main() {
    let args: Vec<String> = env::args().collect();
    if args.len() != 2 {
        eprintln!("usage: words FILE");
        exit(2);
    }
    let text = match fs::read(&args[1]) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{}: {}", args[1], error);
            exit(1);
        }
    };
    let lines = text.iter().filter(|&&c| c == b'\n').count();
    let words = text
        .split(|c| c.is_ascii_whitespace() || *c == 0x0b)
        .filter(|word| !word.is_empty())
        .count();
    println!("{}: {} lines, {} words, {} bytes", args[1], lines, words, text.len());
}
