//! Who may send what to whom: the directory compiled once into sets, and the one decision that reads them. Pure, deny by default.

mod audience;
mod compile;
mod decide;
mod explain;
#[cfg(test)]
mod tests;

pub use audience::{Audience, RecipientSet};
pub use compile::CompiledDirectory;
pub use decide::{Permit, Resolved, authorise, resolve};
pub use explain::{Candidate, Explanation, Lack, explain};
