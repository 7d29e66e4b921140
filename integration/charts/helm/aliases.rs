//! Two programs in one chart, each with a Rehup of its own, as the chart's README says.

use std::{fs, path::Path};

use serde_json::Value;

use super::{Charts, run};
use crate::charts::rendering::{Rendering, named};

const CHART: &str = r#"
apiVersion: v2
name: two
version: 1.0.0
dependencies:
  - { name: rehup, alias: proxy, version: "*", repository: "file://../rehup" }
  - { name: rehup, alias: worker, version: "*", repository: "file://../rehup" }
"#;

const VALUES: &str = r"
proxy: { files: proxy/*, port: 9001, shared: { mountPath: /published } }
worker: { files: worker/*, shareProcessNamespace: false }
";

const TEMPLATE: &str = r#"
{{- range $name := list "proxy" "worker" }}
{{- $own := dict "rehup" (get $.Values $name) "fullnameOverride" (printf "%s-%s" $.Release.Name $name) }}
{{- $context := dict "Values" (merge $own $.Values) "Release" $.Release "Chart" $.Chart "Files" $.Files }}
---
{{ include "rehup.configmap" $context }}
---
apiVersion: v1
kind: Pod
metadata:
  name: {{ $name }}
spec:
  {{- include "rehup.pod" $context | nindent 2 }}
  initContainers:
    {{- include "rehup.container" $context | nindent 4 }}
  volumes:
    {{- include "rehup.volumes" $context | nindent 4 }}
{{- end }}
"#;

/// A variable of Rehup in a pod.
fn variable<'a>(pod: &'a Value, name: &str) -> &'a Value {
    &named(&named(&pod["initContainers"], "rehup")["env"], name)["value"]
}

#[test]
fn two_programs_of_one_chart_keep_apart() {
    let charts = Charts::new();
    let two = charts.example().with_file_name("two");
    let files = [
        ("Chart.yaml", CHART),
        ("values.yaml", VALUES),
        ("templates/all.yaml", TEMPLATE),
        ("proxy/rehup.yaml", "# of the proxy"),
        ("worker/rehup.yaml", "# of the worker"),
    ];
    for (name, text) in files {
        let file = two.join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, text).expect("a file");
    }
    run("helm", [Path::new("dependency"), Path::new("update"), &two]).good();
    let words = ["template", "web"].map(Path::new).into_iter().chain([two.as_path()]);
    let rendering = Rendering::parse(&run("helm", words).good());

    let maps = rendering.of_kind("ConfigMap");
    let map = |index: usize| (&maps[index]["metadata"]["name"], &maps[index]["data"]["rehup.yaml"]);
    assert_eq!(map(0), (&"web-proxy-rehup".into(), &"# of the proxy".into()));
    assert_eq!(map(1), (&"web-worker-rehup".into(), &"# of the worker".into()));
    let pods = rendering.of_kind("Pod");
    let (proxy, worker) = (&pods[0]["spec"], &pods[1]["spec"]);
    assert_eq!(variable(proxy, "REHUP_LISTEN"), "0.0.0.0:9001");
    assert_eq!(variable(proxy, "REHUP_OUTPUT"), "/published");
    assert_eq!(variable(worker, "REHUP_LISTEN"), "0.0.0.0:9533");
    assert_eq!(variable(worker, "REHUP_OUTPUT"), "/shared");
    assert_eq!(named(&proxy["volumes"], "rehup")["configMap"]["name"], "web-proxy-rehup");
    assert_eq!(proxy["shareProcessNamespace"], true);
    assert!(worker["shareProcessNamespace"].is_null());
}
