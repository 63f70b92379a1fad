//! Durable, distributed gen_server: state and message queue in a transactional key-value store
