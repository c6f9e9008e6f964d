/* SPDX-License-Identifier: MIT
 * The pages as HTML. No script, no image, nothing from elsewhere; addresses are relative, so that a
 * page works on every listener that mounts it. Whatever somebody else wrote goes through
 * oauth_html_add, and stands in <bdi>, so that a name cannot turn the text around it. */
#include "oauth/oauth_page_priv.h"

enum { PAGE_BYTES_MAX = 128 * 1024 };

/* ---- escaping ---------------------------------------------------------------------------------
 */

static const char *escape_of(unsigned char c, bool is_utf8)
{
    if (c == '&')
        return "&amp;";
    if (c == '<')
        return "&lt;";
    if (c == '>')
        return "&gt;";
    if (c == '"')
        return "&quot;";
    if (c == '\'')
        return "&#39;";
    if (c == '\t' || c == '\n' || c == '\r')
        return " ";
    if (c < 0x20 || c == 0x7F || (c >= 0x80 && !is_utf8))
        return "&#xFFFD;";
    return NULL;
}

void oauth_html_add(struct sbuf *out, struct span text)
{
    bool is_utf8 = span_is_utf8(text);

    for (size_t i = 0; i < text.len; i++) {
        const char *escape = escape_of((unsigned char)text.ptr[i], is_utf8);

        if (escape != NULL)
            sbuf_add_text(out, escape);
        else
            sbuf_add_char(out, text.ptr[i]);
    }
}

/* ---- parts ------------------------------------------------------------------------------------
 */

static void add_name(struct sbuf *out, struct span name)
{
    sbuf_add_lit(out, "<bdi>");
    oauth_html_add(out, name);
    sbuf_add_lit(out, "</bdi>");
}

static void begin(struct sbuf *out, const char *title)
{
    sbuf_add_lit(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                      "<title>");
    sbuf_add_text(out, title);
    sbuf_add_lit(out, " · Portcullis</title>\n"
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                      "<meta name=\"color-scheme\" content=\"light dark\">\n"
                      "<link rel=\"icon\" href=\"data:,\">\n"
                      "<link rel=\"stylesheet\" href=\"style.css\">\n"
                      "</head>\n<body>\n<main>\n<p class=\"brand\">Portcullis</p>\n");
}

static enum err finish(struct sbuf *out, struct span *ret_html)
{
    sbuf_add_lit(out, "</main>\n</body>\n</html>\n");
    return sbuf_finish(out, ret_html);
}

static void add_hidden(struct sbuf *out, const char *name, struct span value)
{
    sbuf_add_format(out, "<input type=\"hidden\" name=\"%s\" value=\"", name);
    oauth_html_add(out, value);
    sbuf_add_lit(out, "\">\n");
}

static void begin_form(struct sbuf *out, const char *action, struct span request, struct span csrf)
{
    sbuf_add_format(out, "<form method=\"post\" action=\"%s\">\n", action);
    add_hidden(out, "request", request);
    add_hidden(out, "csrf", csrf);
}

/* ---- signing in -------------------------------------------------------------------------------
 */

