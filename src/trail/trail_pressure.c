/* SPDX-License-Identifier: MIT
 * The state of the log as one small machine. What a commit asks is answered from atomic numbers;
 * the rest changes a few times a second at most, under a lock. */
#include "trail/trail_pressure.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/check.h"
#include "trail/trail_age.h"

enum {
    CARRY_PATIENCE_MS = 1000, /* a connection that is opened anew is no trouble */
    AHEAD_MS_MAX = 10000,     /* of the log's time: clocks that are looked after differ less */
};

struct trail_pressure {
    struct trail_pressure_options options;
    _Atomic int64_t admitted; /* events, since the start */
    _Atomic int64_t counted;  /* the outbox when it was counted last, less those admitted by then */
    _Atomic int64_t oldest_ns; /* 0: none waits */
    _Atomic uint64_t refused;
    _Atomic bool refusing;
    _Atomic bool turned_away;       /* somebody was, since it was looked after last */
    _Atomic int carried;            /* enum err */
    _Atomic int64_t carry_since_ns; /* since when it fails */
    _Atomic int64_t ahead_ns;       /* the log's time */
    struct trail_age age;           /* of who counts */
    pthread_mutex_t lock;           /* of what follows */
    enum err err;                   /* why there is trouble; ERR_OK: there is none */
    int64_t since_ns;
    int64_t noted_ns;      /* when it was looked after last */
    int64_t refusing_ns;   /* of this time of trouble */
    int64_t total_ns;      /* of those before */
    uint64_t refused_told; /* commits, of those before */
};

enum err trail_pressure_new(const struct trail_pressure_options *options,
                            struct trail_pressure **ret)
{
    struct trail_pressure *pressure = alloc_zero(sizeof(*pressure));

    PC_ASSERT(!options->apart || (options->waiting_max > 0 && options->wait_ns_max > 0));
    if (pressure == NULL)
        return ERR_NO_MEMORY;
    pressure->options = *options;
    if (pressure->options.clock == NULL)
        pressure->options.clock = &clock_system;
    PC_ASSERT(pthread_mutex_init(&pressure->lock, NULL) == 0);
    *ret = pressure;
    return ERR_OK;
}

void trail_pressure_free(struct trail_pressure *pressure)
{
    if (pressure == NULL)
        return;
    (void)pthread_mutex_destroy(&pressure->lock);
    alloc_free(pressure);
}

static int64_t now_of(const struct trail_pressure *pressure)
{
    return clock_realtime_ns(pressure->options.clock);
}

static void lock(struct trail_pressure *pressure)
{
    PC_ASSERT(pthread_mutex_lock(&pressure->lock) == 0);
}

static void unlock(struct trail_pressure *pressure)
{
    PC_ASSERT(pthread_mutex_unlock(&pressure->lock) == 0);
}

/* ---- the outbox ---- */

static size_t waiting_of(const struct trail_pressure *pressure)
{
    int64_t waiting = atomic_load(&pressure->counted) + atomic_load(&pressure->admitted);

    return waiting > 0 ? (size_t)waiting : 0;
}

static int64_t age_of(const struct trail_pressure *pressure, int64_t now_ns)
{
    int64_t oldest_ns = atomic_load(&pressure->oldest_ns);

    return oldest_ns != 0 && now_ns > oldest_ns ? now_ns - oldest_ns : 0;
}

/* One commit always finds room in an empty outbox, however many events it has. */
static bool is_past(const struct trail_pressure *pressure, size_t more, int64_t now_ns)
{
    size_t waiting = waiting_of(pressure);

    return (waiting > 0 && waiting + more > pressure->options.waiting_max) ||
           age_of(pressure, now_ns) > pressure->options.wait_ns_max;
}

