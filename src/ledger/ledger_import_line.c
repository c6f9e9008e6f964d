/* SPDX-License-Identifier: MIT
 * One object of a book into values: every member is there that must be, none that is not known, and
 * each is what its table says. What is wrong is told by name. */
#include "ledger/ledger_book_priv.h"

#include <string.h>

static const struct store_statement user_find = {
    .name = "ledger_import_user", .sqlite = "SELECT id FROM users WHERE email_key = ?1"};

/* ---- users ---- */

static enum err user_read(struct ledger_import *import, struct span email, int64_t *ret_id)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(import->conn, &user_find, STORE_PARAMS(STORE_TEXT(email)), &rows);

    if (err)
        return err;
    *ret_id = store_next(rows) ? store_rows_i64(rows, 0) : 0;
    return store_rows_err(rows);
}

static bool is_told(const struct ledger_import *import, struct span email)
{
    struct span rest = sbuf_span(&import->missing);
    struct span told;

    while (span_cut(&rest, ',', &told))
        if (span_equal(span_trim(told), email))
            return true;
    return false;
}

static void user_missing(struct ledger_import *import, struct span email)
{
    if (is_told(import, email))
        return;
    if (import->missing_count++ == 0) {
        import->missing_line = import->line;
        import->missing = sbuf_over(import->missing_bytes, sizeof(import->missing_bytes));
    }
    if (import->missing.len + email.len + 2 > sizeof(import->missing_bytes))
        return;
    if (import->missing_count > 1)
        sbuf_add_lit(&import->missing, ", ");
    sbuf_add(&import->missing, email);
}

/* The one who owns the line before owns this one, most of the time. */
static enum err user_value(struct ledger_import *import, struct span email,
                           struct store_value *ret_value)
{
    enum err err;

    if (email.len == 0 || email.len > sizeof(import->user_bytes))
        return ledger_import_refuse(import, "has an e-mail address of %zu bytes", email.len);
    if (!span_equal(import->user, email)) {
        err = user_read(import, email, &import->user_id);
        if (err)
            return err;
        memcpy(import->user_bytes, email.ptr, email.len);
        import->user = span_make(import->user_bytes, email.len);
        if (import->user_id == 0)
            user_missing(import, email);
    }
    *ret_value = STORE_I64(import->user_id);
    return ERR_OK;
}

/* ---- one member ---- */

static bool is_of_list(enum ledger_book_type type, struct span text)
{
    if (type == LEDGER_BOOK_CURRENCY)
        return currency_from_code(text) != CURRENCY_NONE;
    for (size_t i = 0; type == LEDGER_BOOK_STATE && i < LEDGER_STATE_COUNT; i++)
        if (span_is(text, ledger_states[i]))
            return true;
    for (enum ledger_kind i = LEDGER_KIND_NONE + 1;
         type == LEDGER_BOOK_KIND && i < LEDGER_KIND_COUNT; i++)
        if (span_is(text, ledger_kind_name(i)))
            return true;
    return type == LEDGER_BOOK_TEXT;
}

static const char *list_name(enum ledger_book_type type)
{
    return type == LEDGER_BOOK_CURRENCY ? "currency" : type == LEDGER_BOOK_STATE ? "state" : "kind";
}

static enum err member_value(struct ledger_import *import, const struct ledger_book_member *member,
                             const struct json_value *value, struct store_value *ret_value)
{
    struct span text;
    int64_t number;

    if (member->type == LEDGER_BOOK_I64) {
        if (!json_to_i64(value, &number))
            return ledger_import_refuse(import, "\"%s\" is not a whole number of 64 bits",
                                        member->name);
        *ret_value = STORE_I64(number);
        return ERR_OK;
    }
    if (!json_to_text(value, &text) || memchr(text.ptr, 0, text.len) != NULL)
        return ledger_import_refuse(import, "\"%s\" is not a text", member->name);
    if (member->type == LEDGER_BOOK_USER)
        return user_value(import, text, ret_value);
    if (!is_of_list(member->type, text))
        return ledger_import_refuse(import, "\"%s\" is no %s", member->name,
                                    list_name(member->type));
    *ret_value = STORE_TEXT(text.len == 0 ? SPAN_OF("") : text);
    return ERR_OK;
}

/* ---- all of them ---- */

static bool is_known(struct span name, const struct ledger_book_member *members, size_t count,
                     const char *list)
{
    for (size_t i = 0; i < count; i++)
        if (span_is(name, members[i].name))
            return true;
    return list != NULL && span_is(name, list);
}

enum err ledger_import_members(struct ledger_import *import, const struct json_value *object,
                               const struct ledger_book_member *members, size_t count,
                               const char *list,
                               struct store_value ret_values[LEDGER_BOOK_MEMBERS_MAX])
{
    PC_ASSERT(count <= LEDGER_BOOK_MEMBERS_MAX);
    if (!json_is_object(object))
        return ledger_import_refuse(import, "holds something else than an object");
    for (uint32_t i = 0; i < object->count; i++)
        if (!is_known(object->items[i].name, members, count, list))
            return ledger_import_refuse(
                import, "\"%.*s\" is not known",
                (int)(object->items[i].name.len < 64 ? object->items[i].name.len : 64),
                object->items[i].name.ptr);
    for (size_t i = 0; i < count; i++) {
        const struct json_value *value = json_get(object, members[i].name);
        enum err err = ERR_OK;

        ret_values[i] = STORE_NULL;
        if (value != NULL)
            err = member_value(import, &members[i], value, &ret_values[i]);
        else if (!members[i].optional)
            err = ledger_import_refuse(import, "lacks \"%s\"", members[i].name);
        if (err)
            return err;
    }
    return ERR_OK;
}
