/* SPDX-License-Identifier: MIT
 * Names that items of one list have and items of another refer to: routes name upstreams and
 * issuers. They are noted while the file is checked, so that a reference that leads nowhere is told
 * together with wrong values elsewhere, and not only when those are mended.
 *
 * A mistake is told once. An item whose other members are wrong has its name nevertheless; while a
 * name is missing or wrong itself, or its list is, a reference may mean that one and is not told.
 */
#include "app/config_priv.h"

#include <string.h>

static const struct {
    const char *list, *member;    /* where the name stands */
    const char *referrer, *where; /* and where it is referred to: one text, or a list of them */
} kinds[CONFIG_NAMES_COUNT] = {
    [CONFIG_NAMES_UPSTREAMS] = {"upstreams", "name", "routes", "upstream"},
    [CONFIG_NAMES_ISSUERS] = {"issuers", "name", "routes", "issuers"},
};

struct config_name {
    struct config_name *next;
    struct span text;
    size_t item; /* of the list, or of the one that refers */
};

static enum err add(struct config_loader *loader, struct config_names_list *list, size_t item,
                    struct span text)
{
    struct config_name *name = arena_zero(loader->arena, sizeof(*name));

    if (name == NULL)
        return ERR_NO_MEMORY;
    name->text = arena_copy(loader->arena, text);
    name->item = item;
    if (name->text.ptr == NULL)
        return ERR_NO_MEMORY;
    if (list->last == NULL)
        list->first = name;
    else
        list->last->next = name;
    list->last = name;
    list->count++;
    return ERR_OK;
}

/* Is `path` "list[7].member"? Then *ret_item is 7. */
static bool is_at(struct span path, const char *list, const char *member, size_t *ret_item)
{
    size_t begin = strlen(list) + 1;
    size_t end = span_find(path, ']');
    uint64_t item;

    if (!span_starts(path, span_from(list)) || path.len < begin || path.ptr[begin - 1] != '[' ||
        end + 2 > path.len || path.ptr[end + 1] != '.' ||
        !span_is(span_slice(path, end + 2, path.len), member) ||
        !span_to_u64(span_slice(path, begin, end), &item))
        return false;
    *ret_item = (size_t)item;
    return true;
}

enum err config_names_text(struct config_loader *loader, const char *path, struct span text)
{
    for (size_t i = 0; i < CONFIG_NAMES_COUNT; i++) {
        struct config_names *names = &loader->names[i];
        enum err err = ERR_OK;
        size_t item;

        if (is_at(span_from(path), kinds[i].list, kinds[i].member, &item))
            err = add(loader, &names->given, item, text);
        else if (is_at(span_from(path), kinds[i].referrer, kinds[i].where, &item))
            err = add(loader, &names->meant, item, text);
        if (err)
            return err;
    }
    return ERR_OK;
}

void config_names_listed(struct config_loader *loader, const char *path, size_t count)
{
    for (size_t i = 0; i < CONFIG_NAMES_COUNT; i++)
        if (strcmp(kinds[i].list, path) == 0) {
            loader->names[i].listed = true;
            loader->names[i].items += count;
        }
}

static void path_write(const char *list, size_t item, const char *member,
                       char ret[CONFIG_PATH_BYTES_MAX])
{
    struct sbuf out = sbuf_over(ret, CONFIG_PATH_BYTES_MAX);

    sbuf_add_format(&out, "%s[%zu].%s", list, item, member);
    sbuf_add_char(&out, '\0');
    PC_ASSERT(!out.full);
}

static void twice_rule(struct config_loader *loader, size_t kind)
{
    const struct config_name *first = loader->names[kind].given.first;

    for (const struct config_name *name = first; name != NULL; name = name->next) {
        const struct config_name *other = first;
        char path[CONFIG_PATH_BYTES_MAX];

        while (other != name && !span_equal(other->text, name->text))
            other = other->next;
        if (other == name)
            continue;
        path_write(kinds[kind].list, name->item, kinds[kind].member, path);
        config_problem_with(loader, false, path, "\"%.*s\" is %s[%zu] too", SPAN_ARG(name->text),
                            kinds[kind].list, other->item);
    }
}

static void leads_rule(struct config_loader *loader, size_t kind, const struct config_name *meant)
{
    struct span nearest = {0};
    size_t least = meant->text.len < 6 ? 3 : meant->text.len / 3 + 1;
    const struct config_name *name = loader->names[kind].given.first;
    char path[CONFIG_PATH_BYTES_MAX];

    for (; name != NULL; name = name->next) {
        size_t distance = span_distance(meant->text, name->text);

        if (distance == 0)
            return;
        if (distance < least && distance < name->text.len) {
            nearest = name->text;
            least = distance;
        }
    }
    path_write(kinds[kind].referrer, meant->item, kinds[kind].where, path);
    if (nearest.len > 0)
        config_problem_with(loader, false, path, "\"%.*s\" is not in %s, did you mean \"%.*s\"?",
                            SPAN_ARG(meant->text), kinds[kind].list, SPAN_ARG(nearest));
    else
        config_problem_with(loader, false, path, "\"%.*s\" is not in %s", SPAN_ARG(meant->text),
                            kinds[kind].list);
}

void config_names_rules(struct config_loader *loader, bool whole)
{
    for (size_t i = 0; i < CONFIG_NAMES_COUNT; i++) {
        const struct config_names *names = &loader->names[i];

        twice_rule(loader, i);
        if (!whole && (!names->listed || names->given.count < names->items))
            continue;
        for (const struct config_name *meant = names->meant.first; meant != NULL;
             meant = meant->next)
            leads_rule(loader, i, meant);
    }
}
