//! Renderings of the verdict, one file per format, over one frozen model. Pure.

pub mod model;
