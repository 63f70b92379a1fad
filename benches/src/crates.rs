//! How many crates a user's build gains by depending on dgen.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    process::{Command, Stdio},
};

use crate::{Outcome, case::Case, report::Report};

const NAME: &str = "crates";

/// What a user depends on.
const OURS: [&str; 2] = ["dgen-server", "dgen-macros"];
/// What is there already in a program that dgen is for.
const USUAL: [&str; 2] = ["tokio", "serde"];

/// Counts them. A run of this case alone lists them too, on standard error.
pub(crate) fn run(report: &mut Report) -> Outcome {
    if !report.wants(NAME) {
        return Ok(());
    }
    let all = tree(&OURS)?;
    let usual = tree(&USUAL)?;
    let of_dgen = all.iter().filter(|name| name.starts_with("dgen-")).count();
    let beyond = all.difference(&usual).count();
    if report.is_only(NAME) {
        for name in &all {
            eprintln!("{name}");
        }
    }
    let note = format!(
        "{of_dgen} of them dgen's own; {beyond} beyond tokio and serde with what they need; \
         build scripts and macros included"
    );
    report.add(Case::figure(NAME, all.len() as f64, "crates").note(note));
    Ok(())
}

/// The crates that these packages need, themselves included, with their versions.
fn tree(packages: &[&str]) -> Outcome<BTreeSet<String>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args([
        "tree",
        "--edges=normal,build",
        "--prefix=none",
        "--format={p}",
    ]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", output.status).into());
    }
    Ok(crates_of(&String::from_utf8(output.stdout)?))
}

fn crates_of(tree: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    };
    tree.lines().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crate_is_counted_once() {
        let tree = "a v1.0.0 (/somewhere)\nb v2.0.0 (proc-macro)\n\nb v2.0.0 (*)\nb v1.0.0\n";
        let crates: Vec<_> = crates_of(tree).into_iter().collect();
        assert_eq!(crates, ["a v1.0.0", "b v1.0.0", "b v2.0.0"]);
    }
}
