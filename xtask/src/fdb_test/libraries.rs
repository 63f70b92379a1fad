//! The libraries that `dgen-fdb` is built with, where they are installed: FoundationDB's client,
//! and libclang, with which its bindings are made.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::outcome::Outcome;

/// The loader's own variable for where libraries are.
const LOADER_VARIABLE: &str = if cfg!(target_os = "macos") {
    "DYLD_LIBRARY_PATH"
} else {
    "LD_LIBRARY_PATH"
};

/// Where linker and loader look by themselves.
const SYSTEM_FOLDERS: [&str; 4] = ["/usr/lib", "/usr/lib64", "/lib", "/lib64"];

/// Where libraries are that were installed by hand, and on macOS by packages. Some linkers and
/// loaders look here, and others don't.
const LOCAL_FOLDERS: [&str; 2] = ["/usr/local/lib", "/usr/local/lib64"];

/// Where LLVM is installed, and in folders to this depth below.
const LLVM_FOLDERS: &[(&str, usize)] = if cfg!(target_os = "macos") {
    &[
        ("/Library/Developer/CommandLineTools/usr/lib", 0),
        (
            "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib",
            0,
        ),
        ("/opt/homebrew/opt/llvm/lib", 0),
        ("/usr/local/opt/llvm/lib", 0),
    ]
} else {
    &[
        ("/usr/lib", 2),
        ("/usr/lib64", 2),
        ("/usr/local/lib", 2),
        ("/usr/local/lib64", 2),
        ("/usr/local/llvm", 1),
    ]
};

/// What was found.
pub(super) struct Libraries {
    /// The folder of FoundationDB's client.
    client: Result<PathBuf, String>,
    clang: Result<(), String>,
}

impl Libraries {
    pub(super) fn find() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            client: find_client(variable, &common_folders()),
            clang: find_clang(variable, llvm_prefix(), LLVM_FOLDERS),
        }
    }

    pub(super) fn has_clang(&self) -> bool {
        self.clang.is_ok()
    }

    pub(super) fn missing(&self) -> Vec<String> {
        let client = self.client.as_ref().err();
        client
            .into_iter()
            .chain(self.clang.as_ref().err())
            .cloned()
            .collect()
    }

    /// Lets `command` find the client, when it links and when it runs.
    pub(super) fn show(&self, command: &mut Command) -> Outcome {
        let Ok(folder) = &self.client else {
            return Ok(());
        };
        if system_folders().contains(folder) {
            return Ok(());
        }
        // The linker reads one variable, the loader the other.
        for name in ["LIBRARY_PATH", LOADER_VARIABLE] {
            command.env(
                name,
                with_folder(std::env::var_os(name).as_deref(), folder)?,
            );
        }
        Ok(())
    }
}

/// The list of folders `list`, and `folder` behind it.
fn with_folder(list: Option<&OsStr>, folder: &Path) -> Outcome<OsString> {
    let list = list.filter(|list| !list.is_empty());
    let folders = list.into_iter().flat_map(std::env::split_paths);
    Ok(std::env::join_paths(folders.chain([folder.to_owned()]))?)
}

/// [`SYSTEM_FOLDERS`] and those of this processor's architecture.
fn system_folders() -> Vec<PathBuf> {
    let plain = SYSTEM_FOLDERS.map(PathBuf::from);
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    let own = plain.clone().map(|folder| folder.join(&triple));
    plain.into_iter().chain(own).collect()
}

/// Where libraries are if no variable says so.
fn common_folders() -> Vec<PathBuf> {
    let local = LOCAL_FOLDERS.map(PathBuf::from);
    system_folders().into_iter().chain(local).collect()
}

fn find_client(
    variable: impl Fn(&str) -> Option<OsString>,
    common: &[PathBuf],
) -> Result<PathBuf, String> {
    let file = format!("{DLL_PREFIX}fdb_c{DLL_SUFFIX}");
    let variables = ["FDB_CLIENT_LIB_PATH", "LIBRARY_PATH", LOADER_VARIABLE];
    let named = variables.iter().filter_map(|name| variable(name));
    let named: Vec<_> = named
        .flat_map(|list| std::env::split_paths(&list).collect::<Vec<_>>())
        .collect();
    let mut folders = named.iter().chain(common);
    folders
        .find(|folder| folder.join(&file).is_file())
        .cloned()
        .ok_or_else(|| {
            format!(
                "{file}: not in the folders of {}, nor in /usr/lib or /usr/local/lib; it is in \
                 FoundationDB's package foundationdb-clients",
                variables.join(", "),
            )
        })
}

