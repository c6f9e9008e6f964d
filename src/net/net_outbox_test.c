/* SPDX-License-Identifier: MIT
 * The outbox alone: what is put in comes out once, whole and in order, and what does not fit is
 * said. The senders here note what they are told to post. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/sbuf.h"
#include "net/net_priv.h"

struct pen {
    struct net_sender sender;
    struct sbuf posted;
    char text[64];
    int posts;
    struct net_outbox *box; /* also writes when it posts; NULL: does not */
    bool took;
};

static void post(struct net_sender *sender, struct span bytes)
{
    struct pen *pen = PC_CONTAINER(sender, struct pen, sender);
    const struct span more = SPAN("!");

    pen->posts++;
    sbuf_add(&pen->posted, span_slice(bytes, 0, sizeof(pen->text)));
    if (pen->box != NULL)
        pen->took = net_outbox_put(pen->box, sender, &more, 1, 1);
}

static void pen_init(struct pen *pen)
{
    *pen = (struct pen){.sender = {.post = post}};
    pen->posted = sbuf_over(pen->text, sizeof(pen->text));
}

static bool put(struct net_outbox *box, struct pen *pen, const char *text)
{
    const struct span parts[] = {span_from(text), SPAN(""), SPAN(";")};

    return net_outbox_put(box, &pen->sender, parts, PC_COUNT(parts), strlen(text) + 1);
}

static bool has(const struct pen *pen, const char *text, int posts)
{
    return span_is(sbuf_span(&pen->posted), text) && pen->posts == posts && pen->sender.letter == 0;
}

static int box_new(void **state)
{
    static struct net_outbox box;

    memset(&box, 0, sizeof(box));
    *state = &box;
    return net_outbox_init(&box) == ERR_OK ? 0 : -1;
}

static int box_free(void **state)
{
    net_outbox_free(*state);
    return 0;
}

static void keeps_order_and_joins(void **state)
{
    struct net_outbox *box = *state;
    struct pen a;
    struct pen b;

    pen_init(&a);
    pen_init(&b);
    assert_true(put(box, &a, "one"));
    assert_true(put(box, &a, "two")); /* in the same letter */
    assert_true(put(box, &b, "three"));
    assert_int_equal(a.posts + b.posts, 0);
    assert_false(put(box, &a, "four")); /* another's letter is in between: it pushes first */
    net_outbox_push(box, &a.sender);
    assert_true(has(&a, "one;two;", 1));
    assert_true(put(box, &a, "four"));
    net_outbox_flush(box);
    assert_true(has(&a, "one;two;four;", 2));
    assert_true(has(&b, "three;", 1));
    net_outbox_flush(box);
    net_outbox_push(box, &b.sender);
    assert_true(has(&b, "three;", 1));
}

static void forgets(void **state)
{
    struct net_outbox *box = *state;
    struct pen gone;
    struct pen stays;

    pen_init(&gone);
    pen_init(&stays);
    assert_true(put(box, &gone, "never"));
    assert_true(put(box, &stays, "said"));
    net_outbox_forget(box, &gone.sender);
    net_outbox_forget(box, &gone.sender);
    net_outbox_flush(box);
    assert_true(has(&gone, "", 0));
    assert_true(has(&stays, "said;", 1));
}

/* Letters run out, then bytes; nothing of what was refused is sent, and room comes with a flush. */
static void is_bounded(void **state)
{
    static struct pen pens[NET_OUTBOX_LETTERS + 1];
    static const char much[NET_LETTER_BYTES_MAX + 1];
    struct net_outbox *box = *state;
    struct span part = span_make(much, NET_LETTER_BYTES_MAX);
    size_t taken = 0;

    for (size_t i = 0; i < PC_COUNT(pens); i++)
        pen_init(&pens[i]);
    for (size_t i = 0; i < NET_OUTBOX_LETTERS; i++)
        assert_true(put(box, &pens[i], "x"));
    assert_false(put(box, &pens[NET_OUTBOX_LETTERS], "x"));
    net_outbox_check(box); /* full: it is emptied */
    for (size_t i = 0; i < NET_OUTBOX_LETTERS; i++)
        assert_true(has(&pens[i], "x;", 1));
    assert_true(has(&pens[NET_OUTBOX_LETTERS], "", 0));

    while (net_outbox_put(box, &pens[taken].sender, &part, 1, part.len))
        taken++;
    assert_int_equal(taken, NET_OUTBOX_BYTES / NET_LETTER_BYTES_MAX);
    net_outbox_flush(box);
    part.len++;
    assert_false(net_outbox_put(box, &pens[0].sender, &part, 1, part.len));
}

/* Who writes while letters leave writes by itself, and so does everybody when the box is shut. */
static void takes_none_when_shut(void **state)
{
    struct net_outbox *box = *state;
    struct pen pen;

    pen_init(&pen);
    pen.box = box;
    pen.took = true;
    assert_true(put(box, &pen, "a"));
    net_outbox_flush(box);
    assert_false(pen.took);
    assert_true(has(&pen, "a;", 1));
    box->shut = true;
    assert_false(put(box, &pen, "b"));
    box->shut = false;
    pen.box = NULL;
    assert_true(put(box, &pen, "c"));
    net_outbox_flush(box);
    assert_true(has(&pen, "a;c;", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps_order_and_joins, box_new, box_free),
        cmocka_unit_test_setup_teardown(forgets, box_new, box_free),
        cmocka_unit_test_setup_teardown(is_bounded, box_new, box_free),
        cmocka_unit_test_setup_teardown(takes_none_when_shut, box_new, box_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
