//! Enrolment: tokens that let devices in, what joining means on every channel, and what the agent adds to it.
pub mod agent;
pub mod join;
mod token;

pub use token::{
    TOKEN_PREFIX, TokenDraft, TokenRefusal, act_of, check_open, check_open_token, make_token, make_token_again,
    revoke_token,
};