/// Looks where `clang-sys` looks, which loads the library while `dgen-fdb` is built.
fn find_clang(
    variable: impl Fn(&str) -> Option<OsString>,
    prefix: Option<PathBuf>,
    llvm: &[(&str, usize)],
) -> Result<(), String> {
    const WHERE: &str = "it is in the package libclang-dev, clang-devel or llvm of your system";
    if let Some(path) = variable("LIBCLANG_PATH").map(PathBuf::from) {
        return if is_libclang(&path) || has_libclang(&path, 0) {
            Ok(())
        } else {
            let path = path.display();
            Err(format!("libclang: not at LIBCLANG_PATH, {path}; {WHERE}"))
        };
    }
    let named = ["LD_LIBRARY_PATH", "LIBRARY_PATH"];
    let named = named.iter().filter_map(|name| variable(name));
    let named = named.flat_map(|list| std::env::split_paths(&list).collect::<Vec<_>>());
    let prefixed = prefix
        .iter()
        .flat_map(|prefix| ["lib", "lib64"].map(|lib| prefix.join(lib)));
    let plain = named.chain(prefixed).map(|folder| (folder, 0));
    let llvm = llvm
        .iter()
        .map(|(folder, depth)| (PathBuf::from(folder), *depth));
    if plain
        .chain(llvm)
        .any(|(folder, depth)| has_libclang(&folder, depth))
    {
        return Ok(());
    }
    Err(format!(
        "libclang: not found; {WHERE}, or LIBCLANG_PATH says where it is"
    ))
}

/// Whether the library is in `folder`, or in a folder at most `depth` below.
fn has_libclang(folder: &Path, depth: usize) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.iter().any(|path| is_libclang(path))
        || depth > 0
            && paths
                .iter()
                .any(|path| path.is_dir() && has_libclang(path, depth - 1))
}

/// Whether this file is the library, under one of the names it has: `libclang.so`, `libclang-15.so`,
/// `libclang.so.1`, `libclang-15.so.1`.
fn is_libclang(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let is_named = name
        .strip_prefix(&format!("{DLL_PREFIX}clang"))
        .is_some_and(|rest| {
            let (version, end) = rest.split_once(DLL_SUFFIX).unwrap_or((rest, "none"));
            let is_version = version.is_empty() || version.starts_with('-') && version != "-cpp";
            is_version && (end.is_empty() || end.starts_with('.'))
        });
    is_named && path.is_file()
}

/// Where LLVM says that it is installed.
fn llvm_prefix() -> Option<PathBuf> {
    let program = std::env::var_os("LLVM_CONFIG_PATH").unwrap_or_else(|| "llvm-config".into());
    let output = Command::new(program).arg("--prefix").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = if cfg!(target_os = "macos") {
        "libfdb_c.dylib"
    } else {
        "libfdb_c.so"
    };

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    #[test]
    fn the_client_is_found_where_variables_say_and_else_in_common_folders() {
        let folder = tempfile::tempdir().unwrap();
        let (own, common) = (folder.path().join("own"), folder.path().join("common"));
        for folder in [&own, &common] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join(CLIENT), "").unwrap();
        }
        let commons = std::slice::from_ref(&common);
        for variable in ["FDB_CLIENT_LIB_PATH", "LIBRARY_PATH", LOADER_VARIABLE] {
            let found = find_client(
                |name| {
                    let list = format!("/nowhere:{}", own.display());
                    (name == variable).then(|| list.into())
                },
                commons,
            );
            assert_eq!(found, Ok(own.clone()), "{variable}");
        }
        assert_eq!(find_client(nothing, commons), Ok(common));
    }

    #[test]
    fn a_client_that_is_missing_is_named_with_its_package() {
        let message = find_client(nothing, &[]).unwrap_err();
        assert!(message.starts_with(CLIENT), "{message}");
        assert!(message.contains("foundationdb-clients"), "{message}");
    }

    #[test]
    fn a_client_is_shown_behind_what_is_there() {
        let folder = Path::new("/opt/fdb");
        let both = with_folder(Some(OsStr::new("/first")), folder).unwrap();
        assert_eq!(both, "/first:/opt/fdb");
        assert_eq!(with_folder(None, folder).unwrap(), "/opt/fdb");
        // An empty entry would be the working directory.
        assert_eq!(
            with_folder(Some(OsStr::new("")), folder).unwrap(),
            "/opt/fdb"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn libclang_is_found_under_all_its_names() {
        let names = [
            "libclang.so",
            "libclang-15.so",
            "libclang.so.1",
            "libclang-15.so.15",
        ];
        for name in names {
            let folder = tempfile::tempdir().unwrap();
            let lib = folder.path().join("llvm-15/lib");
            fs::create_dir_all(&lib).unwrap();
            fs::write(lib.join(name), "").unwrap();
            let top = folder.path().to_str().unwrap();
            assert_eq!(find_clang(nothing, None, &[(top, 2)]), Ok(()), "{name}");
            assert!(find_clang(nothing, None, &[(top, 1)]).is_err(), "{name}");
            let prefix = Some(folder.path().join("llvm-15"));
            assert_eq!(find_clang(nothing, prefix, &[]), Ok(()), "{name}");
            for path in [lib.clone(), lib.join(name)] {
                let found = find_clang(|_| Some(path.clone().into()), None, &[]);
                assert_eq!(found, Ok(()), "{name}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn other_libraries_of_clang_are_not_libclang() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "libclang-cpp.so.15",
            "libclangd.so",
            "libclang.a",
            "libclang.so2",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let top = folder.path().to_str().unwrap();
        let message = find_clang(nothing, None, &[(top, 0)]).unwrap_err();
        assert!(message.contains("libclang-dev"), "{message}");
        assert!(message.contains("LIBCLANG_PATH"), "{message}");
    }

    #[test]
    fn a_path_that_does_not_hold_libclang_is_named() {
        let message = find_clang(|_| Some("/nowhere".into()), None, &[]).unwrap_err();
        assert!(message.contains("LIBCLANG_PATH, /nowhere"), "{message}");
    }
}
