/* SPDX-License-Identifier: MIT
 * The logger against a file, a stuffed pipe, a full disk and a crowd: lines are whole, in order and
 * accounted for, and nobody waits. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/log_priv.h"
#include "base/metric.h"

enum { FLUSH_MS = 10000, READ_BYTES_MAX = 64 * 1024 * 1024 };

static char folder[] = "/tmp/portcullis_log_XXXXXX";
static char path[64];
static char moved_path[64];

static int folder_make(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/a.log", folder);
    (void)snprintf(moved_path, sizeof(moved_path), "%s/a.log.1", folder);
    return 0;
}

static int files_remove(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(moved_path);
    return 0;
}

static int folder_remove(void **state)
{
    (void)files_remove(state);
    return rmdir(folder);
}

static struct logger *opened(const struct log_options *options)
{
    struct logger *logger = NULL;

    assert_int_equal(log_open(options, &logger), ERR_OK);
    return logger;
}

/* The whole file; stands until the next call. */
static struct span file_text(const char *from)
{
    static char *text;
    size_t length = 0;
    ssize_t got;
    int fd = open(from, O_RDONLY);

    if (text == NULL)
        text = alloc_raw(READ_BYTES_MAX);
    assert_non_null(text);
    assert_true(fd >= 0);
    while ((got = read(fd, text + length, READ_BYTES_MAX - length)) > 0)
        length += (size_t)got;
    (void)close(fd);
    return span_make(text, length);
}

static struct log_stats stats_of(const struct logger *logger)
{
    struct log_stats stats;

    log_stats(logger, &stats);
    return stats;
}

/* A busy machine may take its time: waits for one of the counts to get that far, 10 s at most. */
static void wait_stats(struct logger *logger, struct log_stats least)
{
    for (int i = 0; i < 10000; i++) {
        struct log_stats now = stats_of(logger);

        if (now.lines_dropped >= least.lines_dropped && now.write_errors >= least.write_errors &&
            now.bytes_written >= least.bytes_written)
            return;
        (void)usleep(1000);
    }
    fail_msg("the counts did not move");
}

static void events_are_json_with_typed_fields(void **state)
{
    struct clock_fake fake;
    struct logger *logger;

    (void)state;
    clock_fake_init(&fake, 1770091506 * CLOCK_NS_PER_S + 789 * CLOCK_NS_PER_MS);
    logger = opened(&(struct log_options){.path = path, .clock = &fake.clock});
    log_info(logger, "started");
    log_warn(logger, "all\"kinds", LOG_TEXT("text", SPAN_OF("a\"\n\x01\xFF")),
             LOG_U64("u", UINT64_MAX), LOG_I64("i", INT64_MIN), LOG_BOOL("b", true),
             LOG_ERR("error", ERR_NOT_FOUND), LOG_MS("took_ms", 1234567), LOG_MS("neg", -1500),
             LOG_JSON("j", SPAN_OF("[1]")), LOG_STRING("none", NULL));
    log_line(logger, SPAN_OF("{\"event\":\"http_request\"}"));
    log_close(logger);
    assert_true(span_is(
        file_text(path),
        "{\"ts\":\"2026-02-03T04:05:06.789Z\",\"level\":\"info\",\"event\":\"started\"}\n"
        "{\"ts\":\"2026-02-03T04:05:06.789Z\",\"level\":\"warn\",\"event\":\"all\\\"kinds\","
        "\"text\":\"a\\\"\\n\\u0001\\ufffd\",\"u\":18446744073709551615,"
        "\"i\":-9223372036854775808,\"b\":true,\"error\":\"ERR_NOT_FOUND\","
        "\"took_ms\":1.234,\"neg\":-0.001,\"j\":[1],\"none\":\"\"}\n"
        "{\"event\":\"http_request\"}\n"));
}

static void texts_hold_no_card_data(void **state)
{
    struct logger *logger;
    struct span text;

    (void)state;
    logger = opened(&(struct log_options){.path = path});
    log_info(logger, "refused", LOG_TEXT("what", SPAN_OF("\"4111 1111 1111 1111\"\n, cvv 123")),
             LOG_U64("id", 4111111111111111));
    log_close(logger);
    text = file_text(path);
    assert_true(span_ends(text, SPAN_OF("\"what\":\"\\\"**** **** **** 1111\\\"\\n, cvv ***\","
                                        "\"id\":4111111111111111}\n")));
}

static void levels_below_the_chosen_are_silent(void **state)
{
    struct logger *logger = opened(&(struct log_options){.path = path, .level = LOG_WARN});

    (void)state;
    assert_false(log_enabled(logger, LOG_INFO));
    assert_true(log_enabled(logger, LOG_WARN));
    log_info(logger, "quiet");
    log_debug(logger, "quiet");
    log_error(logger, "loud");
    assert_true(log_flush(logger, FLUSH_MS));
    assert_true(span_ends(file_text(path), SPAN_OF("\"level\":\"error\",\"event\":\"loud\"}\n")));
    assert_int_equal(span_find(file_text(path), '\n'), file_text(path).len - 1);
    log_close(logger);
}

