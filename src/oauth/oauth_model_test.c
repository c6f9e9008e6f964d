/* SPDX-License-Identifier: MIT
 * Random lives of grants, played against the issuer and against a model of two dozen lines at the
 * same time: issue, refresh, repeat, steal, give back, shut out, wait. Whatever comes, both must
 * say the same of every token. PORTCULLIS_TEST_SEED chooses another set of lives. */
#include "oauth/oauth_site_test_kit.h"

enum { LIVES = 6, STEPS = 160, GRANTS_MAX = 64, TOKENS_MAX = 256 };

/* ---- the model --------------------------------------------------------------------------------
 */

struct grant {
    const char *client;
    bool over;
    int64_t until_s;
};

struct refresh {
    struct grant *grant;
    struct span text;
    int64_t until_s;
    bool used;
    int64_t grace_s;   /* until then */
    struct span reply; /* what it was answered */
};

struct access {
    struct grant *grant;
    struct span text;
    int64_t until_s;
    bool revoked;
};

static struct {
    struct grant grants[GRANTS_MAX];
    struct refresh refreshes[TOKENS_MAX];
    struct access accesses[TOKENS_MAX];
    size_t grant_count, refresh_count, access_count;
    bool user_off, client_off[2];
    struct random_seeded chance;
} model;

static const char *const clients[2] = {"spa", "web"};

static int64_t now_s(void)
{
    return clock_realtime_s(&site.clock.clock);
}

static size_t client_index(const char *client)
{
    return strcmp(client, clients[1]) == 0 ? 1 : 0;
}

static bool is_over(const struct grant *grant)
{
    return grant->over || grant->until_s <= now_s();
}

static void end_all(const char *client)
{
    for (size_t i = 0; i < model.grant_count; i++)
        if (client == NULL || strcmp(model.grants[i].client, client) == 0)
            model.grants[i].over = true;
}

static bool may_come_in(const char *client)
{
    return !model.client_off[client_index(client)];
}

static struct refresh *add_refresh(struct grant *grant, struct span text)
{
    struct refresh *refresh = &model.refreshes[model.refresh_count++];

    assert_int_equal(text.len, OAUTH_TOKEN_TEXT_BYTES);
    *refresh = (struct refresh){.grant = grant, .text = text, .until_s = now_s() + REFRESH_S};
    grant->until_s = now_s() + REFRESH_S;
    return refresh;
}

static void add_access(struct grant *grant, struct span text)
{
    assert_true(text.len > 0);
    model.accesses[model.access_count++] =
        (struct access){.grant = grant, .text = text, .until_s = now_s() + ACCESS_S + LEEWAY_S};
}

/* ---- chance -----------------------------------------------------------------------------------
 */

static size_t pick(size_t count)
{
    uint64_t number;

    random_fill(&model.chance.source, &number, sizeof(number));
    return (size_t)(number % count);
}

/* Of the youngest half the time, or nothing would be alive. */
static size_t pick_recent(size_t count)
{
    size_t recent = count < 6 ? count : 6;

    return pick(2) == 0 ? count - 1 - pick(recent) : pick(count);
}

static bool has_room(void)
{
    return model.grant_count < GRANTS_MAX && model.refresh_count < TOKENS_MAX &&
           model.access_count < TOKENS_MAX;
}

/* ---- steps, each with what the model expects --------------------------------------------------
 */

static void step_issue(void)
{
    const char *client = clients[pick(2)];
    struct site_code code;
    int status;

    if (!has_room() || model.user_off)
        return;
    code = site_code(client, "accounts:read");
    status = site_exchange(code.text, client, NULL, NULL);
    if (!may_come_in(client)) {
        assert_refusal(status, "invalid_client");
        return;
    }
    assert_int_equal(status, 200);
    model.grants[model.grant_count] = (struct grant){.client = client};
    add_access(&model.grants[model.grant_count], site_said("access_token"));
    (void)add_refresh(&model.grants[model.grant_count++], site_said("refresh_token"));
}

static void expect_next(struct refresh *refresh, int status)
{
    assert_int_equal(status, 200);
    refresh->used = true;
    refresh->grace_s = now_s() + GRACE_S;
    refresh->reply = arena_copy(&bench.arena, site_body());
    add_access(refresh->grant, site_said("access_token"));
    (void)add_refresh(refresh->grant, site_said("refresh_token"));
}

static void step_refresh(void)
{
    struct refresh *refresh;
    const char *client;
    int status;

    if (!has_room() || model.refresh_count == 0)
        return;
    refresh = &model.refreshes[pick_recent(model.refresh_count)];
    client = pick(6) == 0 ? clients[pick(2)] : refresh->grant->client;
    status = site_refresh(refresh->text, client, "");
    if (!may_come_in(client)) {
        assert_refusal(status, "invalid_client");
    } else if (client != refresh->grant->client || is_over(refresh->grant) ||
               (!refresh->used && refresh->until_s <= now_s())) {
        assert_refusal(status, "invalid_grant");
    } else if (refresh->used && now_s() < refresh->grace_s) {
        assert_int_equal(status, 200);
        assert_true(span_equal(site_body(), refresh->reply));
    } else if (refresh->used) {
        assert_refusal(status, "invalid_grant");
        refresh->grant->over = true;
    } else {
        expect_next(refresh, status);
    }
}

