//! What is rendered before it is applied: the Helm chart and the Kustomize component. Each rendering
//! is held against the plain manifest, against the rules for every pod, and against the schemas of
//! Kubernetes.

pub mod helm;
pub mod kustomize;
mod programs;
mod rendering;
mod schemas;
