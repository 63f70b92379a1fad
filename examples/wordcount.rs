//! Counts the words of a file, exactly, however often it is killed.
//!
//! A reader, a server, holds the offset up to which the file is read. Its handler gets the text that
//! begins there; it moves the offset and sends each word of the text to that word's own server, in one
//! transaction. So each part of the file is counted once: text that comes a second time begins at
//! another offset, and is ignored. The handler reads no file, since a handler does no I/O and may run
//! more than once: this program reads, where the reader says.
//!
//! ```sh
//! cargo run --example wordcount README.md > counts   # kill it half-way, and run it again
//! LC_ALL=C tr -cs 'A-Za-z' '\n' < README.md | LC_ALL=C tr 'A-Z' 'a-z' | grep . | LC_ALL=C sort | uniq -c > expected
//! diff -w counts expected
//! ```
//!
//! The store is in `wordcount-data`; `--data` names another folder. A file is known by its path, and is
//! expected to stay as it is.

use std::{
    collections::BTreeMap,
    error::Error,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use dgen_examples::store;
use dgen_macros::dgen_server;
use dgen_server::{Context, StartError, Tenant};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

/// So many servers are started, or asked, at the same time.
const AT_ONCE: usize = 256;

/// The servers of the words, by word.
type Words = BTreeMap<String, WordHandle>;

/// How far a file is read.
#[derive(Clone, Serialize, Deserialize)]
struct Reader {
    file: String,
    offset: u64,
    /// Of a map each entry is a key of its own: a new word writes one key.
    words: BTreeMap<String, ()>,
}

#[dgen_server]
impl Reader {
    #[init]
    fn open(file: String) -> Self {
        Self {
            file,
            offset: 0,
            words: BTreeMap::new(),
        }
    }

    /// Counts the words of `text`, which begins at `offset` of the file. Returns where to go on.
    #[call(timeout = Duration::from_secs(60))]
    fn read(&mut self, offset: u64, text: String, cx: &mut Context<Self>) -> u64 {
        if offset != self.offset {
            return self.offset; // it was read before
        }
        self.offset += text.len() as u64;
        for (word, count) in count_words(&text) {
            let counter = WordHandle::client(cx.tenant(), (&*self.file, &*word));
            cx.send(counter.add(count));
            self.words.insert(word, ());
        }
        self.offset
    }

    /// Returns where to go on, and which words there are before.
    #[call]
    fn progress(&self) -> (u64, Vec<String>) {
        (self.offset, self.words.keys().cloned().collect())
    }
}

/// How often a word stands in a file.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Word {
    count: u64,
}

#[dgen_server]
impl Word {
    /// Adds `count`.
    #[cast]
    fn add(&mut self, count: u64) {
        self.count += count;
    }

    /// Returns the count: of all that was sent before this call.
    #[call(timeout = Duration::from_secs(60))]
    fn count(&self) -> u64 {
        self.count
    }
}

/// Counts the words of a file, exactly, however often it is killed.
#[derive(Parser)]
struct Options {
    /// The file. A word is a run of the letters A to Z, large or small.
    file: PathBuf,
    /// The folder that holds the store.
    #[arg(long, default_value = "wordcount-data")]
    data: PathBuf,
    /// So many bytes are read in one transaction.
    #[arg(long, default_value_t = 32_768, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    chunk: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wordcount: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let name = options.file.display().to_string();
    let file = File::open(&options.file).map_err(|error| format!("{name}: {error}"))?;
    let len = file.metadata()?.len();
    let mut file = BufReader::new(file);
    let tenant = store::open(&options.data).await?;
    let reader = ReaderHandle::start(&tenant, &*name, name.clone()).await?;

    let (mut offset, known) = reader.progress().await?;
    eprintln!("{name}: {offset} of {len} bytes were read before");
    let mut words = Words::new();
    start(&tenant, &name, known, &mut words).await?;
    let bar = ProgressBar::new(len).with_style(ProgressStyle::with_template(
        "{bar:40} {bytes} of {total_bytes}, {msg}",
    )?);
    loop {
        bar.set_position(offset);
        bar.set_message(format!("{} words", words.len()));
        file.seek(SeekFrom::Start(offset))?;
        let text = next_text(&mut file, options.chunk)?;
        if text.is_empty() {
            break;
        }
        start(&tenant, &name, count_words(&text).into_keys(), &mut words).await?;
        offset = reader.read(offset, text).await?;
    }
    bar.finish();

    // On a cluster, others may read the same file, and have read a part of it.
    let (_, known) = reader.progress().await?;
    start(&tenant, &name, known, &mut words).await?;
    let count = |(word, server): (String, WordHandle)| async move { (word, server.count().await) };
    let mut counts = stream::iter(words).map(count).buffered(AT_ONCE);
    let mut out = io::stdout().lock();
    while let Some((word, count)) = counts.next().await {
        writeln!(out, "{:7} {word}", count?)?; // as `uniq -c` prints it
    }
    Ok(())
}

/// Starts the servers of those `words` that have not been started, to count what is sent to them.
async fn start(
    tenant: &Tenant,
    file: &str,
    words: impl IntoIterator<Item = String>,
    started: &mut Words,
) -> Result<(), StartError> {
    let new = words.into_iter().filter(|word| !started.contains_key(word));
    let start = |word: String| async move {
        let server = WordHandle::start(tenant, (file, &*word), ()).await?;
        Ok::<_, StartError>((word, server))
    };
    let new: Vec<_> = stream::iter(new)
        .map(start)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    started.extend(new);
    Ok(())
}

/// The next `len` bytes of the file, or more, so that no word is cut. It is as long as what it was read
/// from: letters become small, and each other byte a space.
fn next_text(file: &mut impl BufRead, len: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes)?;
    while bytes.last().is_some_and(u8::is_ascii_alphabetic) {
        if file.take(1).read_to_end(&mut bytes)? == 0 {
            break;
        }
    }
    let letter = |byte: u8| byte.is_ascii_alphabetic().then_some(byte);
    let to_char = |byte| char::from(letter(byte).unwrap_or(b' ').to_ascii_lowercase());
    Ok(bytes.into_iter().map(to_char).collect())
}

fn count_words(text: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in text.split_ascii_whitespace() {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    counts
}
