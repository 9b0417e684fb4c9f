//! The page around what is reported: one file that asks nobody for anything.

use super::super::escape;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
const LOGO: &str = "<svg viewBox=\"0 0 32 32\" aria-hidden=\"true\"><rect width=\"32\" height=\"32\" rx=\"8\" \
    fill=\"#0e7490\"/><path d=\"M5 13c4-5 7 5 11 0s7-5 11 0M5 21c4-5 7 5 11 0s7-5 11 0\" fill=\"none\" \
    stroke=\"#fff\" stroke-width=\"3\" stroke-linecap=\"round\"/></svg>";
/// The same for the tab.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect \
    width='32' height='32' rx='8' fill='%230e7490'/%3E%3Cpath d='M5 13c4-5 7 5 11 0s7-5 11 0M5 21c4-5 7 5 11 \
    0s7-5 11 0' fill='none' stroke='white' stroke-width='3' stroke-linecap='round'/%3E%3C/svg%3E";
/// Whatever slipped through, the page fetches nothing and runs no script but its own.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// A page. `title` and `name` are plain text, `about` and `body` are markup.
pub(super) fn page(title: &str, name: &str, about: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{}</title>\n<link rel=\"icon\" href=\"{ICON}\">\n<style>\n{STYLE}</style>\n<body>\n\
         <header>{LOGO}<div><h1>{}</h1><p>{about}</p></div></header>\n<main>\n{body}</main>\n\
         <footer>Made by <b>forebay load</b>. This page is complete: it fetches nothing.</footer>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        escape::html(title),
        escape::html(name),
    )
}
