/* SPDX-License-Identifier: MIT
 * For the tests of HTTP/2: a client of frames made by hand, so that it can say what no client
 * should. Answers are read into one place; what goes wrong fails the test. */
#ifndef PC_NET_HTTP2_CLIENT_H
#define PC_NET_HTTP2_CLIENT_H

#include <nghttp2/nghttp2.h>

#include "net/net_harness.h"

enum {
    HTTP2_FRAME_BYTES_MAX = 16384,
    HTTP2_ANSWERS_MAX = 512, /* stream ids below twice this */
    HTTP2_BODY_BYTES_MAX = 4 * 1024 * 1024,
};

/* What came for one stream. */
struct net_http2_answer {
    int status;      /* of the last HEADERS; 0: none */
    int informed;    /* of a 1xx before it */
    uint64_t bytes;  /* of the body */
    uint64_t fields; /* bytes of names and values of the heads */
    uint32_t sum;    /* of the body's bytes */
    char text[64];   /* the beginning of the body */
    char length[24]; /* Content-Length */
    bool ended;
    bool reset;
    uint32_t code; /* of RST_STREAM */
};

struct net_http2_client {
    int fd;
    nghttp2_hd_inflater *inflater;
    struct net_http2_answer answers[HTTP2_ANSWERS_MAX];
    bool keeps_shut; /* opens no window by itself */
    bool mute;       /* acknowledges nothing */
    bool may_break;  /* a reset is an end like others */
    bool gone;       /* GOAWAY came */
    bool over;       /* the connection ended */
    uint32_t code;   /* of GOAWAY */
    uint32_t last;   /* its stream */
    int pongs;
    int settings; /* acknowledged by the server */
    int limit;    /* SETTINGS_MAX_CONCURRENT_STREAMS, as told */
    unsigned char payload[HTTP2_FRAME_BYTES_MAX];
};

/* Connects, and says the preface with empty SETTINGS. */
void net_http2_client_open(struct net_http2_client *client, struct net_harness *harness);
/* The same without a word. */
void net_http2_client_connect(struct net_http2_client *client, struct net_harness *harness);
void net_http2_client_close(struct net_http2_client *client);

void net_http2_client_frame(struct net_http2_client *client, int type, int flags, uint32_t id,
                            struct span payload);

/* Puts a field behind a header block: a literal, as it is. */
void net_http2_client_field(struct sbuf *block, struct span name, struct span value);
/* :method, :scheme, :authority and :path. */
void net_http2_client_request(struct sbuf *block, const char *method, const char *path);
/* HEADERS with END_HEADERS; `end`: with END_STREAM. */
void net_http2_client_headers(struct net_http2_client *client, uint32_t id, struct span block,
                              bool end);
/* A GET without more. */
void net_http2_client_get(struct net_http2_client *client, uint32_t id, const char *path);

/* Reads one frame and takes note. False at the end of the connection. */
bool net_http2_client_read(struct net_http2_client *client);
/* Reads until this stream is over. */
const struct net_http2_answer *net_http2_client_answer(struct net_http2_client *client,
                                                       uint32_t id);
/* Reads until the connection is over; the GOAWAY's code, or -1. */
int64_t net_http2_client_end(struct net_http2_client *client);
/* A PING there and back: all that was sent before has been read. */
void net_http2_client_sync(struct net_http2_client *client);

#endif
