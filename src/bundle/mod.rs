//! The regulator's bundle.
