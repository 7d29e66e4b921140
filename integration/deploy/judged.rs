//! All that is held against a manifest, for objects that are rendered and not shipped.

use serde_json::Value;

use super::{configurations, pods, rules};

/// What is wrong with the pods in these objects: a right too many, something that a sidecar lacks, a
/// configuration that is refused where it is mounted.
pub fn breaches(objects: &[Value]) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut checked = 0;
    for pod in objects.iter().flat_map(pods::of) {
        breaches.extend(rules::rights(&pod));
        breaches.extend(rules::sidecar(&pod));
        for rehup in pod.containers.iter().filter(|it| it.is_rehup()) {
            let (_, mistake) = configurations::check(&pod, rehup, objects);
            breaches.extend(mistake);
            checked += 1;
        }
    }
    if checked == 0 {
        breaches.push("no container of Rehup".to_owned());
    }
    breaches
}
