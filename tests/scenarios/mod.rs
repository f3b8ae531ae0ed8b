//! What happens to a node as a whole, and what must be there afterwards.

mod kills;
mod restore;
mod stop;
