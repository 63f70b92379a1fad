//! Bugs on purpose, to see that tests find them.
//!
//! Each stands in the code behind a question, [`is`], whose answer is no. With the feature
//! `planted-bugs` it is yes for the bug that the thread has planted (`plant`); without, the compiler
//! sees a constant, and nothing is left of the question.

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bug {
    /// A consumer whose transaction is tried again leaves in the queue what it handles.
    DoublePop,
    /// The answer to a caller elsewhere is not written.
    LostReply,
    /// Who has lost a lock may still commit.
    UnfencedLock,
    /// A lock is taken over at once.
    LockWithoutLease,
    /// Who watches does not look now and then.
    WatchWithoutPoll,
    /// A transaction is run again without a look at whether it was committed.
    RetryWithoutMarker,
    /// The first and the last of several items that are pushed together change places.
    ReorderedBatch,
    /// A timer that was due while nobody consumed does not fire.
    TimerLostAtCrash,
    /// What is to be kept for a while is swept at once.
    EagerSweep,
    /// A push is not counted as a change of its server.
    UncountedPush,
    /// A cached state is used without a look at whether it is current.
    StateWithoutVersion,
    /// A caller reads a state in memory without a look at whether it is current.
    ReadWithoutLook,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::DoublePop,
        Self::LostReply,
        Self::UnfencedLock,
        Self::LockWithoutLease,
        Self::WatchWithoutPoll,
        Self::RetryWithoutMarker,
        Self::ReorderedBatch,
        Self::TimerLostAtCrash,
        Self::EagerSweep,
        Self::UncountedPush,
        Self::StateWithoutVersion,
        Self::ReadWithoutLook,
    ];
}

#[cfg(feature = "planted-bugs")]
std::thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Whether the code is to have that bug, on this thread.
#[cfg(feature = "planted-bugs")]
#[must_use]
pub fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether the code is to have that bug: no.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
#[must_use]
pub const fn is(_bug: Bug) -> bool {
    false
}

/// From now on, the code has that bug on this thread, and no other.
#[cfg(feature = "planted-bugs")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}
