//! A subscriber that keeps what is traced, for one thread.

use std::{
    fmt::{Debug, Write},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::DefaultGuard,
};

/// A line for each span that is opened and each event. A clone is the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Witness(Arc<Mutex<Vec<String>>>);

/// Subscribers that see nothing, and stay. As long as tracing knows just one, whichever thread comes to a span first decides for all
/// whether anybody wants it: one without a subscriber, that is another test, decides that nobody does.
static OTHERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Dispatch::new(Witness::default())));

impl Witness {
    /// One that sees what this thread does, until the guard is dropped.
    pub(crate) fn install() -> (Self, DefaultGuard) {
        LazyLock::force(&OTHERS);
        let witness = Self::default();
        let guard = tracing::subscriber::set_default(witness.clone());
        (witness, guard)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many lines begin with `beginning`.
    pub(crate) fn count(&self, beginning: &str) -> usize {
        self.lines()
            .iter()
            .filter(|line| line.starts_with(beginning))
            .count()
    }

    fn push(&self, line: String) -> u64 {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line);
        lines.len() as u64
    }
}

/// Fields as text, behind what is there.
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").expect("a string takes it");
    }
}

impl Subscriber for Witness {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("dgen_server")
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut fields = Fields(format!("span {}", span.metadata().name()));
        span.record(&mut fields);
        span::Id::from_u64(self.push(fields.0))
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(event.metadata().level().to_string());
        event.record(&mut fields);
        self.push(fields.0);
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// What another thread comes to first, which has no subscriber, is seen here all the same.
#[test]
fn what_others_do_hides_nothing() {
    let (witness, _guard) = Witness::install();
    let open = || drop(tracing::info_span!(target: "dgen_server::tests", "open"));
    std::thread::scope(|scope| {
        scope.spawn(open);
    });
    assert_eq!(witness.count("span open"), 0);
    open();
    assert_eq!(witness.count("span open"), 1);
}
