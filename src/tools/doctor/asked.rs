//! What is asked here and need not be: what `observe` has counted in the last hour.

use super::args::Findings;
use crate::observe::TopPage;
use crate::tools::text::plural;

/// Below so many queries no share says anything.
const ENOUGH: u64 = 1000;

/// The most namespaces that have a finding of their own.
const NAMESPACES: usize = 5;

/// A share in percent.
fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0)
}

/// Looks at the last hour.
pub(super) fn look(page: &TopPage, found: &mut Findings) {
    let all = page.queries;
    let minutes = plural(usize::try_from(page.seconds.div_ceil(60)).unwrap_or(0), "minute");
    if all < ENOUGH {
        return found
            .blind(format!("who asks in vain: {all} queries in {minutes}, where 1,000 say something"));
    }
    found.looked(format!("{all} queries of the last {minutes}, as `observe` counts them"));
    for row in page.search_namespaces.iter().take(NAMESPACES).filter(|row| percent(row.at_least, all) >= 5) {
        found.add(
            "hint",
            "search-namespace",
            format!(
                "pods of the namespace `{}` asked {} times for names that only their search list makes and that are not there: {} % of \
                 all queries",
                row.what,
                row.at_least,
                percent(row.at_least, all)
            ),
            "set ndots to 2 in dnsConfig of its pods, write names outside with a final dot in its configuration, or let `autopath` \
             answer at once; `signpost top nxdomain` shows the names",
        );
    }
    if percent(page.aaaa_empty, all) >= 30 {
        found.add(
            "hint",
            "aaaa-empty",
            format!(
                "{} % of all queries are for IPv6 addresses of names that have none",
                percent(page.aaaa_empty, all)
            ),
            "programs ask for both families: where the cluster has IPv4 only, `families ipv4` in `forward` answers for names outside \
             without asking upstreams, and clients that can be told so should ask for IPv4 alone",
        );
    }
    if percent(page.failed, all) >= 2 {
        found.add(
            "warning",
            "failures",
            format!("{} % of all queries of the last {minutes} failed (SERVFAIL)", percent(page.failed, all)),
            "`signpost tap --past --rcode SERVFAIL` shows which, and `signpost explain NAME` why",
        );
    }
    if percent(page.slow, all) >= 2 {
        let most = page
            .slow_names
            .first()
            .map_or_else(String::new, |row| format!("; most often {} ({} times)", row.what, row.at_least));
        found.add(
            "hint",
            "slow-names",
            format!(
                "{} % of all queries took {} ms or more{most}",
                percent(page.slow, all),
                page.slow_milliseconds
            ),
            "look at the upstreams above, and let `cache` prefetch and serve stale answers",
        );
    }
    if let Some(row) =
        page.clients.first().filter(|row| percent(row.at_least, all) >= 50 && page.clients.len() > 2)
    {
        found.add(
            "hint",
            "one-client",
            format!("{} asks {} % of all queries", row.what, percent(row.at_least, all)),
            "`signpost tap --client` shows what it asks; a program that keeps no answers, or a search list, looks like this",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Row;

    /// A page of a server with nothing to find.
    fn page() -> TopPage {
        let row = |what: &str, count| Row { what: what.to_owned(), at_least: count, at_most: count };
        TopPage {
            version: String::new(),
            minutes: 60,
            seconds: 3600,
            queries: 10_000,
            nxdomain: 100,
            failed: 10,
            aaaa: 3000,
            aaaa_empty: 2000,
            slow: 20,
            slow_milliseconds: 100,
            search: 100,
            missed: 0,
            clients: vec![row("10.0.0.1", 4000), row("10.0.0.2", 3000), row("10.0.0.3", 3000)],
            names: Vec::new(),
            namespaces: Vec::new(),
            nxdomain_names: Vec::new(),
            slow_names: vec![row("slow.example.org.", 15)],
            search_namespaces: vec![row("shop", 100)],
        }
    }

    /// The codes of what is found after a change.
    fn codes(change: impl FnOnce(&mut TopPage)) -> Vec<&'static str> {
        let mut page = page();
        change(&mut page);
        let mut found = Findings::default();
        look(&page, &mut found);
        found.codes()
    }

    #[test]
    fn what_is_asked_in_vain_is_found_by_its_share() {
        assert_eq!(codes(|_| {}), [""; 0]);
        assert_eq!(codes(|page| page.search_namespaces[0].at_least = 500), ["search-namespace"]);
        assert_eq!(codes(|page| page.aaaa_empty = 3000), ["aaaa-empty"]);
        assert_eq!(codes(|page| page.failed = 200), ["failures"]);
        assert_eq!(codes(|page| page.slow = 200), ["slow-names"]);
        assert_eq!(codes(|page| page.clients[0].at_least = 5000), ["one-client"]);
        // Too few say nothing.
        assert_eq!(codes(|page| (page.queries, page.failed) = (900, 900)), [""; 0]);
    }
}
