//! The command line: parses, calls one function, renders.

pub mod locales;
