//! The command line as text: each file in `testdata/cli/` is a script.
//!
//! A script is run from top to bottom in an empty directory of its own, with `dkimkit` on the path:
//!
//! ```text
//! # a comment
//! needs PROGRAM      where there is none, the script is skipped, loudly; in CI that fails
//! file NAME          the following lines, up to one that says `end`, are written to NAME
//! $ COMMAND          run by sh; below stands what it prints, standard error behind standard output
//! ? N                behind the output: the exit code, where it is not 0
//! ```
//!
//! In expected lines `[..]` stands for any text, and a line of `...` for any lines. `UPDATE_CLI=1` writes
//! what is printed into the scripts, for a person to read before it is kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn every_script_prints_what_it_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cli");
    let mut scripts: Vec<PathBuf> = fs::read_dir(&dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    let mut wrong = Vec::new();
    for script in &scripts {
        if let Err(error) = run(script) {
            wrong.push(error);
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn run(script: &Path) -> Result<(), String> {
    let text = fs::read_to_string(script).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let update = std::env::var_os("UPDATE_CLI").is_some();
    let mut updated = String::new();
    let mut wrong = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        updated.push_str(&format!("{line}\n"));
        if let Some(program) = line.strip_prefix("needs ") {
            if !execute(dir.path(), &format!("command -v {program} > out")).is_empty() {
                let script = script.file_name().unwrap().display();
                crate::skipped(&format!("{script} needs {program}, which is not installed"));
                return Ok(());
            }
        } else if let Some(name) = line.strip_prefix("file ") {
            let mut content = String::new();
            for line in lines.by_ref() {
                updated.push_str(&format!("{line}\n"));
                if line == "end" {
                    break;
                }
                content.push_str(&format!("{line}\n"));
            }
            fs::write(dir.path().join(name), content).unwrap();
        } else if let Some(command) = line.strip_prefix("$ ") {
            let mut expected = Vec::new();
            while let Some(line) = lines.next_if(|l| !l.starts_with("$ ") && !l.is_empty()) {
                expected.push(line);
            }
            let printed = execute(dir.path(), command);
            let got: Vec<&str> = printed.lines().collect();
            if !matches(&expected, &got) {
                wrong.push(format!(
                    "{}: $ {command}\n--- expected\n{}\n--- got\n{printed}",
                    script.file_name().unwrap().display(),
                    expected.join("\n")
                ));
                updated.push_str(&printed);
            } else {
                for line in expected {
                    updated.push_str(&format!("{line}\n"));
                }
            }
        }
    }
    if update {
        fs::write(script, updated).unwrap();
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n"))
    }
}

/// What the command prints, and its exit code where it is not 0. No empty line is kept: one ends the
/// expected output in a script.
fn execute(dir: &Path, command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_dkimkit"));
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(dir)
        .env("PATH", path)
        .env_remove("DKIMKIT_KEYS")
        .env(
            "DATA",
            Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata"),
        )
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let both = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&both);
    let mut lines: Vec<String> = text
        .lines()
        .filter(|l| !l.is_empty())
        .map(str::to_owned)
        .collect();
    match output.status.code() {
        Some(0) => {}
        Some(code) => lines.push(format!("? {code}")),
        None => lines.push(format!("? {}", output.status)),
    }
    lines.iter().map(|l| format!("{l}\n")).collect()
}

fn matches(expected: &[&str], got: &[&str]) -> bool {
    match expected.split_first() {
        None => got.is_empty(),
        Some((&"...", rest)) => (0..=got.len()).any(|n| matches(rest, &got[n..])),
        Some((line, rest)) => {
            let Some((first, tail)) = got.split_first() else {
                return false;
            };
            line_matches(line, first) && matches(rest, tail)
        }
    }
}

fn line_matches(expected: &str, got: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected == got,
        Some((head, tail)) => {
            let Some(rest) = got.strip_prefix(head) else {
                return false;
            };
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| line_matches(tail, &rest[at..]))
        }
    }
}
