//! The pack as a whole, on the demo and on smaller manifests.

mod grounds;
mod pack;
mod sets;
