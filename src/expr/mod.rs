//! The one expression language, CEL, and the one template language, minijinja.
//!
//! Rungs of checks, behaviour of worlds, predicates of assertions and extraction from answers are all
//! [`Expr`]; findings, request bodies and tool errors are all [`Template`]. Both are parsed when a file is
//! loaded, so a slip is reported at its place and not in the middle of a run. Pure.

mod alike;
mod cel;
mod data;
mod direct;
mod draft;
mod items;
mod shared;
mod template;

pub use self::alike::{Alike, spelled};
pub use self::cel::{Expr, ExprError, Item, Members, Scope};
pub use draft::Draft;
pub use items::{Found, Items, Made};
pub use template::{Fields, Names, Template, TemplateError};