static void add_wait(struct sbuf *out, int64_t wait_ns)
{
    int64_t seconds = (wait_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S;
    int64_t count = seconds < 120 ? seconds : (seconds + 59) / 60;

    if (wait_ns <= 0) {
        sbuf_add_lit(out, "Please try again later.");
        return;
    }
    sbuf_add_format(out, "Please try again in %lld %s%s.", (long long)count,
                    seconds < 120 ? "second" : "minute", count == 1 ? "" : "s");
}

/* The message takes the focus when the page opens, which makes a screen reader say it first. */
static void add_login_error(struct sbuf *out, const struct oauth_page_login *page)
{
    if (page->why == ERR_OK)
        return;
    sbuf_add_lit(out, "<p class=\"error\" id=\"error\" role=\"alert\" aria-live=\"assertive\" "
                      "tabindex=\"-1\" autofocus>");
    if (page->why == ERR_LOCKED) {
        sbuf_add_lit(out, "Too many attempts. ");
        add_wait(out, page->retry_after_ns);
    } else if (page->why == ERR_INACTIVE) {
        sbuf_add_lit(out, "This account is inactive. Please ask whoever runs the service.");
    } else {
        sbuf_add_lit(out, "The e-mail address or password is wrong.");
    }
    sbuf_add_lit(out, "</p>\n");
}

static void add_login_fields(struct sbuf *out, const struct oauth_page_login *page)
{
    const char *described = "";
    bool starts_empty = page->why == ERR_OK && page->email.len == 0;
    bool starts_filled = page->why == ERR_OK && page->email.len > 0;

    if (page->why == ERR_CREDENTIALS)
        described = " aria-describedby=\"error\" aria-invalid=\"true\"";
    sbuf_add_lit(out, "<label for=\"email\">E-mail address</label>\n"
                      "<input id=\"email\" name=\"email\" type=\"email\" autocomplete=\"username\" "
                      "maxlength=\"254\" required");
    sbuf_add_text(out, described);
    sbuf_add_text(out, starts_empty ? " autofocus" : "");
    sbuf_add_lit(out, " value=\"");
    oauth_html_add(out, page->email);
    sbuf_add_lit(out, "\">\n<label for=\"password\">Password</label>\n"
                      "<input id=\"password\" name=\"password\" type=\"password\" "
                      "autocomplete=\"current-password\" maxlength=\"1024\" required");
    sbuf_add_text(out, described);
    sbuf_add_text(out, starts_filled ? " autofocus" : "");
    sbuf_add_lit(out, ">\n");
}

enum err oauth_page_login(const struct oauth_page_login *page, struct arena *arena,
                          struct span *ret_html)
{
    struct sbuf out = sbuf_on(arena, PAGE_BYTES_MAX);

    begin(&out, page->why == ERR_OK ? "Sign in" : "Error: Sign in");
    sbuf_add_lit(&out, "<h1>Sign in</h1>\n");
    if (page->client.len > 0) {
        sbuf_add_lit(&out, "<p>to go on to ");
        add_name(&out, page->client);
        sbuf_add_lit(&out, "</p>\n");
    }
    add_login_error(&out, page);
    begin_form(&out, "login", page->request, page->csrf);
    add_login_fields(&out, page);
    sbuf_add_lit(&out, "<p class=\"buttons\"><button type=\"submit\" class=\"main\">Sign in"
                       "</button></p>\n</form>\n");
    return finish(&out, ret_html);
}

/* ---- consent ----------------------------------------------------------------------------------
 */

/* In the order of the catalogue, whatever the client's order was. */
static void add_scopes(struct sbuf *out, struct span scope)
{
    sbuf_add_lit(out, "<ul>\n");
    for (const struct auth_scope *one = auth_scopes; one->name != NULL; one++) {
        if (one->consent == NULL || !oauth_list_has(scope, span_from(one->name)))
            continue;
        sbuf_add_lit(out, "<li>");
        oauth_html_add(out, span_from(one->consent));
        sbuf_add_lit(out, "</li>\n");
    }
    sbuf_add_lit(out, "</ul>\n");
}

static void add_who(struct sbuf *out, const struct oauth_page_consent *page)
{
    sbuf_add_lit(out, "<p class=\"who\">You are signed in as ");
    add_name(out, page->username);
    if (page->email.len > 0) {
        sbuf_add_lit(out, " (");
        add_name(out, page->email);
        sbuf_add_lit(out, ")");
    }
    sbuf_add_lit(out, ". <button type=\"submit\" class=\"link\" name=\"decision\" value=\"switch\">"
                      "Not you?</button></p>\n");
}

enum err oauth_page_consent(const struct oauth_page_consent *page, struct arena *arena,
                            struct span *ret_html)
{
    struct sbuf out = sbuf_on(arena, PAGE_BYTES_MAX);

    begin(&out, "Allow access");
    sbuf_add_lit(&out, "<h1>");
    add_name(&out, page->client);
    sbuf_add_lit(&out, " asks for access</h1>\n");
    begin_form(&out, "consent", page->request, page->csrf);
    add_who(&out, page);
    sbuf_add_lit(&out, "<p>If you allow it, this application may:</p>\n");
    add_scopes(&out, page->scope);
    sbuf_add_lit(&out, "<p class=\"buttons\"><button type=\"submit\" class=\"main\" "
                       "name=\"decision\" value=\"allow\">Allow</button>\n"
                       "<button type=\"submit\" name=\"decision\" value=\"deny\">Deny</button></p>"
                       "\n</form>\n<p class=\"where\">Either way you return to ");
    add_name(&out, page->origin);
    sbuf_add_lit(&out, "</p>\n");
    return finish(&out, ret_html);
}

/* ---- signing out, and errors ------------------------------------------------------------------
 */

enum err oauth_page_logout(const struct oauth_page_logout *page, struct arena *arena,
                           struct span *ret_html)
{
    struct sbuf out = sbuf_on(arena, PAGE_BYTES_MAX);

    if (page->username.len == 0) {
        begin(&out, "Signed out");
        sbuf_add_lit(&out, "<h1>You are signed out</h1>\n<p>You may close this page.</p>\n");
        return finish(&out, ret_html);
    }
    begin(&out, "Sign out");
    sbuf_add_lit(&out, "<h1>Sign out?</h1>\n<p>");
    if (page->client.len > 0) {
        add_name(&out, page->client);
        sbuf_add_lit(&out, " asks to sign you out. ");
    }
    sbuf_add_lit(&out, "You are signed in as ");
    add_name(&out, page->username);
    sbuf_add_lit(&out, ". Signing out ends the access of every application that you signed in to "
                       "from this browser.</p>\n");
    begin_form(&out, "logout", page->request, page->csrf);
    sbuf_add_lit(&out, "<p class=\"buttons\"><button type=\"submit\" class=\"main\">Sign out"
                       "</button></p>\n</form>\n");
    return finish(&out, ret_html);
}

enum err oauth_page_error(const char *title, const char *what, struct arena *arena,
                          struct span *ret_html)
{
    struct sbuf out = sbuf_on(arena, PAGE_BYTES_MAX);

    begin(&out, title);
    sbuf_add_lit(&out, "<h1>");
    oauth_html_add(&out, span_from(title));
    sbuf_add_lit(&out, "</h1>\n<p role=\"alert\">");
    oauth_html_add(&out, span_from(what));
    sbuf_add_lit(&out, "</p>\n");
    return finish(&out, ret_html);
}
