//! What an operator reads: spans around what handlers do, and warnings of what goes wrong.

use dgen_server::{Handle, Never, StartOptions};

use crate::support::{
    ledger::{Ledger, LedgerCall},
    witness::Witness,
    *,
};

on_each_store! {
    /// Each batch, priority message and locked work has a span that names its server.
    async fn what_handlers_do_is_in_a_span(store: Store) {
        let (witness, _guard) = Witness::install();
        let ledger = Handle::<Ledger>::start(&store.tenant, "demo", ()).await.unwrap();
        ledger.call::<u32, Never>(LedgerCall::Note(1)).await.unwrap();
        assert!(witness.count(r#"span attempt server=Ledger("demo")"#) > 0);
        ledger.call::<u32, Never>(LedgerCall::Note(2)).priority().await.unwrap();
        assert_eq!(witness.count(r#"span priority attempt server=Ledger("demo")"#), 1);
        ledger.call::<u32, Never>(LedgerCall::Lock(3, "other".to_owned())).await.unwrap();
        assert_eq!(witness.count(r#"span locked work server=Ledger("demo") fence="#), 1);
        assert_eq!(witness.count("WARN") + witness.count("ERROR"), 0, "{:?}", witness.lines());
    }

    /// SPEC S9: each failure of a message is a warning that says which server and why.
    async fn what_goes_wrong_is_a_warning(store: Store) {
        let (witness, _guard) = Witness::install();
        let options = StartOptions::default().max_attempts(2);
        let counter =
            CounterHandle::start_with(&store.tenant, "demo", 0, options).await.unwrap();
        counter.call::<(), Never>(CounterCall::Panic).await.unwrap_err();
        let warnings = || {
            let lines = witness.lines().into_iter();
            lines.filter(|line| line.starts_with("WARN")).collect::<Vec<_>>()
        };
        let warned = warnings();
        assert_eq!(warned.len(), 2, "{warned:?}");
        for warning in warned {
            assert!(warning.contains(r#"server=Counter("demo")"#), "{warning}");
            assert!(warning.contains("asked to"), "{warning}");
        }
    }
}
