//! What lies under `deploy/`: no right too many, nothing forgotten, nothing that no test knows.

mod compose;
mod configurations;
mod files;
pub mod judged;
mod listing;
mod monitor;
pub mod pods;
mod rules;

use self::pods::Pod;

/// Fails with every breach at once.
#[track_caller]
fn none(breaches: impl IntoIterator<Item = String>) {
    let breaches: Vec<_> = breaches.into_iter().collect();
    assert!(breaches.is_empty(), "\n  {}", breaches.join("\n  "));
}

/// Every pod of every manifest, each with its file, without the parts of kustomizations.
fn all() -> Vec<(String, Pod)> {
    every().into_iter().filter(|(file, _)| !is_part(file)).collect()
}

fn every() -> Vec<(String, Pod)> {
    let documents = files::documents();
    let pods = |(file, document): &(String, _)| {
        pods::of(document).into_iter().map(|pod| (file.clone(), pod)).collect::<Vec<_>>()
    };
    documents.iter().flat_map(pods).collect()
}

/// What is whole only when it is built: then the same rules are held against it.
fn is_part(file: &str) -> bool {
    file.starts_with("kustomize/")
}

#[test]
fn no_container_has_a_right_that_it_does_not_need() {
    let pods = all();
    let containers: usize = pods.iter().map(|(_, pod)| pod.containers.len()).sum();
    // The variants alone: what is read here is not an empty folder.
    assert!(pods.len() >= 7 && containers >= 15, "{} pods, {containers} containers", pods.len());
    none(pods.iter().flat_map(|(file, pod)| {
        rules::rights(pod).into_iter().map(move |breach| format!("{file}: {breach}"))
    }));
}

#[test]
fn no_part_of_a_kustomization_grants_a_right() {
    none(every().iter().filter(|(file, _)| is_part(file)).flat_map(|(file, pod)| {
        rules::grants(pod).into_iter().map(move |breach| format!("{file}: {breach}"))
    }));
}

#[test]
fn every_sidecar_has_what_the_kubelet_and_an_operator_need() {
    let pods = all();
    let sidecars = pods.iter().flat_map(|(_, pod)| &pod.containers).filter(|it| it.is_rehup());
    let sidecars = sidecars.count();
    assert!(sidecars >= 8, "{sidecars} containers of Rehup");
    none(pods.iter().flat_map(|(file, pod)| {
        rules::sidecar(pod).into_iter().map(move |breach| format!("{file}: {breach}"))
    }));
}

#[test]
fn every_manifest_with_a_pod_has_rehup_in_it() {
    let of_kubernetes = |file: &str| file.starts_with("kubernetes/");
    let pods = all();
    none(pods.iter().filter(|(file, _)| of_kubernetes(file)).filter_map(|(file, pod)| {
        let found = pod.containers.iter().any(pods::Container::is_rehup);
        (!found).then(|| format!("{file}: no container of Rehup in {}", pod.name))
    }));
}

#[test]
fn no_service_of_compose_has_a_right_that_it_does_not_need() {
    none(files::documents().iter().flat_map(|(file, document)| {
        compose::rights(document).into_iter().map(move |breach| format!("{file}: {breach}"))
    }));
}