static void absent_logger_is_silent(void **state)
{
    (void)state;
    log_error(NULL, "x", LOG_U64("y", 1));
    log_line(NULL, SPAN_OF("{}"));
    log_reopen(NULL);
    assert_true(log_flush(NULL, 0));
    assert_false(log_enabled(NULL, LOG_ERROR));
    assert_int_equal(stats_of(NULL).lines_dropped, 0);
    assert_int_equal(log_metrics(NULL, NULL), ERR_OK);
    log_close(NULL);
}

/* What does not fit is left out whole, and the line says so. */
static void long_events_are_cut_and_stay_json(void **state)
{
    static char big[LIMIT_LOG_LINE_BYTES_MAX];
    struct logger *logger = opened(&(struct log_options){.path = path});
    struct span text;

    (void)state;
    memset(big, 'x', sizeof(big));
    log_info(logger, "long", LOG_TEXT("big", span_make(big, sizeof(big))), LOG_U64("small", 7));
    log_info(logger, "most", LOG_TEXT("big", span_make(big, sizeof(big) - 120)));
    log_line(logger, span_make(big, sizeof(big)));
    log_line(logger, span_make(big, sizeof(big) - 1));
    assert_true(log_flush(logger, FLUSH_MS));
    text = file_text(path);
    assert_true(span_ends(span_slice(text, 0, span_find(text, '\n')),
                          SPAN_OF("\"event\":\"long\",\"small\":7,\"truncated\":true}")));
    text = span_slice(text, span_find(text, '\n') + 1, text.len);
    assert_true(span_ends(span_slice(text, 0, span_find(text, '\n')), SPAN_OF("xxx\"}")));
    assert_int_equal(stats_of(logger).lines_dropped, 1);
    log_close(logger);
}

struct writer {
    struct logger *logger;
    unsigned number;
    unsigned lines;
};

/* Each line carries its thread and its number, and a filler of changing length. */
static void *write_many(void *context)
{
    struct writer *writer = context;

    for (unsigned i = 0; i < writer->lines; i++) {
        char text[128];
        int length = snprintf(text, sizeof(text), "%u %u %.*s.", writer->number, i, (int)(i % 90),
                              "-----------------------------------------------------------------"
                              "-------------------------");

        log_line(writer->logger, span_make(text, (size_t)length));
    }
    return NULL;
}

/* Every line whole, each thread's in order. Returns how many there are. */
static uint64_t lines_checked(struct span text, unsigned threads)
{
    int64_t last[100];
    uint64_t lines = 0;
    struct span line;

    assert_true(threads <= PC_COUNT(last));
    memset(last, -1, sizeof(last));
    assert_true(text.len == 0 || text.ptr[text.len - 1] == '\n');
    while (text.len > 0 && span_cut(&text, '\n', &line)) {
        struct span word;
        uint64_t thread = UINT64_MAX;
        uint64_t number = 0;

        if (line.ptr[0] == '{')
            continue; /* "log_lines_dropped" */
        assert_true(span_cut(&line, ' ', &word) && span_to_u64(word, &thread));
        assert_true(span_cut(&line, ' ', &word) && span_to_u64(word, &number));
        assert_true(thread < threads);
        assert_true((int64_t)number > last[thread]);
        assert_int_equal(line.len, number % 90 + 1);
        assert_int_equal(span_find(line, '.'), line.len - 1);
        last[thread] = (int64_t)number;
        lines++;
    }
    return lines;
}

static void crowd_writes(struct logger *logger, unsigned threads, unsigned lines)
{
    pthread_t ids[100];
    struct writer writers[100];

    for (unsigned i = 0; i < threads; i++) {
        writers[i] = (struct writer){.logger = logger, .number = i, .lines = lines};
        assert_int_equal(pthread_create(&ids[i], NULL, write_many, &writers[i]), 0);
    }
    for (unsigned i = 0; i < threads; i++)
        assert_int_equal(pthread_join(ids[i], NULL), 0);
}

/* More threads than slots, small rings: what is not in the file was counted as dropped. So is a
 * report of dropped lines that finds no room itself. */
static void lines_of_a_crowd_stay_whole_and_in_order(void **state)
{
    struct logger *logger = opened(&(struct log_options){.path = path, .ring_bytes = 16384});
    uint64_t dropped;

    (void)state;
    crowd_writes(logger, 80, 3000);
    assert_true(log_flush(logger, FLUSH_MS));
    dropped = stats_of(logger).lines_dropped;
    log_close(logger);
    assert_in_range(lines_checked(file_text(path), 80) + dropped, 80 * 3000, 80 * 3000 + 50);
}

