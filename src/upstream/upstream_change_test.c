/* SPDX-License-Identifier: MIT
 * One upstream in place of another while requests are under way. */
#include "upstream/upstream_call_test_kit.h"

static struct upstream *entering, *leaving;
static _Atomic int changed;

static void change_task(struct net_task *task)
{
    struct net_loop *loop = net_server_loop(server, 0);

    (void)task;
    if (entering != NULL)
        upstream_loop_enter(entering, loop);
    if (leaving != NULL)
        upstream_loop_leave(leaving, loop);
    changed = 1;
}

/* `upstream` is another one from now on; gives the former. */
static struct upstream *change(struct upstream *to)
{
    struct net_task task = {.run = change_task};

    entering = to;
    leaving = upstream;
    upstream = to;
    changed = 0;
    net_loop_post(net_server_loop(server, 0), &task);
    wait_for(&changed);
    return leaving;
}

static void go_on_task(struct net_task *task)
{
    (void)task;
    changed = 1;
}

/* The last request of it is over; the loop may still be on its way back from that. */
static void drop(struct upstream *former)
{
    struct net_task task = {.run = go_on_task};

    changed = 0;
    net_loop_post(net_server_loop(server, 0), &task);
    wait_for(&changed);
    upstream_free(former);
}

/* With the target at listeners[at] only. */
static struct upstream *next(size_t at)
{
    const struct upstream_target target = {.url = at == 0 ? "http://one" : "http://two",
                                           .host = "h",
                                           .name = "127.0.0.1",
                                           .port = ports[at]};
    const struct upstream_options options = {
        .name = "test", .targets = &target, .target_count = 1, .former = upstream};
    struct upstream *made;
    const char *why;

    assert_int_equal(upstream_new(&options, &names, &made, &why), ERR_OK);
    return made;
}

static uint32_t in_flight(void)
{
    return upstream_target_state(upstream->picker, 0, clock_monotonic_ns(&clock_system)).in_flight;
}

/* A target that stays keeps its connections, those that carry a request too, and what is known of
 * it; one that goes is left when its last request is over. */
static void another_takes_its_place(void **state)
{
    static struct asker asker;
    struct upstream *former;
    int fd;

    (void)state;
    (void)change(next(0));
    begin(&asker, REQUEST);
    fd = take(listeners[0]);
    hear(fd, REQUEST);
    former = change(next(0));
    assert_int_equal(in_flight(), 1);
    say(fd, OK_ABC);
    answered(&asker, 200, "abc");
    assert_int_equal(in_flight(), 0);
    drop(former);
    begin(&asker, REQUEST);
    hear(fd, REQUEST);
    assert_false(is_readable(listeners[0], 0));
    former = change(next(1));
    say(fd, OK_ABC);
    answered(&asker, 200, "abc");
    hear_end(fd);
    drop(former);
    begin(&asker, REQUEST);
    fd = take(listeners[1]);
    hear(fd, REQUEST);
    say(fd, OK_ABC);
    answered(&asker, 200, "abc");
    drop(change(next(0)));
    hear_end(fd);
}

/* Who waits in the former's line is served, though nobody may come to it any more. */
static void who_waits_is_not_forgotten(void **state)
{
    static struct asker one, two;
    struct upstream *former;
    int fd, other;

    (void)state;
    make((struct upstream_options){.links_max = 1}, 1);
    former = upstream;
    upstream = NULL;
    (void)change(former);
    begin(&one, REQUEST);
    fd = take(listeners[0]);
    hear(fd, REQUEST);
    begin(&two, REQUEST);
    (void)change(next(0));
    say(fd, OK_ABC);
    answered(&one, 200, "abc");
    other = take(listeners[0]);
    hear(other, REQUEST);
    say(other, OK_ABC);
    answered(&two, 200, "abc");
    drop(former);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(another_takes_its_place),
        TEST(who_waits_is_not_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
