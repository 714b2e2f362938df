//! What is kept, what ends, what is held, and what is in the trash.
mod alone;
mod anomaly;
mod brake;
mod change;
mod clients;
mod full;
mod hold;
mod lost;
mod notice;
mod page;
mod prune;
mod stop;
mod world;

pub use world::pruner_on;
