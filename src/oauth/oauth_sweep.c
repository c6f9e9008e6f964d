/* SPDX-License-Identifier: MIT
 * What the housekeeper of auth/ clears away here, and after how long. What a session holds goes
 * before the session, so that no commit takes more than its bound along. */
#include "oauth/oauth_priv.h"

enum {
    /* Long enough to see a code or token that comes again, and to end what came of it. */
    KEEP_S = 24 * 3600,
    /* Longer than clocks may differ. */
    SKEW_S = 600,
};

static const struct store_statement sweep_replies = {
    .name = "oauth_sweep_replies",
    .sqlite = "UPDATE oauth_refresh_tokens SET reply = NULL WHERE hash IN "
              "(SELECT hash FROM oauth_refresh_tokens WHERE reply IS NOT NULL "
              "AND grace_until < ?1 LIMIT ?2)"};
static const struct store_statement sweep_codes = {
    .name = "oauth_sweep_codes",
    .sqlite = "DELETE FROM oauth_codes WHERE hash IN (SELECT hash FROM oauth_codes "
              "WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)"};
static const struct store_statement sweep_refresh_tokens = {
    .name = "oauth_sweep_refresh_tokens",
    .sqlite = "DELETE FROM oauth_refresh_tokens WHERE hash IN "
              "(SELECT hash FROM oauth_refresh_tokens "
              "WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)"};
static const struct store_statement sweep_assertions = {
    .name = "oauth_sweep_assertions",
    .sqlite = "DELETE FROM oauth_assertions WHERE (client, jti) IN "
              "(SELECT client, jti FROM oauth_assertions "
              "WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)"};
static const struct store_statement sweep_revoked = {
    .name = "oauth_sweep_revoked",
    .sqlite = "DELETE FROM oauth_revoked WHERE jti IN (SELECT jti FROM oauth_revoked "
              "WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)"};
/* Grants and logins go with their session, one of each at most. */
static const struct store_statement sweep_sessions = {
    .name = "oauth_sweep_sessions",
    .sqlite = "DELETE FROM sessions WHERE id IN (SELECT s.id FROM sessions s WHERE "
              "s.expires_at < ?1 AND s.client IS NOT NULL AND NOT EXISTS "
              "(SELECT 1 FROM oauth_refresh_tokens r WHERE r.session_id = s.id) "
              "ORDER BY s.expires_at LIMIT ?2)"};

const struct auth_sweep oauth_sweeps[] = {
    {.statement = &sweep_replies},
    {.statement = &sweep_codes, .keep_s = KEEP_S},
    {.statement = &sweep_refresh_tokens, .keep_s = KEEP_S},
    {.statement = &sweep_assertions, .keep_s = SKEW_S},
    {.statement = &sweep_revoked, .keep_s = SKEW_S},
    {.statement = &sweep_sessions, .keep_s = KEEP_S},
};
const size_t oauth_sweep_count = PC_COUNT(oauth_sweeps);
