//! The request path: which route, which endpoint, what goes in and what comes out.

pub mod plan;
pub mod route;
