//! States on a cluster.

dgen_testkit::on_cluster! {
    mod transactions;

    fn database() -> dgen_backend::Database {
        dgen_testkit::cluster::database(dgen_backend::env::Env::system())
    }
}
