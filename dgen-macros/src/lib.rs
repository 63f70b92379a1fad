//! #[dgen_server]: from an impl block to a durable server and its typed client
