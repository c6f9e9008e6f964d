/* SPDX-License-Identifier: MIT
 * The error table, cut from err.def, and its questions. */
#include "base/err.h"

static const struct {
    const char *name;
    const char *slug;
    const char *sentence;
    const char *remedy;
    int status;
} errs[ERR_COUNT] = {
#define ERR(name_, status_, slug_, sentence_, remedy_)                                             \
    [name_] = {.name = #name_,                                                                     \
               .slug = (slug_),                                                                    \
               .sentence = (sentence_),                                                            \
               .remedy = (remedy_),                                                                \
               .status = (status_)},
#include "base/err.def"
#undef ERR
};

const char *err_name(enum err err)
{
    PC_ASSERT(err < ERR_COUNT);
    return errs[err].name;
}

int err_status(enum err err)
{
    PC_ASSERT(err < ERR_COUNT);
    return errs[err].status;
}

const char *err_slug(enum err err)
{
    PC_ASSERT(err < ERR_COUNT);
    return errs[err].slug;
}

const char *err_sentence(enum err err)
{
    PC_ASSERT(err < ERR_COUNT);
    return errs[err].sentence;
}

bool err_is_told(enum err err)
{
    PC_ASSERT(err < ERR_COUNT);
    return errs[err].remedy != NULL;
}

const char *err_remedy(enum err err)
{
    PC_ASSERT(err < ERR_COUNT);
    return errs[err].remedy;
}
