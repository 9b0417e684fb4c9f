//! Whether the gateway counted what its clients saw.

use forebay_telemetry::stats::Class;
use forebay_telemetry::summary::Summary;

use super::mix::Row;
use super::tally::{ByClass, Tally};

/// Counts of both sides, compared.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Agreement {
    /// Where the two differ and should not.
    pub(super) differences: Vec<Difference>,
    /// Connections to the gateway from others than the demo's clients. If there were any, its counts may be
    /// higher than the clients', and only lower ones are a difference.
    pub(super) visitors: u64,
}

/// A count of which clients and gateway have different opinions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) row: Row,
    pub(super) class: Class,
    pub(super) clients: u64,
    pub(super) gateway: u64,
}

impl Agreement {
    /// Compares each class of each row.
    pub(super) fn of(tally: &Tally, summary: &Summary) -> Self {
        let visitors = summary.connections.accepted.saturating_sub(tally.connections);
        let mut differences = Vec::new();
        for (row, seen) in Row::ALL.into_iter().zip(&tally.rows) {
            let counted = counted(summary, row);
            for class in Class::ALL {
                let (clients, gateway) = (seen.of_class(class), counted[class as usize]);
                let agree = if visitors > 0 { gateway >= clients } else { gateway == clients };
                if !agree {
                    differences.push(Difference { row, class, clients, gateway });
                }
            }
        }
        Self { differences, visitors }
    }

    /// Whether there is no difference.
    pub(super) fn is_complete(&self) -> bool {
        self.differences.is_empty()
    }
}

/// What the gateway counted for a row. Requests without a route are those of no route's.
fn counted(summary: &Summary, row: Row) -> ByClass {
    if row != Row::Nowhere {
        let route = summary.routes.iter().find(|route| &*route.name == row.label());
        return route.map_or_else(ByClass::default, |route| route.traffic.by_class);
    }
    let mut rest = summary.total.by_class;
    for route in &summary.routes {
        for (left, count) in rest.iter_mut().zip(route.traffic.by_class) {
            *left = left.saturating_sub(count);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use forebay_telemetry::summary::{Connections, RouteSummary, Traffic};

    use super::super::tally::Counters;
    use super::*;

    /// A client that saw these answers over one connection.
    fn tally(answers: &[(Row, u16)]) -> Tally {
        let mut counters = Counters::default();
        counters.count_connection();
        for (row, status) in answers {
            counters.count(*row, Some(*status), Duration::from_millis(1));
        }
        counters.read()
    }

    /// A gateway that gave these answers over so many connections.
    fn summary(connections: u64, answers: &[(Row, u16)]) -> Summary {
        let mut summary = Summary {
            connections: Connections { accepted: connections, ..Connections::default() },
            ..Summary::default()
        };
        for (row, status) in answers {
            let class = Class::of(*status) as usize;
            summary.total.by_class[class] += 1;
            if *row != Row::Nowhere {
                let mut traffic = Traffic::default();
                traffic.by_class[class] += 1;
                summary.routes.push(RouteSummary { name: row.label().into(), traffic });
            }
        }
        summary
    }

    const SEEN: &[(Row, u16)] = &[(Row::Shop, 200), (Row::Flaky, 502), (Row::Nowhere, 404)];

    #[test]
    fn the_same_counts_agree() {
        let agreement = Agreement::of(&tally(SEEN), &summary(1, SEEN));
        assert_eq!(agreement, Agreement::default());
        assert!(agreement.is_complete());
    }

    #[test]
    fn one_request_more_or_less_is_a_difference() {
        for (clients, gateway, expected) in [
            (SEEN, &SEEN[1..], (Row::Shop, Class::Success, 1, 0)),
            (&SEEN[1..], SEEN, (Row::Shop, Class::Success, 0, 1)),
            (SEEN, &SEEN[..2], (Row::Nowhere, Class::ClientError, 1, 0)),
        ] {
            let (row, class, clients_count, gateway_count) = expected;
            let found = Agreement::of(&tally(clients), &summary(1, gateway)).differences;
            assert_eq!(found, [Difference { row, class, clients: clients_count, gateway: gateway_count }]);
        }
    }

    #[test]
    fn a_request_in_the_wrong_class_is_two_differences() {
        let agreement = Agreement::of(&tally(&[(Row::Shop, 200)]), &summary(1, &[(Row::Shop, 500)]));
        assert_eq!(agreement.differences.len(), 2);
    }

    #[test]
    fn visitors_may_add_to_the_gateways_counts_but_not_take_away() {
        let more = [SEEN, &[(Row::Front, 302), (Row::Nowhere, 404)]].concat();
        let agreement = Agreement::of(&tally(SEEN), &summary(3, &more));
        assert_eq!((agreement.is_complete(), agreement.visitors), (true, 2));
        assert!(!Agreement::of(&tally(SEEN), &summary(3, &SEEN[1..])).is_complete());
    }
}
