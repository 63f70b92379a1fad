//! Queues: whatever rows there are below one.

use dgen_backend::{Tenant, tuple::Subspace};
use dgen_queue::Queue;

use crate::{block_on, rows};

/// An item that takes two chunks.
const LARGE_BYTES: usize = 100_001;

fn subspace() -> Subspace {
    Subspace::from("queue")
}

pub(crate) fn run(data: &[u8]) {
    block_on(async {
        let db = rows::store_with(subspace().bytes(), data).await;
        let queue = Queue::new(&subspace());
        let tenant = Tenant::new(db.clone(), subspace());
        let tx = db.begin().unwrap();
        let _len = queue.len(&tx).await;
        let _is_empty = queue.is_empty(&tx).await;
        let _peeked = queue.peek(&tx, 3).await;
        drop(tx);
        let push = async |tx| queue.push_k(&tx, [&b"pushed"[..], &[7; LARGE_BYTES]]);
        tenant.transact(push).await.expect("a push reads nothing");
        // Each round takes an item at least, or says what is wrong.
        loop {
            let consumed = tenant
                .transact(async |tx| queue.consume_k(&tx, 10).await)
                .await;
            match consumed {
                Ok(consumed) if consumed.items.is_empty() => break,
                Ok(_) => {}
                Err(_) => return,
            }
        }
        let tx = db.begin().unwrap();
        assert!(queue.is_empty(&tx).await.expect("it was read to its end"));
        let delete = async |tx| queue.delete(&tx);
        tenant.transact(delete).await.expect("it can be deleted");
        let left = rows::dump(&db, subspace().bytes()).await;
        assert_eq!(left, b"");
    });
}

pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let of = |items: &'static [&'static [u8]]| {
        block_on(async move {
            let db = rows::store_with(b"", b"").await;
            let queue = Queue::new(&subspace());
            let tx = db.begin().unwrap();
            queue.push_k(&tx, items.iter().copied()).expect("it fits");
            tx.commit().await.expect("it commits");
            rows::dump(&db, subspace().bytes()).await
        })
    };
    let mut chunk = of(&[b"small"]);
    // A chunk of a large item whose rest is not there: its key says how large.
    let stamp = dgen_backend::tuple::Versionstamp::complete([1; 10], 0);
    let key = subspace().subspace(&"i").pack(&(stamp, 9_999_999, 0));
    let key = &key[subspace().bytes().len()..];
    chunk.extend(rows::encode([(key, &[7; 60_000][..])]));
    vec![("items", of(&[b"first", b"", b"third"])), ("chunk", chunk)]
}
