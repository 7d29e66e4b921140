//! Evidence that a reload worked: always newer than the attempt.
//!
//! Owns the reading of pages and the comparison with what was there before. Must not call the
//! reload itself.

use std::{collections::BTreeMap, time::Duration};

use providers::settings::TlsSettings;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    attempt::{Class, Report},
    http::Web,
    process::workers,
};
use crate::{config::shape::Verify, failpoint};

const POLL: Duration = Duration::from_millis(200);
const PAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// What was seen at one moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    Number(f64),
    Json(Value),
    Status(u16),
    Workers(Vec<(i32, u64)>),
}

/// Reads the evidence now; the error says why there is none.
pub(super) async fn read(
    web: &mut Web,
    verify: &Verify,
    pid: Option<i32>,
) -> Result<Evidence, String> {
    if let Some(metric) = &verify.metric {
        let page = page(web, &metric.url, metric.tls.as_ref()).await?;
        let text = String::from_utf8_lossy(&page);
        sample(&text, &metric.name, &metric.labels)
            .map(Evidence::Number)
            .ok_or_else(|| format!("the page has no sample of {}", metric.name))
    } else if let Some(json) = &verify.json {
        let page = page(web, &json.url, json.tls.as_ref()).await?;
        let value: Value =
            serde_json::from_slice(&page).map_err(|_| "the page is no JSON".to_owned())?;
        let found = value.pointer(&json.pointer).cloned();
        found.map(Evidence::Json).ok_or_else(|| format!("the page has nothing at {}", json.pointer))
    } else if let Some(status) = &verify.status {
        let answer = web.get(&status.url, status.tls.as_ref(), PAGE_TIMEOUT).await;
        answer.map(|(status, _)| Evidence::Status(status))
    } else {
        pid.map(|pid| Evidence::Workers(workers(pid))).ok_or_else(|| "no process".to_owned())
    }
}

async fn page(web: &mut Web, url: &str, tls: Option<&TlsSettings>) -> Result<Vec<u8>, String> {
    match web.get(url, tls, PAGE_TIMEOUT).await? {
        (200..=299, body) => Ok(body),
        (status, _) => Err(format!("the page answered {status}")),
    }
}

fn proves(verify: &Verify, before: &Evidence, now: &Evidence) -> bool {
    match (before, now) {
        (Evidence::Number(before), Evidence::Number(now)) => {
            verify.metric.as_ref().is_some_and(|metric| match metric.equals {
                #[expect(clippy::float_cmp, reason = "the page's number, as it was written")]
                Some(wanted) => *now == wanted,
                None if metric.increased => now > before,
                None => now.to_bits() != before.to_bits(),
            })
        }
        (Evidence::Json(before), Evidence::Json(now)) => {
            verify.json.as_ref().is_some_and(|json| match &json.equals {
                Some(wanted) => now == wanted,
                None => now != before,
            })
        }
        (_, Evidence::Status(now)) => verify
            .status
            .as_ref()
            .is_some_and(|status| status.accept.iter().any(|range| range.contains(*now))),
        // All of the old ones may live on as they drain: one new worker is the evidence.
        (Evidence::Workers(before), Evidence::Workers(now)) => {
            now.iter().any(|worker| !before.contains(worker))
        }
        _ => false,
    }
}

/// Waits for evidence until the timeout. Cancel safe.
pub(super) async fn wait(
    web: &mut Web,
    verify: &Verify,
    before: &Evidence,
    pid: Option<i32>,
) -> Report {
    failpoint::pass("verify").await;
    let end = Instant::now() + verify.timeout;
    let mut readable = false;
    let mut why = String::new();
    loop {
        match read(web, verify, pid).await {
            Ok(now) if proves(verify, before, &now) => {
                return Report::new(Class::Confirmed, "verify");
            }
            Ok(_) => readable = true,
            Err(error) => why = error,
        }
        if Instant::now() >= end {
            let timeout = verify.timeout;
            return if readable {
                Report::new(Class::SaidNo, format!("no new evidence within {timeout:?}"))
            } else {
                Report::new(Class::CannotKnow, format!("verify is unreadable: {why}"))
            };
        }
        sleep(POLL).await;
    }
}

/// The value of the first sample with this name and at least these labels.
fn sample(page: &str, name: &str, labels: &BTreeMap<String, String>) -> Option<f64> {
    page.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (has, rest) = match rest.strip_prefix('{') {
            Some(rest) => parse_labels(rest)?,
            None => (BTreeMap::new(), rest),
        };
        let matches = labels.iter().all(|(name, value)| has.get(name) == Some(value));
        let value = rest.strip_prefix([' ', '\t'])?.split_ascii_whitespace().next()?;
        matches.then(|| value.parse().ok()).flatten()
    })
}

fn parse_labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once("=\"")?;
        let (mut value, mut end, mut escaped) = (String::new(), None, false);
        for (at, c) in after.char_indices() {
            match c {
                'n' if escaped => value.push('\n'),
                c if escaped => value.push(c),
                '\\' => {
                    escaped = true;
                    continue;
                }
                '"' => {
                    end = Some(at + 1);
                    break;
                }
                c => value.push(c),
            }
            escaped = false;
        }
        labels.insert(name.trim().to_owned(), value);
        rest = &after[end?..];
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_found_by_name_and_labels() {
        let page = "# HELP up x\nup_total 9\nup{a=\"x,}\\\"y\",b=\"2\"} 1.5e3 17\nup{a=\"z\"} 4\n";
        let labels = |a: &str| BTreeMap::from([("a".to_owned(), a.to_owned())]);
        assert_eq!(sample(page, "up", &labels("x,}\"y")), Some(1500.0));
        assert_eq!(sample(page, "up", &labels("z")), Some(4.0));
        assert_eq!(sample(page, "up_total", &BTreeMap::new()), Some(9.0));
        assert_eq!(sample(page, "down", &BTreeMap::new()), None);
    }
}
