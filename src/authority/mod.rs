//! What a General Secretariat does: makes certificates and signs directories. Works on files and asks nobody; the serving
//! node never uses it.

pub mod pki;

pub mod directory_file;
pub mod sign;
