//! The path of a notice, over real mutual TLS to a real node: what partners meet when all goes well, and what they are told when
//! it does not. Names carry the row of the catalogue of threats and faults that they hold.

mod acknowledgement;
mod delivery;
mod directory;
mod evidence;
mod form;
mod log;
mod signature;
mod times;
