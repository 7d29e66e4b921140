//! The shipped recipes, each with its real program: a change arrives and is proven, a broken value
//! does not arrive; those whose program is not here are at least accepted.

mod accepted;
mod databases;
mod own;
mod proxies;
