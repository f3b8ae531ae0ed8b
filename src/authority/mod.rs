//! What a General Secretariat does: makes certificates, signs directories and looks at what they say. Works on files and asks nobody;
//! the serving node never uses it.

pub mod pki;

pub mod directory_file;
pub mod edition;
pub mod files;
pub mod rules;
pub mod sign;

pub mod diff;
pub mod explain;
pub mod lint;
pub mod words;
