/* SPDX-License-Identifier: MIT
 * For the tests of net_link.c: a server of one loop, a probe that owns a link and notes what it is
 * called for, and sockets that play the upstream. */
#ifndef PC_NET_LINK_KIT_H
#define PC_NET_LINK_KIT_H

#include "net/net_harness.h"
#include "net/net_link.h"
#include "net/net_priv.h"

enum {
    NET_KIT_SEND_BYTES = 16 * 1024,
    NET_KIT_PASS_MS_MIN = 40, /* two ticks of the wheel */
    NET_KIT_MANY_BYTES = 10 * 1024 * 1024,
};

struct net_kit_probe;
typedef void net_kit_act_fn(struct net_kit_probe *probe);

/* What it is called for. */
enum net_kit_call {
    NET_KIT_OPEN,
    NET_KIT_INPUT,
    NET_KIT_ROOM,
    NET_KIT_LATE,
    NET_KIT_ENDED,
    NET_KIT_LOST,
    NET_KIT_CALLS
};

struct net_kit_probe {
    struct net_link *link; /* loop thread; NULL: none, or dead */
    struct net_kit_probe *other;
    net_kit_act_fn *act[NET_KIT_CALLS]; /* what to do then; NULL: nothing */
    _Atomic int calls[NET_KIT_CALLS];
    _Atomic int64_t input;   /* bytes; each must be net_kit_byte of its place */
    _Atomic int64_t sent;    /* by net_kit_pump */
    _Atomic int64_t waiting; /* the most that had to wait */
    _Atomic enum err err;    /* of lost */
    _Atomic int error;
    enum err opened;       /* of net_kit_open */
    int64_t input_at_lost; /* what had been read then */
    int64_t connect_ms;
    bool goes_on; /* when the peer sends no more */
    bool quiet;   /* a function of the link is running: nothing may be called */
};

/* Once: what libuv opens for good is open. */
int net_kit_warm(void **state);
/* Setup and teardown of a test; the latter asserts that nothing is left open. */
int net_kit_start(void **state);
int net_kit_start_still(void **state); /* with a clock that net_kit_move moves */
int net_kit_stop(void **state);
void net_kit_stop_server(void);

struct net_server *net_kit_server(void);
struct net_loop *net_kit_loop(void);
void net_kit_move(int64_t ms);
/* Lets `ms` pass on the loop's clock and waits until every timer due by then has rung. */
void net_kit_pass(int64_t ms);
/* Runs on the loop and waits for it. */
void net_kit_run(struct net_kit_probe *probe, net_kit_act_fn *act);
void net_kit_wait(struct net_kit_probe *probe, enum net_kit_call call, int count);
void net_kit_wait_input(struct net_kit_probe *probe, int64_t bytes);
int64_t net_kit_metric(const char *line); /* "name{label} " and what follows it */
int net_kit_files(void);
int net_kit_polled(void); /* sockets that the loop waits for */

/* The upstream. net_kit_listen sets where net_kit_open opens to. */
int net_kit_listen(int family, int backlog); /* -1: this machine has no such family */
void net_kit_aim(int fd);                    /* at what this socket is bound to */
const struct sockaddr_storage *net_kit_aimed(void);
uint16_t net_kit_port(void);
int net_kit_own_end(uint16_t port); /* the link's socket to that port of this machine */
/* It takes a little at a time, so that room is there before all is sent. */
void net_kit_make_small(int own);
int net_kit_accept(int listener);
void net_kit_reset(int fd);                            /* closes it without a farewell */
void net_kit_say(int fd, int64_t from, int64_t bytes); /* net_kit_byte of each place */
void net_kit_hear(int fd, int64_t from, int64_t bytes);
char net_kit_byte(int64_t place);

/* What a probe may do, on the loop. */
void net_kit_open(struct net_kit_probe *probe); /* to where the last listener is */
void net_kit_close(struct net_kit_probe *probe);
void net_kit_pause(struct net_kit_probe *probe);
void net_kit_resume(struct net_kit_probe *probe);
void net_kit_shut(struct net_kit_probe *probe);
void net_kit_send(struct net_kit_probe *probe); /* 4 bytes */
void net_kit_pump(struct net_kit_probe *probe); /* what there is room for, of NET_KIT_MANY_BYTES */

/* An accepted socket behind an open link. */
int net_kit_connected(struct net_kit_probe *probe, int listener);

#endif