/* Some way below the bounds, so that the outbox does not open for every event that leaves it. */
static bool is_eased(const struct trail_pressure *pressure, int64_t now_ns)
{
    const struct trail_pressure_options *options = &pressure->options;

    return waiting_of(pressure) <= options->waiting_max - (options->waiting_max + 9) / 10 &&
           age_of(pressure, now_ns) <= options->wait_ns_max - options->wait_ns_max / 10;
}

enum err trail_pressure_admit(struct trail_pressure *pressure, size_t count)
{
    if (atomic_load(&pressure->refusing) || is_past(pressure, count, now_of(pressure))) {
        atomic_fetch_add(&pressure->refused, 1);
        atomic_store(&pressure->turned_away, true);
        return ERR_AUDIT_BEHIND;
    }
    atomic_fetch_add(&pressure->admitted, (int64_t)count);
    return ERR_OK;
}

uint64_t trail_pressure_admitted(const struct trail_pressure *pressure)
{
    return (uint64_t)atomic_load(&pressure->admitted);
}

int64_t trail_pressure_oldest(struct trail_pressure *pressure, int64_t oldest, int64_t newest,
                              int64_t at_ns)
{
    int64_t now_ns = now_of(pressure);

    return now_ns - trail_age_look(&pressure->age, oldest, newest, now_ns - at_ns,
                                   clock_monotonic_ns(pressure->options.clock));
}

void trail_pressure_counted(struct trail_pressure *pressure, size_t waiting, int64_t oldest_ns,
                            uint64_t admitted)
{
    atomic_store(&pressure->counted, (int64_t)waiting - (int64_t)admitted);
    atomic_store(&pressure->oldest_ns, waiting > 0 ? oldest_ns : 0);
}

void trail_pressure_carried(struct trail_pressure *pressure, enum err err)
{
    if (err != ERR_OK && atomic_load(&pressure->carried) == ERR_OK)
        atomic_store(&pressure->carry_since_ns, now_of(pressure));
    atomic_store(&pressure->carried, (int)err);
}

static enum err carry_err(const struct trail_pressure *pressure, int64_t now_ns)
{
    int64_t since_ns = atomic_load(&pressure->carry_since_ns);

    if (now_ns - since_ns < CARRY_PATIENCE_MS * CLOCK_NS_PER_MS)
        return ERR_OK;
    return (enum err)atomic_load(&pressure->carried);
}

/* ---- the log's time ---- */

void trail_pressure_head(struct trail_pressure *pressure, int64_t at_ns)
{
    int64_t limit_ns = AHEAD_MS_MAX * CLOCK_NS_PER_MS;
    int64_t ahead_ns = at_ns - now_of(pressure);
    int64_t before_ns = atomic_exchange(&pressure->ahead_ns, ahead_ns > 0 ? ahead_ns : 0);

    if (ahead_ns > limit_ns && before_ns <= limit_ns)
        log_error(pressure->options.logger, "audit_time_ahead",
                  LOG_I64("ahead_ms", ahead_ns / CLOCK_NS_PER_MS));
    else if (ahead_ns <= limit_ns && before_ns > limit_ns)
        log_warn(pressure->options.logger, "audit_time_ahead_ended");
}

/* ---- times of trouble ---- */

/* An outbox that was full before this program started has been so since its oldest was late. */
static int64_t begin_of(const struct trail_pressure *pressure, enum err err, int64_t now_ns)
{
    int64_t oldest_ns = atomic_load(&pressure->oldest_ns);

    if (err != ERR_AUDIT_BEHIND || age_of(pressure, now_ns) <= pressure->options.wait_ns_max)
        return now_ns;
    return oldest_ns + pressure->options.wait_ns_max;
}

static void begin(struct trail_pressure *pressure, enum err err, int64_t now_ns)
{
    pressure->err = err;
    pressure->since_ns = begin_of(pressure, err, now_ns);
    pressure->refusing_ns = err == ERR_AUDIT_BEHIND ? now_ns - pressure->since_ns : 0;
    log_error(pressure->options.logger, "audit_pressure_began", LOG_ERR("error", err),
              LOG_U64("waiting", waiting_of(pressure)),
              LOG_I64("oldest_ms", age_of(pressure, now_ns) / CLOCK_NS_PER_MS));
}