static void give_back(struct span token, const char *client)
{
    char form[4096];
    int status;

    (void)snprintf(form, sizeof(form), "client_id=%s%s&token=%.*s", client,
                   client_index(client) == 0 ? "" : "&client_secret=" SECRET, SPAN_ARG(token));
    status = site_form("/auth/revoke", "", form);
    if (may_come_in(client))
        assert_int_equal(status, 200);
    else
        assert_refusal(status, "invalid_client");
}

static void step_revoke_refresh(void)
{
    struct refresh *refresh;
    const char *client;

    if (model.refresh_count == 0)
        return;
    refresh = &model.refreshes[pick_recent(model.refresh_count)];
    client = clients[pick(2)];
    give_back(refresh->text, client);
    if (may_come_in(client) && client == refresh->grant->client)
        refresh->grant->over = true;
}

static void step_revoke_access(void)
{
    struct access *access;
    const char *client;

    if (model.access_count == 0)
        return;
    access = &model.accesses[pick_recent(model.access_count)];
    client = clients[pick(2)];
    give_back(access->text, client);
    if (may_come_in(client) && client == access->grant->client)
        access->revoked = true;
}

static void step_look(void)
{
    const struct access *access;
    bool live;

    if (model.access_count == 0)
        return;
    access = &model.accesses[pick_recent(model.access_count)];
    live = !access->revoked && !access->grant->over && now_s() < access->until_s;
    assert_int_equal(site_get("/whoami", access->text), live ? 200 : 401);
}

struct change {
    const char *client_id;
    bool active;
};

static enum err client_steps(struct store_conn *conn, void *context)
{
    const struct change *change = context;

    return oauth_client_set_active(conn, span_from(change->client_id), change->active,
                                   clock_realtime_ns(&site.clock.clock));
}

static void step_client(void)
{
    size_t which = pick(2);
    struct change change = {.client_id = clients[which], .active = model.client_off[which]};

    if (change.active && pick(2) == 0)
        return;
    assert_int_equal(writing(bench.store, client_steps, &change), ERR_OK);
    site_hear_of_changes();
    model.client_off[which] = !change.active;
    if (!change.active)
        end_all(clients[which]);
    site_later(2); /* a token tells its birth in whole seconds */
}

static enum err user_steps(struct store_conn *conn, void *context)
{
    const struct change *change = context;
    const struct auth_user_change what = {.is_active = change->active, .sets_active = true};
    struct auth_user user;

    return auth_user_update(conn, site.user_id, &what, clock_realtime_ns(&site.clock.clock),
                            &bench.arena, &user);
}

static void step_user(void)
{
    struct change change = {.active = model.user_off};

    assert_int_equal(writing(bench.store, user_steps, &change), ERR_OK);
    site_hear_of_changes();
    model.user_off = !change.active;
    if (!change.active)
        end_all(NULL);
}

static void step_wait(void)
{
    static const int64_t seconds[] = {1, 1, 3, 3, 9, 10, 11, 60, ACCESS_S, REFRESH_S / 2};

    site_later(seconds[pick(PC_COUNT(seconds))]);
    site_hear_of_changes();
}

/* How often each comes, of a hundred. */
static const struct {
    void (*run)(void);
    size_t weight;
} steps[] = {{step_issue, 18},         {step_refresh, 34},      {step_look, 20},  {step_wait, 16},
             {step_revoke_refresh, 3}, {step_revoke_access, 4}, {step_client, 3}, {step_user, 2}};

static void step(void)
{
    size_t at = pick(100);
    size_t i = 0;

    while (at >= steps[i].weight)
        at -= steps[i++].weight;
    steps[i].run();
}

/* In the end every token is asked about once more. */
static void look_at_all(void)
{
    for (size_t i = 0; i < model.access_count; i++) {
        const struct access *access = &model.accesses[i];
        bool live = !access->revoked && !access->grant->over && now_s() < access->until_s;

        if (site_get("/whoami", access->text) != (live ? 200 : 401))
            fail_msg("access token %zu is %s", i, live ? "dead" : "alive");
    }
}

static void issuer_and_model_agree(void **state)
{
    static uint64_t life;
    const char *chosen = getenv("PORTCULLIS_TEST_SEED");
    uint64_t seed = 1;

    (void)state;
    if (chosen != NULL && !span_to_u64(span_from(chosen), &seed))
        fail_msg("PORTCULLIS_TEST_SEED is no number");
    memset(&model, 0, sizeof(model));
    random_seeded_init(&model.chance, seed * 1000 + life++);
    for (int i = 0; i < STEPS; i++)
        step();
    look_at_all();
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[LIVES] = {
        T(issuer_and_model_agree), T(issuer_and_model_agree), T(issuer_and_model_agree),
        T(issuer_and_model_agree), T(issuer_and_model_agree), T(issuer_and_model_agree),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_model", tests, make_keys, free_keys);
}
