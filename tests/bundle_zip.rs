//! bundle_zip
