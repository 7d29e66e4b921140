//! The page for people: the status as text, readable without a script or a style sheet.

use crate::status::Report;

/// The page.
pub(super) fn page(report: &Report) -> String {
    let text = escape(&report.text());
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>rehup</title>\
         <pre>{text}</pre><p><a href=\"/status\">status</a> <a href=\"/metrics\">metrics</a> \
         <a href=\"/freshz\">freshz</a></p></html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
