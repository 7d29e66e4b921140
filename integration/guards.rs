//! What is known to be wrong is never published: great losses, missing keys, broken templates; and
//! nothing is published or told that did not change.

mod burst;
mod loss;
mod shapes;
mod templates;
