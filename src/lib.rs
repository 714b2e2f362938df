//! Holdfast: device management that proves each device's data can be restored.
//!
//! Modules in reading order; ARCHITECTURE.md says which may use which.
pub mod blob;
pub mod config;
pub mod error;
pub mod gate;
pub mod mail;
pub mod problem;
pub mod program;
pub mod wake;
pub mod zone;

pub mod store;

pub mod service;

pub mod proof;

pub mod content;

pub mod query;

pub mod auth;

pub mod protocol;

pub mod api;

pub mod web;

pub mod traffic;

pub mod job;

pub mod app;

pub mod bench;

pub mod danger;
pub mod demo;

pub mod cli;
