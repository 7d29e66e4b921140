//! A Job with a sidecar: the work sees edits, and its end is the Job's.

use serde_json::{Value, json};

use crate::support::cluster::{Manifest, Pod, Space};

fn completes(space: &Space, pod: &Pod<'_>) {
    pod.eventually("the Job is complete", || {
        let job = space.get("batch/v1", "jobs/batch")?;
        let conditions = job["status"]["conditions"].as_array()?.clone();
        let is =
            |kind: &str| conditions.iter().any(|it| it["type"] == kind && it["status"] == "True");
        assert!(!is("Failed"), "{job}");
        is("Complete").then_some(())
    });
}

fn end_of(pod: &Pod<'_>, container: &str) -> Value {
    pod.container(container)["state"]["terminated"].clone()
}

#[test]
fn a_job_completes_and_its_sidecar_ends_well() {
    let space = Space::new();
    space.apply(&Manifest::shipped("job.yaml"));
    let pod = space.pod("app=batch");
    completes(&space, &pod);
    assert_eq!(pod.object().expect("the pod stays")["status"]["phase"], "Succeeded");
    let (work, rehup) = (end_of(&pod, "batch"), end_of(&pod, "rehup"));
    assert_eq!((&work["exitCode"], &rehup["exitCode"]), (&json!(0), &json!(0)), "{rehup}");
    assert!(work["finishedAt"].as_str() <= rehup["finishedAt"].as_str(), "{work} {rehup}");
    assert_eq!(pod.log("batch").matches("gentle").count(), 5, "{}", pod.log("batch"));
    assert_eq!((pod.restarts("batch"), pod.restarts("rehup")), (0, 0));
}

#[test]
fn the_work_of_a_job_sees_an_edit() {
    let mut manifest = Manifest::shipped("job.yaml");
    let pod = &mut manifest.object("Job", "batch")["spec"]["template"]["spec"];
    // As shipped, but with work that goes on until it has seen one.
    let work =
        "until [ \"$level\" = harder ]; do . /shared/batch.env; echo $level; sleep 0.2; done";
    pod["containers"][0]["command"] = json!(["sh", "-ec", work]);
    let space = Space::new();
    space.apply(&manifest);
    let pod = space.pod("app=batch");
    pod.eventually("the work has begun", || pod.log("batch").contains("gentle").then_some(()));
    space.edit("batch-settings", "level", "harder");
    completes(&space, &pod);
    assert_eq!(end_of(&pod, "rehup")["exitCode"], 0);
}
