//! What the harness does wrong on purpose, so that a test sees that it would be found.

use clap::ValueEnum;

/// A fault that is planted in a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lie {
    /// The disk says that a file is flushed, and it is not.
    SyncDoesNothing,
    /// The disk says that the directory is flushed, and it is not.
    SyncDirDoesNothing,
    /// The disk loses one of many writes, flushed or not.
    DropsWrites,
    /// A caller is told of success before it has it.
    AcknowledgesEarly,
    /// A caller that was killed sends its last message again under another id.
    RetriesUnderAnotherId,
    /// A handler sends its message to the other server twice.
    SendsTwice,
    /// A handler that takes money does not send it on.
    KeepsTheMoney,
}
