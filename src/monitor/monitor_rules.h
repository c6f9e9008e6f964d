/* SPDX-License-Identifier: MIT
 * What is wrong with a node, by what its report tells: the rules behind the alerts that the program
 * raises itself.
 *
 * Threads: pure.    Memory: the report's arena.    Source: README.md here, "Rules". */
#ifndef PC_MONITOR_MONITOR_RULES_H
#define PC_MONITOR_MONITOR_RULES_H

#include "monitor/monitor_report.h"

#define MONITOR_ALERT_MISSING "NodeMissing"

enum {
    MONITOR_FINDINGS_MAX = 64,
    MONITOR_EXPIRY_WARN_DAYS = 14,
    MONITOR_EXPIRY_CRITICAL_DAYS = 3,
    MONITOR_LAG_MS_MAX = 10000,    /* of checkpoints */
    MONITOR_OUTBOX_MS_MAX = 60000, /* of the way to the audit database */
    MONITOR_QUEUE_PERCENT = 80,
    MONITOR_MISSING_S = 15,
};

struct monitor_finding {
    const char *name;     /* label alertname: "BreakerOpen" */
    const char *severity; /* label severity: warning, critical */
    const char *label;    /* what it is about: a further label; NULL: the node */
    struct span value;
    struct span node; /* label node */
    struct span summary;
    unsigned looks; /* how often in a row it must be found */
};

struct monitor_findings {
    struct monitor_finding list[MONITOR_FINDINGS_MAX];
    size_t count;
    /* Nodes were watched for long enough to say who is missing. Before, an alert about one that
     * another node raised, or this one before it was started anew, is not over. */
    bool knows_nodes;
};

/* Adds what is wrong. What finds no place is dropped. */
void monitor_judge(const struct monitor_report *report, struct monitor_findings *findings);

/* A node that does not report any more. */
void monitor_judge_missing(const struct monitor_report *report, struct span node,
                           struct monitor_findings *findings);

/* Says how well each service is. */
void monitor_judge_services(struct monitor_report *report);

#endif