/* That the outbox is full, or the store slow, is what a trouble looks like; what it comes of may
 * show itself later. */
static bool is_symptom(enum err err)
{
    return err == ERR_AUDIT_BEHIND || err == ERR_STORE_SLOW;
}

static bool refuses(struct trail_pressure *pressure, enum err err, int64_t now_ns)
{
    bool turned_away = atomic_exchange(&pressure->turned_away, false);

    if (!pressure->options.apart)
        return err != ERR_OK;
    if (is_past(pressure, 1, now_ns))
        return true;
    return (turned_away || atomic_load(&pressure->refusing)) && !is_eased(pressure, now_ns);
}

bool trail_pressure_note(struct trail_pressure *pressure, enum err err,
                         struct trail_pressure_time *ret)
{
    int64_t now_ns = now_of(pressure);
    bool refusing;
    bool over;

    lock(pressure);
    if (atomic_load(&pressure->refusing) && now_ns > pressure->noted_ns)
        pressure->refusing_ns += now_ns - pressure->noted_ns;
    pressure->noted_ns = now_ns;
    refusing = refuses(pressure, err, now_ns);
    if (err == ERR_OK)
        err = carry_err(pressure, now_ns);
    if (err == ERR_OK && refusing)
        err = ERR_AUDIT_BEHIND;
    if (err != ERR_OK && pressure->err == ERR_OK)
        begin(pressure, err, now_ns);
    else if (is_symptom(pressure->err) && err != ERR_OK && !is_symptom(err))
        pressure->err = err;
    atomic_store(&pressure->refusing, refusing);
    over = err == ERR_OK && pressure->err != ERR_OK;
    if (over)
        *ret = (struct trail_pressure_time){.err = pressure->err,
                                            .since_ns = pressure->since_ns,
                                            .until_ns = now_ns,
                                            .refusing_ns = pressure->refusing_ns,
                                            .refused = atomic_load(&pressure->refused) -
                                                       pressure->refused_told};
    unlock(pressure);
    return over;
}

void trail_pressure_told(struct trail_pressure *pressure)
{
    int64_t now_ns = now_of(pressure);

    lock(pressure);
    if (pressure->err != ERR_OK) {
        int64_t lasted_ns = now_ns > pressure->since_ns ? now_ns - pressure->since_ns : 0;

        log_warn(pressure->options.logger, "audit_pressure_ended", LOG_ERR("error", pressure->err),
                 LOG_I64("lasted_ms", lasted_ns / CLOCK_NS_PER_MS));
        pressure->total_ns += lasted_ns;
        pressure->refused_told = atomic_load(&pressure->refused);
        pressure->err = ERR_OK;
        pressure->since_ns = 0;
        pressure->refusing_ns = 0;
    }
    unlock(pressure);
}

void trail_pressure_read(struct trail_pressure *pressure, struct trail_pressure_state *ret)
{
    int64_t now_ns = now_of(pressure);

    lock(pressure);
    *ret = (struct trail_pressure_state){
        .err = pressure->err,
        .refusing = atomic_load(&pressure->refusing),
        .since_ns = pressure->since_ns,
        .waiting = waiting_of(pressure),
        .oldest_ns = atomic_load(&pressure->oldest_ns),
        .lag_ns = age_of(pressure, now_ns),
        .refused = atomic_load(&pressure->refused),
        .total_ns = pressure->total_ns,
        .ahead_ns = atomic_load(&pressure->ahead_ns),
    };
    if (pressure->err != ERR_OK && now_ns > pressure->since_ns)
        ret->total_ns += now_ns - pressure->since_ns;
    unlock(pressure);
}
