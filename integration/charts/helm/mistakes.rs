//! What a chart's author gets wrong, and what Helm says then.

use std::fs;

use super::Charts;

#[test]
fn a_wrong_value_is_refused_and_named() {
    let charts = Charts::new();
    let refused = [
        ("rehup.imge.tag=1", "imge"),
        ("rehup.image.pullpolicy=Always", "pullpolicy"),
        ("rehup.image.pullPolicy=Sometimes", "image.pullPolicy"),
        ("rehup.image.tag=", "image.tag"),
        ("rehup.port=80", "port"),
        ("rehup.port=http", "port"),
        ("rehup.shared.mountPath=shared", "shared.mountPath"),
        ("rehup.shared.medium=Disk", "shared.medium"),
        ("rehup.shared.sizeLimit=much", "shared.sizeLimit"),
        ("rehup.podSecurityContext.runAsUser=0", "podSecurityContext.runAsUser"),
        ("rehup.podSecurityContext.runAsNonRoot=false", "podSecurityContext.runAsNonRoot"),
        ("rehup.shareProcessNamespace=maybe", "shareProcessNamespace"),
        ("rehup.env.A=b", "env"),
        ("rehup.volumes[0].emptyDir.medium=Memory", "volumes.0"),
        ("rehup.volumeMounts[0].name=a", "volumeMounts.0"),
        ("rehup.resources.limit.memory=1Gi", "limit"),
        ("rehup.config=text", "config"),
    ];
    for (value, named) in refused {
        let said = charts.template("", &["--set", value]).refused();
        // From one version to the next it is `image.tag` or `/image/tag`.
        let path = said.replace('/', ".");
        let mut mistakes = path.lines().filter(|line| line.starts_with("- "));
        assert!(mistakes.any(|line| line.contains(named)), "{value}: {said}");
    }
}

/// Numbers of this size are printed in another way where one does not look out.
#[test]
fn a_user_of_ten_digits_stays_a_number() {
    let user = "rehup.podSecurityContext.runAsUser=1000650000";
    let rendering = Charts::new().rendering("", &["--set", user]);
    assert_eq!(rendering.pod()["securityContext"]["runAsUser"], 1_000_650_000);
}

#[test]
fn a_global_value_of_the_chart_is_no_mistake() {
    Charts::new().template("", &["--set", "global.region=here"]).good();
}

#[test]
fn a_configuration_that_is_missing_or_given_twice_is_told() {
    let charts = Charts::new();
    let said = charts.template("", &["--set", "rehup.files=nowhere/*"]).refused();
    assert!(said.contains("no configuration: set rehup.config, or put rehup.yaml"), "{said}");
    let said = charts.template("", &["--set", "rehup.config.admin.listen=x"]).refused();
    assert!(said.contains("rehup.yaml is given twice"), "{said}");
    let folder = charts.example().join("nginx/more");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("nginx.conf.j2"), "").expect("a file");
    let said = charts.template("", &["--set", "rehup.files=nginx/**"]).refused();
    assert!(said.contains("are called nginx.conf.j2"), "{said}");
}
