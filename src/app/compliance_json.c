/* SPDX-License-Identifier: MIT
 * The report and the controls as JSON, for other programs. */
#include "app/compliance.h"

#include "json/json_writer.h"

static void control_write(struct json_writer *w, const struct compliance_control *control,
                          const struct compliance_report *report)
{
    json_begin_object(w);
    json_add_text(w, "id", control->id);
    json_add_text(w, "title", control->title);
    json_add_text(w, "claim", control->claim);
    json_add_text(w, "scope", control->scope);
    json_add_text(w, "manual", control->manual);
    if (report != NULL)
        json_add_text(
            w, "state",
            span_from(compliance_state_text(compliance_state_of(report->results, control))));
    json_key(w, "checks");
    json_begin_list(w);
    for (size_t i = 0; i < control->check_count; i++)
        json_text(w, control->checks[i]);
    json_end_list(w);
    json_end_object(w);
}

static void frameworks_write(struct json_writer *w, const struct compliance_matrix *matrix,
                             const struct compliance_report *report)
{
    json_key(w, "frameworks");
    json_begin_list(w);
    for (size_t i = 0; i < matrix->count; i++) {
        const struct compliance_framework *framework = &matrix->list[i];

        json_begin_object(w);
        json_add_text(w, "framework", framework->name);
        json_add_text(w, "version", framework->version);
        json_add_text(w, "file", framework->file);
        json_add_text(w, "sha256", span_from(framework->sha256));
        json_key(w, "controls");
        json_begin_list(w);
        for (size_t k = 0; k < framework->count; k++)
            control_write(w, &framework->controls[k], report);
        json_end_list(w);
        json_end_object(w);
    }
    json_end_list(w);
}

void compliance_matrix_json(const struct compliance_matrix *matrix, struct sbuf *out)
{
    struct json_writer w = json_writer_on(out);

    json_begin_object(&w);
    frameworks_write(&w, matrix, NULL);
    json_end_object(&w);
    sbuf_add_char(out, '\n');
}

static void program_write(struct json_writer *w, const struct compliance_report *report)
{
    json_key(w, "program");
    json_begin_object(w);
    json_add_text(w, "version", report->version);
    json_add_text(w, "revision", report->revision);
    json_add_bool(w, "uncommitted_changes", compliance_is_dirty(report->revision));
    json_end_object(w);
    json_add_text(w, "configuration_hash", span_from(report->configuration_hash));
    json_key(w, "checkpoint");
    if (report->checkpoint.len == 0) {
        json_null(w);
        json_add_text(w, "checkpoint_reason", span_from(report->checkpoint_reason));
        return;
    }
    json_begin_object(w);
    json_add_text(w, "note", report->checkpoint);
    json_add_bool(w, "signature_checked", report->checkpoint_signed);
    json_end_object(w);
}

static void results_write(struct json_writer *w, const struct compliance_results *results)
{
    json_key(w, "results");
    if (!results->given) {
        json_null(w);
        return;
    }
    json_begin_object(w);
    json_add_text(w, "version", results->version);
    json_add_text(w, "revision", results->revision);
    json_add_bool(w, "of_this_revision", results->fits);
    json_add_text(w, "began_at", results->began_at);
    json_add_text(w, "ended_at", results->ended_at);
    json_add_text(w, "sha256", span_from(results->sha256));
    json_key(w, "checks");
    json_begin_list(w);
    for (size_t i = 0; i < results->count; i++) {
        const struct compliance_check *check = &results->checks[i];

        json_begin_object(w);
        json_add_text(w, "name", check->name);
        json_add_text(w, "about", check->about);
        json_add_bool(w, "green_with_control", check->on_green);
        json_add_text(w, "told_with_control", check->on_told);
        json_add_bool(w, "red_without_control", check->off_red);
        json_add_text(w, "switched_off_by", check->how);
        json_add_text(w, "told_without_control", check->off_told);
        json_end_object(w);
    }
    json_end_list(w);
    json_end_object(w);
}

void compliance_json(const struct compliance_report *report, struct sbuf *out)
{
    struct json_writer w = json_writer_on(out);

    json_begin_object(&w);
    json_add_text(&w, "format", SPAN_OF("portcullis-compliance-report-1"));
    json_add_text(&w, "says",
                  SPAN_OF("Evidence for claims of this program. Whether an organisation meets a "
                          "framework is for its assessors."));
    json_add_time(&w, "made_at", report->made_at_ns);
    program_write(&w, report);
    json_add_u64(&w, "evidence_for", compliance_count(report, COMPLIANCE_EVIDENCE));
    json_add_u64(&w, "check_failed", compliance_count(report, COMPLIANCE_FAILED));
    json_add_u64(&w, "no_evidence", compliance_count(report, COMPLIANCE_MISSING));
    json_add_u64(&w, "for_people", compliance_count(report, COMPLIANCE_MANUAL));
    json_add_bool(&w, "gaps", compliance_has_gaps(report));
    frameworks_write(&w, report->matrix, report);
    results_write(&w, report->results);
    json_end_object(&w);
    sbuf_add_char(out, '\n');
}
