//! Pods: what ships below `deploy`, applied to a real Kubernetes. `make e2e` starts the cluster,
//! makes the images and runs everything here but [`full`]; `make e2e-full` runs all of it.
//!
//! A case takes a [`Space`], which is a namespace of its own with the strictest Pod Security, applies
//! what ships, and asks the pod:
//!
//! ```ignore
//! let space = Space::new();
//! space.apply(&Manifest::shipped("native-sidecar.yaml"));
//! let pod = space.pod("app=web");
//! pod.ready().serves("Hello");
//! space.edit("web-settings", "greeting", "Good morning"); // A ConfigMap's key; the pods see it at once.
//! pod.serves("Good morning").settles("nginx", 2, "confirmed");
//! ```
//!
//! Images are those that the manifest names; `support/cluster/manifest.rs` lists what stands in for
//! public ones, and `e2e/images.sh` makes it. A case that takes over a minute belongs to [`full`].
//! To run one while the box is up (`cluster/box.sh up`, `../deploy/image/build.sh`, `images.sh`,
//! `cluster/box.sh load …`): `cargo test --test integration e2e::signals`.
//!
//! [`Space`]: crate::support::cluster::Space

mod admission;
mod config;
mod deaths;
mod end;
mod full;
mod memory;
mod order;
mod rollout;
mod signals;
