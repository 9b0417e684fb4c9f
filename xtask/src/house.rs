//! Checks of the house: who may import whom, what files say first, that documents point at something.

mod documents;
mod edges;
mod files;
