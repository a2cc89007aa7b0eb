//! Public behaviour through the library and the real binary; one file a topic.
mod audit;
mod balance;
mod bundle_zip;
mod forge;
mod import;
mod keyfile;
mod keys;
mod ledger;
mod notes;
mod rules;
mod spec;
mod store_contract;
mod tidy;
mod tree;
mod util;
mod vectors;
mod verdict;
