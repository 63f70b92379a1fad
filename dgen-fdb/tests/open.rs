//! Opening what is not there.

use std::{net::TcpListener, time::Duration};

use dgen_fdb::{OpenError, Options};

/// SPEC F1: a cluster that does not answer is a clear error after a deadline, and names its file.
#[tokio::test]
async fn cluster_that_does_not_answer_is_an_error() {
    // A port that was free a moment ago: nobody listens.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("nobody.cluster");
    std::fs::write(&file, format!("dgen:test@{address}\n")).expect("a file can be written");

    let options = Options::default()
        .cluster_file(&file)
        .deadline(Duration::from_millis(300));
    let error = options.open("shop").await.expect_err("nobody listens");
    assert!(matches!(error, OpenError::NoAnswer { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("nobody.cluster") && text.contains("did not answer"),
        "{text}"
    );
}

/// SPEC F1: neither file nor cluster: the error says what to do.
#[tokio::test]
async fn missing_cluster_file_is_an_error() {
    let options = Options::default().cluster_file("/no/such/fdb.cluster");
    let error = options.open("shop").await.expect_err("it is missing");
    assert!(matches!(error, OpenError::ClusterFile { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("/no/such/fdb.cluster") && text.contains("FDB_CLUSTER_FILE"),
        "{text}"
    );
    assert!(options.database().is_err());
}

/// SPEC F1: what is no cluster file is refused by the client library, with its code.
#[tokio::test]
async fn file_that_names_no_cluster_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("shopping.list");
    std::fs::write(&file, "milk, tea").expect("a file can be written");
    let options = Options::default().cluster_file(&file);
    let error = options.deadline(Duration::from_secs(10)).open("shop").await;
    let error = error.expect_err("it is a shopping list");
    assert!(error.to_string().contains("shopping.list"), "{error}");
}
