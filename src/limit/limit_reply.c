/* SPDX-License-Identifier: MIT
 * hiredis's reader, with makers of our own for what it finds: they fill the one answer under way
 * and give its address in place of an object. One that gives NULL ends the reading. */
#include "limit/limit_reply.h"

#include <string.h>

#include <hiredis/read.h>

#include "base/alloc.h"

struct limit_reader {
    redisReader *hiredis;
    size_t unread; /* bytes since the last whole answer */
    struct limit_reply reply;
};

static struct limit_reply *reply_of(const redisReadTask *task)
{
    return &((struct limit_reader *)task->privdata)->reply;
}

static bool is_inner(const redisReadTask *task)
{
    return task->parent != NULL;
}

static void *on_text(const redisReadTask *task, char *text, size_t len)
{
    struct limit_reply *reply = reply_of(task);
    size_t kept = len < sizeof(reply->text) ? len : sizeof(reply->text);

    if (is_inner(task)) {
        reply->kind = LIMIT_REPLY_OTHER;
        return reply;
    }
    reply->kind = task->type == REDIS_REPLY_ERROR ? LIMIT_REPLY_ERROR : LIMIT_REPLY_TEXT;
    reply->text_bytes = len;
    memcpy(reply->text, text, kept);
    return reply;
}

static void *on_list(const redisReadTask *task, int count)
{
    struct limit_reply *reply = reply_of(task);

    if (is_inner(task) || count < 0 || count > LIMIT_REPLY_NUMBERS_MAX)
        return NULL;
    reply->kind = LIMIT_REPLY_NUMBERS;
    reply->count = (size_t)count;
    return reply;
}

static void *on_number(const redisReadTask *task, long long value)
{
    struct limit_reply *reply = reply_of(task);

    if (!is_inner(task)) {
        reply->kind = LIMIT_REPLY_NUMBERS;
        reply->count = 1;
        reply->numbers[0] = value;
    } else if (task->idx >= 0 && task->idx < LIMIT_REPLY_NUMBERS_MAX) {
        reply->numbers[task->idx] = value;
    }
    return reply;
}

static void *on_nil(const redisReadTask *task)
{
    struct limit_reply *reply = reply_of(task);

    reply->kind = LIMIT_REPLY_OTHER;
    return reply;
}

static void on_free(void *object)
{
    (void)object; /* part of the reader */
}

static redisReplyObjectFunctions makers = {.createString = on_text,
                                           .createArray = on_list,
                                           .createInteger = on_number,
                                           .createNil = on_nil,
                                           .freeObject = on_free};

enum err limit_reader_new(struct limit_reader **ret_reader)
{
    struct limit_reader *reader = alloc_zero(sizeof(*reader));

    if (reader == NULL)
        return ERR_NO_MEMORY;
    reader->hiredis = redisReaderCreateWithFunctions(&makers);
    if (reader->hiredis == NULL) {
        alloc_free(reader);
        return ERR_NO_MEMORY;
    }
    reader->hiredis->privdata = reader;
    *ret_reader = reader;
    return ERR_OK;
}

void limit_reader_free(struct limit_reader *reader)
{
    if (reader == NULL)
        return;
    redisReaderFree(reader->hiredis);
    alloc_free(reader);
}

enum err limit_reader_feed(struct limit_reader *reader, struct span bytes)
{
    if (bytes.len == 0)
        return ERR_OK;
    if (redisReaderFeed(reader->hiredis, bytes.ptr, bytes.len) != 0)
        return reader->hiredis->err == REDIS_ERR_OOM ? ERR_NO_MEMORY : ERR_BAD_REQUEST;
    reader->unread += bytes.len;
    return ERR_OK;
}

enum err limit_reader_next(struct limit_reader *reader, struct limit_reply *ret)
{
    void *whole = NULL;

    if (redisReaderGetReply(reader->hiredis, &whole) != 0)
        return ERR_BAD_REQUEST;
    if (whole == NULL)
        return reader->unread > LIMIT_REPLY_BYTES_MAX ? ERR_BAD_REQUEST : ERR_AGAIN;
    reader->unread = reader->hiredis->len - reader->hiredis->pos;
    *ret = reader->reply;
    reader->reply = (struct limit_reply){0};
    return ERR_OK;
}

struct span limit_reply_word(const struct limit_reply *reply)
{
    size_t kept = reply->text_bytes < sizeof(reply->text) ? reply->text_bytes : sizeof(reply->text);
    struct span text = span_make(reply->text, kept);

    return span_slice(text, 0, span_find(text, ' '));
}
