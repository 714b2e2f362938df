//! Our own agent's protocol; `docs/protocol/agent.md` describes it.
pub use crate::domain::message;
