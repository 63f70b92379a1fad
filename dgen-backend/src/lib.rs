//! The storage contract of dgen: serializable transactions, tuples, directories, tenants, the one retry loop
