/* SPDX-License-Identifier: MIT
 * Reads what the checks of tests/compliance wrote, and says of each control what that makes. */
#include "app/compliance.h"

#include <string.h>

#include "crypto/digest.h"
#include "json/json.h"

#define RESULTS_FORMAT "portcullis-compliance-results-1"

/* ---- reading ---- */

struct half {
    const char *name; /* of the member */
    const char *verdict;
    bool *green;
    struct span *told;
};

static bool half_read(const struct json_value *check, const struct half *half)
{
    const struct json_value *value = json_get(check, half->name);

    return json_to_bool(json_get(value, half->verdict), half->green) &&
           json_to_text(json_get(value, "told"), half->told);
}

static bool check_read(const struct json_value *value, struct compliance_check *ret)
{
    const struct half on = {"on", "green", &ret->on_green, &ret->on_told};
    const struct half off = {"off", "red", &ret->off_red, &ret->off_told};

    return json_to_text(json_get(value, "name"), &ret->name) &&
           json_to_text(json_get(value, "about"), &ret->about) && half_read(value, &on) &&
           half_read(value, &off) &&
           json_to_text(json_get(json_get(value, "off"), "how"), &ret->how);
}

static bool checks_read(const struct json_value *list, const char *name, FILE *tell,
                        struct arena *arena, struct compliance_results *ret)
{
    if (!json_is_list(list) || list->count > COMPLIANCE_CHECKS_MAX) {
        (void)fprintf(tell, "%s: \"checks\" must be a list of at most %d\n", name,
                      COMPLIANCE_CHECKS_MAX);
        return false;
    }
    ret->checks = arena_array(arena, list->count + 1, sizeof(*ret->checks));
    if (ret->checks == NULL)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        struct compliance_check *check = &ret->checks[i];

        if (!check_read(&list->items[i], check) ||
            compliance_check_find(ret, check->name) != NULL) {
            (void)fprintf(tell,
                          "%s: checks[%zu] is not in the form of a check, or is there twice\n",
                          name, i);
            return false;
        }
        ret->count++;
    }
    return true;
}

static bool head_read(const struct json_value *root, struct compliance_results *ret)
{
    struct span format;

    return json_to_text(json_get(root, "format"), &format) && span_is(format, RESULTS_FORMAT) &&
           json_to_text(json_get(root, "version"), &ret->version) &&
           json_to_text(json_get(root, "revision"), &ret->revision) &&
           json_to_text(json_get(root, "began_at"), &ret->began_at) &&
           json_to_text(json_get(root, "ended_at"), &ret->ended_at);
}

bool compliance_results_read(struct span text, const char *name, struct span revision, FILE *tell,
                             struct arena *arena, struct compliance_results *ret)
{
    struct sbuf hex = sbuf_over(ret->sha256, sizeof(ret->sha256));
    unsigned char digest[CRYPTO_SHA256_BYTES];
    const struct json_value *root = NULL;
    struct json_fault fault = {0};

    memset(ret, 0, sizeof(*ret));
    crypto_sha256(text, digest);
    sbuf_add_hex(&hex, digest, sizeof(digest));
    if (json_read(text, arena, &root, &fault) != ERR_OK) {
        (void)fprintf(tell, "%s:%zu:%zu: %s\n", name, fault.line, fault.column,
                      json_reason_text(fault.reason));
        return false;
    }
    if (!head_read(root, ret)) {
        (void)fprintf(tell, "%s: is not what tests/compliance/run writes (" RESULTS_FORMAT ")\n",
                      name);
        return false;
    }
    if (!checks_read(json_get(root, "checks"), name, tell, arena, ret))
        return false;
    ret->given = true;
    ret->fits = span_equal(ret->revision, revision);
    if (!ret->fits)
        (void)fprintf(tell, "%s: is of revision %.*s, this program is %.*s: nothing of it counts\n",
                      name, SPAN_ARG(ret->revision), SPAN_ARG(revision));
    return true;
}

/* ---- what it makes ---- */

const struct compliance_check *compliance_check_find(const struct compliance_results *results,
                                                     struct span name)
{
    for (size_t i = 0; i < results->count; i++)
        if (span_equal(results->checks[i].name, name))
            return &results->checks[i];
    return NULL;
}

enum compliance_state compliance_state_of(const struct compliance_results *results,
                                          const struct compliance_control *control)
{
    enum compliance_state state = COMPLIANCE_EVIDENCE;

    if (control->check_count == 0)
        return COMPLIANCE_MANUAL;
    if (!results->fits)
        return COMPLIANCE_MISSING;
    for (size_t i = 0; i < control->check_count; i++) {
        const struct compliance_check *check = compliance_check_find(results, control->checks[i]);

        if (check != NULL && !(check->on_green && check->off_red))
            return COMPLIANCE_FAILED;
        if (check == NULL)
            state = COMPLIANCE_MISSING;
    }
    return state;
}

const char *compliance_state_text(enum compliance_state state)
{
    static const char *const texts[] = {[COMPLIANCE_MISSING] = "no evidence",
                                        [COMPLIANCE_FAILED] = "check failed",
                                        [COMPLIANCE_MANUAL] = "for people to assess",
                                        [COMPLIANCE_EVIDENCE] = "evidence for"};

    return texts[state];
}

static size_t count_in(const struct compliance_report *report,
                       const struct compliance_framework *framework, enum compliance_state state)
{
    size_t count = 0;

    for (size_t i = 0; i < framework->count; i++)
        count += compliance_state_of(report->results, &framework->controls[i]) == state;
    return count;
}

size_t compliance_count(const struct compliance_report *report, enum compliance_state state)
{
    size_t count = 0;

    for (size_t i = 0; i < report->matrix->count; i++)
        count += count_in(report, &report->matrix->list[i], state);
    return count;
}

bool compliance_is_dirty(struct span revision)
{
    return span_ends(revision, SPAN_OF("-dirty"));
}

bool compliance_has_gaps(const struct compliance_report *report)
{
    return compliance_is_dirty(report->revision) || report->checkpoint.len == 0 ||
           compliance_count(report, COMPLIANCE_MISSING) > 0 ||
           compliance_count(report, COMPLIANCE_FAILED) > 0;
}

void compliance_summary(const struct compliance_report *report, struct sbuf *out)
{
    for (size_t i = 0; i < report->matrix->count; i++) {
        const struct compliance_framework *one = &report->matrix->list[i];
        size_t manual = count_in(report, one, COMPLIANCE_MANUAL);

        sbuf_add_format(out, "%.*s %.*s: evidence for %zu of %zu automated controls, %zu failed, ",
                        SPAN_ARG(one->name), SPAN_ARG(one->version),
                        count_in(report, one, COMPLIANCE_EVIDENCE), one->count - manual,
                        count_in(report, one, COMPLIANCE_FAILED));
        sbuf_add_format(out, "%zu without evidence; %zu for people alone\n",
                        count_in(report, one, COMPLIANCE_MISSING), manual);
    }
}