/* A pipe that nobody reads: nobody waits, the rest is dropped, and closing gives up in time. */
static void stuffed_pipe_blocks_nobody(void **state)
{
    struct logger *logger;
    int64_t begin_ns;
    static char text[1 << 20];
    size_t length = 0;
    ssize_t got;
    int fd;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    fd = open(path, O_RDWR | O_NONBLOCK);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_SETPIPE_SZ, 4096) > 0);
    logger = opened(&(struct log_options){.path = path, .ring_bytes = 32768});
    crowd_writes(logger, 4, 5000);
    wait_stats(logger, (struct log_stats){.lines_dropped = 1000, .bytes_written = 1});
    assert_false(log_flush(logger, 50));
    assert_int_equal(stats_of(logger).write_errors, 0);

    begin_ns = clock_monotonic_ns(&clock_system);
    log_close(logger);
    assert_true(clock_monotonic_ns(&clock_system) - begin_ns < 5 * CLOCK_NS_PER_S);
    while ((got = read(fd, text + length, sizeof(text) - length)) > 0)
        length += (size_t)got;
    while (length > 0 && text[length - 1] != '\n')
        length--;
    assert_true(lines_checked(span_make(text, length), 4) > 0);
    (void)close(fd);
}

/* When the reader comes back, the log says how many lines it lacks. */
static void dropped_lines_are_reported_in_the_log(void **state)
{
    struct logger *logger;
    static char text[1 << 20];
    size_t length = 0;
    int fd;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    fd = open(path, O_RDWR | O_NONBLOCK);
    logger = opened(&(struct log_options){.path = path, .ring_bytes = 32768});
    crowd_writes(logger, 2, 8000);
    assert_true(stats_of(logger).lines_dropped > 0);
    for (int i = 0; i < 1000 && memmem(text, length, "log_lines_dropped", 17) == NULL; i++) {
        ssize_t got = read(fd, text + length, sizeof(text) - length);

        length += got > 0 ? (size_t)got : 0;
        (void)log_flush(logger, 10);
    }
    assert_non_null(memmem(text, length, "\"event\":\"log_lines_dropped\",\"lines\":", 36));
    log_close(logger);
    (void)close(fd);
}

/* The disk is full in the middle of a line and has room again later: the line goes on where it
 * stopped, and nothing that was taken in is lost. */
static void full_disk_is_survived_without_a_torn_line(void **state)
{
    struct rlimit old, tight;
    struct logger *logger;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = (struct rlimit){.rlim_cur = 1001, .rlim_max = old.rlim_max};
    logger = opened(&(struct log_options){.path = path});
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    crowd_writes(logger, 3, 100);
    wait_stats(logger, (struct log_stats){.write_errors = 1});
    assert_int_equal(file_text(path).len, 1001);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    log_close(logger);
    assert_int_equal(lines_checked(file_text(path), 3), 300);
}

/* The old file ends in a torn line that could not be finished; the new one begins with a whole. */
static void rotation_while_full_begins_with_a_whole_line(void **state)
{
    struct rlimit old, tight;
    struct logger *logger;
    uint64_t dropped;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = (struct rlimit){.rlim_cur = 1001, .rlim_max = old.rlim_max};
    logger = opened(&(struct log_options){.path = path});
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    write_many(&(struct writer){.logger = logger, .lines = 100});
    wait_stats(logger, (struct log_stats){.write_errors = 1});
    assert_int_equal(rename(path, moved_path), 0);
    log_reopen(logger);
    wait_stats(logger, (struct log_stats){.lines_dropped = 1});
    dropped = stats_of(logger).lines_dropped;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    log_close(logger);
    assert_int_equal(dropped, 1);
    assert_true(lines_checked(file_text(path), 1) > 50);
    assert_int_equal(file_text(moved_path).len, 1001);
}

static void reopening_follows_a_rotation(void **state)
{
    struct logger *logger = opened(&(struct log_options){.path = path});

    (void)state;
    log_line(logger, SPAN_OF("old"));
    assert_true(log_flush(logger, FLUSH_MS));
    assert_int_equal(rename(path, moved_path), 0);
    log_line(logger, SPAN_OF("still old"));
    assert_true(log_flush(logger, FLUSH_MS));
    log_reopen(logger);
    while (access(path, F_OK) != 0)
        (void)log_flush(logger, 1);
    log_line(logger, SPAN_OF("new"));
    log_close(logger);
    assert_true(span_is(file_text(moved_path), "old\nstill old\n"));
    assert_true(span_is(file_text(path), "new\n"));
}

static void bad_path_is_refused(void **state)
{
    struct logger *logger = NULL;

    (void)state;
    assert_int_equal(log_open(&(struct log_options){.path = "/nonexistent/x"}, &logger), ERR_IO);
    assert_null(logger);
}

/* How often this task went to sleep so far, if it is the writer; else 0. */
static uint64_t writer_sleeps_of(const char *task)
{
    char name[300];
    char line[128];
    uint64_t sleeps = 0;
    bool is_writer = false;
    FILE *file;

    (void)snprintf(name, sizeof(name), "/proc/self/task/%s/status", task);
    file = fopen(name, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        is_writer = is_writer || strcmp(line, "Name:\tlog\n") == 0;
        if (is_writer && span_starts(span_from(line), SPAN_OF("voluntary_ctxt_switches:\t")))
            assert_true(span_to_u64(span_slice(span_from(line), 25, strlen(line) - 1), &sleeps));
    }
    if (file != NULL)
        (void)fclose(file);
    return sleeps;
}

static uint64_t writer_sleeps(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    uint64_t sleeps = 0;

    assert_non_null(tasks);
    while ((task = readdir(tasks)) != NULL)
        sleeps += writer_sleeps_of(task->d_name);
    (void)closedir(tasks);
    return sleeps;
}

/* Ten chances to find it asleep for 200 ms, which is ten times as long as it gathers. */
static void idle_logger_never_wakes(void **state)
{
    struct logger *logger = opened(&(struct log_options){.path = path});
    uint64_t before = 0;
    uint64_t after = 1;

    (void)state;
    log_line(logger, SPAN_OF("x"));
    assert_true(log_flush(logger, FLUSH_MS));
    for (int i = 0; i < 10 && before != after; i++) {
        before = writer_sleeps();
        (void)usleep(200000);
        after = writer_sleeps();
    }
    assert_true(before > 0);
    assert_int_equal(before, after);
    log_close(logger);
}

static void counts_reach_the_metrics(void **state)
{
    static char big[LIMIT_LOG_LINE_BYTES_MAX];
    struct logger *logger = opened(&(struct log_options){.path = path});
    char text[1024];
    struct sbuf out = sbuf_over(text, sizeof(text) - 1);
    struct metrics *metrics;

    (void)state;
    assert_int_equal(metrics_new(&metrics), ERR_OK);
    assert_int_equal(log_metrics(logger, metrics), ERR_OK);
    memset(big, 'x', sizeof(big));
    log_line(logger, span_make(big, sizeof(big)));
    metric_render(metrics, &out);
    text[out.len] = '\0';
    assert_non_null(strstr(text, "\nportcullis_log_dropped_total 1\n"));
    assert_non_null(strstr(text, "\nportcullis_log_write_errors_total 0\n"));
    metrics_free(metrics);
    log_close(logger);
}

/* No memory at opening is an error; no memory for a ring drops the line and counts it. */
static void failing_heap_is_survived(void **state)
{
    struct logger *logger = NULL;
    struct span text;

    (void)state;
    for (uint64_t nth = 1; nth <= 2; nth++) {
        alloc_fail_at(nth);
        assert_int_equal(log_open(&(struct log_options){.path = path}, &logger), ERR_NO_MEMORY);
    }
    logger = opened(&(struct log_options){.path = path});
    alloc_fail_at(1);
    log_line(logger, SPAN_OF("lost"));
    assert_false(alloc_fail_pending());
    assert_int_equal(stats_of(logger).lines_dropped, 1);
    log_line(logger, SPAN_OF("kept"));
    log_close(logger);
    text = file_text(path);
    assert_true(text.ptr != NULL && memmem(text.ptr, text.len, "kept\n", 5) != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(events_are_json_with_typed_fields, files_remove),
        cmocka_unit_test_teardown(texts_hold_no_card_data, files_remove),
        cmocka_unit_test_teardown(levels_below_the_chosen_are_silent, files_remove),
        cmocka_unit_test(absent_logger_is_silent),
        cmocka_unit_test_teardown(long_events_are_cut_and_stay_json, files_remove),
        cmocka_unit_test_teardown(lines_of_a_crowd_stay_whole_and_in_order, files_remove),
        cmocka_unit_test_teardown(stuffed_pipe_blocks_nobody, files_remove),
        cmocka_unit_test_teardown(dropped_lines_are_reported_in_the_log, files_remove),
        cmocka_unit_test_teardown(full_disk_is_survived_without_a_torn_line, files_remove),
        cmocka_unit_test_teardown(rotation_while_full_begins_with_a_whole_line, files_remove),
        cmocka_unit_test_teardown(reopening_follows_a_rotation, files_remove),
        cmocka_unit_test(bad_path_is_refused),
        cmocka_unit_test_teardown(idle_logger_never_wakes, files_remove),
        cmocka_unit_test_teardown(counts_reach_the_metrics, files_remove),
        cmocka_unit_test_teardown(failing_heap_is_survived, files_remove),
    };

    (void)signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
