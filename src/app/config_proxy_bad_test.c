/* SPDX-License-Identifier: MIT
 * Wrong upstreams and routes, and exactly what is told about each, line by line. */
#include "app/config_test.h"

/* A good upstream, three lines before what is looked at; and a route to it. */
#define UP        "upstreams:\n  - name: shop\n    targets: [{url: http://a}]\n"
#define UP_ROUTE  UP "routes:\n  - path: /shop\n    upstream: shop\n    access: open\n"
#define ROUTES    "routes: [{path: /shop, upstream: shop, access: open}]\n"
#define AT(place) "portcullis.yaml:" place ": "
/* A route with this path, and what is told of it. */
#define PATH(path, told)                                                                           \
    {                                                                                              \
        UP "routes:\n  - path: \"" path "\"\n    upstream: shop\n    access: open\n",              \
            AT("5:11") "routes[0].path: \"" path "\" " told                                        \
    }
/* The same of a path that is well formed, but the gateway's own. */
#define OWN(path, told)                                                                            \
    {                                                                                              \
        UP "routes:\n  - path: \"" path "\"\n    upstream: shop\n    access: open\n",              \
            AT("5:5") "routes[0].path: " path " " told ", which the gateway serves itself"         \
    }
/* An upstream with this target. */
#define TARGET(url, told)                                                                          \
    {                                                                                              \
        "upstreams:\n  - name: shop\n    targets:\n      - url: \"" url "\"\n" ROUTES,             \
            AT("4:14") "upstreams[0].targets[0].url: " told                                        \
    }
/* One more member of a good upstream or route. */
#define MEMBER(member, told)                                                                       \
    {                                                                                              \
        "upstreams:\n  - name: shop\n    targets: [{url: http://a}]\n    " member "\n" ROUTES,     \
            told                                                                                   \
    }
/* The same in the section tls of one with a target of https. */
#define TLS_MEMBER(member, told)                                                                   \
    {                                                                                              \
        "upstreams:\n  - name: shop\n    targets: [{url: https://a}]\n    tls: {" member           \
        "}\n" ROUTES,                                                                              \
            told                                                                                   \
    }
#define ROUTE_MEMBER(member, told)                                                                 \
    {                                                                                              \
        UP_ROUTE "    " member "\n", told                                                          \
    }
#define SET(name, told)                                                                            \
    ROUTE_MEMBER("request_headers: {set: [{name: \"" name "\", value: a}]}",                       \
                 AT("8:36") "routes[0].request_headers.set[0].name: \"" name "\" " told)
#define REMOVE(name, told)                                                                         \
    ROUTE_MEMBER("request_headers: {remove: [\"" name "\"]}",                                      \
                 AT("8:32") "routes[0].request_headers.remove: \"" name "\" " told)
#define ANSWER(name, told)                                                                         \
    ROUTE_MEMBER("response_headers: {set: [{name: " name ", value: a}]}",                          \
                 AT("8:37") "routes[0].response_headers.set[0].name: \"" name "\" " told)
#define VALUE(value)                                                                               \
    ROUTE_MEMBER("request_headers: {set: [{name: X-A, value: \"" value "\"}]}",                    \
                 AT("8:48") "routes[0].request_headers.set[0].value: the value holds a line "      \
                            "break, a control byte or what is not ASCII")
#define CONNECTION "belongs to one connection and is never passed on"
#define FRAMING    "says where a message ends, which the gateway writes itself"
#define OURS       "is written by the gateway itself"

const struct config_case config_proxy_bad_cases[] = {
    /* Shape: what is required, what is known, what is there twice. */
    /* One run tells wrong values and names that lead nowhere; a mistake is told once. */
    {"upstreams: [{name: shop, targets: []}]\nroutes:\n"
     "  - {path: /shop, upstream: shop, access: open}\n"
     "  - {path: /b, upstream: shpo, access: open}\n",
     AT("1:35") "upstreams[0].targets: the list needs at least 1 item\n" AT(
         "4:16") "routes[1].upstream: \"shpo\" is not in upstreams, did you mean \"shop\"?"},
    {"upstreams: [{name: a, targets: []}, {name: a, targets: [{url: http://a}]}]\n",
     AT("1:32") "upstreams[0].targets: the list needs at least 1 item\n" AT(
         "1:38") "upstreams[1].name: \"a\" is upstreams[0] too"},
    {"issuers: [{name: partner, issuer: x, audience: [a], algorithms: [no], jwks_file: /k}]\n"
     "upstreams: [{name: shop, targets: [{url: http://a}]}]\nroutes:\n"
     "  - {path: /a, upstream: shop, access: bearer, issuers: [partner, other]}\n",
     AT("1:66") "issuers[0].algorithms: \"no\" is not RS256, RS384, RS512, PS256, PS384, PS512, "
                "ES256, ES384, ES512 or EdDSA\n" AT(
                    "4:48") "routes[0].issuers: \"other\" is not in issuers"},
    {"upstreams: [{name: \"sh op\", targets: [{url: http://a}]}]\n" ROUTES,
     AT("1:20") "upstreams[0].name: \"sh op\" is not a name, which is made of lower-case letters, "
                "digits and -"},
    {"upstreams: [{targets: [{url: http://a}]}]\n" ROUTES,
     AT("1:13") "upstreams[0]: lacks \"name\""},
    {"upstrems: [{name: shop, targets: [{url: http://a}]}]\n" ROUTES,
     AT("1:1") "unknown key \"upstrems\", did you mean \"upstreams\"?"},
    {ROUTES "upstreams: [{name: a\n", AT("3:1") "did not find expected ',' or '}' while parsing a "
                                                "flow mapping that began at line 2"},
    {"upstrems: []\n", AT("1:1") "unknown key \"upstrems\", did you mean \"upstreams\"?"},
    {"route: []\n", AT("1:1") "unknown key \"route\", did you mean \"routes\"?"},
    {"upstreams: {}\n", AT("1:12") "upstreams: takes a list, not a section"},
    {"upstreams: [shop]\n", AT("1:13") "upstreams[0]: takes a section, not a single value"},
    {"upstreams: [{}]\n",
     AT("1:13") "upstreams[0]: lacks \"name\"\n" AT("1:13") "upstreams[0]: lacks \"targets\""},
    {"upstreams: [{name: a, targets: []}]\n",
     AT("1:32") "upstreams[0].targets: the list needs at least 1 item"},
    {"upstreams: [{name: a, targets: [{}]}]\n",
     AT("1:33") "upstreams[0].targets[0]: lacks \"url\""},
    {"routes:\n  - {}\n",
     AT("2:5") "routes[0]: lacks \"path\"\n" AT("2:5") "routes[0]: lacks \"upstream\"\n" AT(
         "2:5") "routes[0]: lacks \"access\", give open, bearer, admin or api_key"},
    {UP "routes:\n  - path: /shop\n    upstream: shop\n",
     AT("5:5") "routes[0]: lacks \"access\", give open, bearer, admin or api_key"},
    ROUTE_MEMBER("acess: admin",
                 AT("8:5") "unknown key \"acess\" in routes[0], did you mean \"access\"?"),
    ROUTE_MEMBER("host: a", AT("8:5") "unknown key \"host\" in routes[0], did you mean \"hosts\"?"),
    ROUTE_MEMBER("remove: [A]", AT("8:5") "unknown key \"remove\" in routes[0], did you mean "
                                          "\"request_headers.remove\"?"),
    ROUTE_MEMBER("circuit_breaker: {disable: true}",
                 AT("8:23") "unknown key \"disable\" in routes[0].circuit_breaker, did you mean "
                            "\"disabled\"?"),
    ROUTE_MEMBER("circuit_breaker.disabled: true",
                 AT("8:5") "unknown key \"circuit_breaker.disabled\" in routes[0], sections are "
                           "nested here, not dotted"),
    ROUTE_MEMBER("circuit_breaker: true", AT("8:22") "routes[0].circuit_breaker: is a section: "
                                                     "give it members or leave it out"),
    ROUTE_MEMBER("path: /b", AT("8:5") "routes[0].path is given twice, first at line 5"),
    ROUTE_MEMBER("request_headers: {}\n    request_headers: {}",
                 AT("9:5") "routes[0].request_headers is given twice, first at line 8"),
    ROUTE_MEMBER("request_headers: {remove: [], remove: []}",
                 AT("8:35") "routes[0].request_headers.remove is given twice, first at line 8"),
    ROUTE_MEMBER("request_headers: {set: [{name: X-A}]}",
                 AT("8:29") "routes[0].request_headers.set[0]: lacks \"value\""),
    ROUTE_MEMBER("request_headers: {set: [X-A]}",
                 AT("8:29") "routes[0].request_headers.set[0]: takes a section, not a single "
                            "value"),
    MEMBER("check: {interval_seconds: 5}", AT("2:5") "upstreams[0]: lacks \"check.path\""),
    MEMBER("check: {path: health}", AT("4:19") "upstreams[0].check.path: \"health\" is neither a "
                                               "path, which begins with /, nor tcp"),
    MEMBER("check: {path: \"/a b\"}",
           AT("4:19") "upstreams[0].check.path: \"/a b\" holds a character that no path has"),
    MEMBER("check: {path: []}",
           AT("4:19") "upstreams[0].check.path: takes a path such as /health, or tcp, not a list"),
    /* Numbers, switches and choices within lists. */
    {"upstreams: [{name: a, targets: [{url: http://a, weight: 0}]}]\n",
     AT("1:57") "upstreams[0].targets[0].weight: \"0\" is not a number from 1 to 100"},
    {"upstreams: [{name: a, targets: [{url: http://a, drain: yes}]}]\n",
     AT("1:56") "upstreams[0].targets[0].drain: \"yes\" is not true or false"},
    MEMBER("balance: power_of_too",
           AT("4:14") "upstreams[0].balance: \"power_of_too\" is not round_robin, least_requests, "
                      "power_of_two or hash, did you mean power_of_two?"),
    MEMBER("retries: 4", AT("4:14") "upstreams[0].retries: \"4\" is not a number from 0 to 3"),
    MEMBER("connect_timeout_ms: 0",
           AT("4:25") "upstreams[0].connect_timeout_ms: \"0\" is not a number from 1 to 60000"),
    MEMBER("eject: {panic_percent: 101}",
           AT("4:28") "upstreams[0].eject.panic_percent: \"101\" is not a number from 1 to 100"),
    ROUTE_MEMBER("body_bytes_max: 4294967296",
                 AT("8:21") "routes[0].body_bytes_max: \"4294967296\" is not a number from 1 to "
                            "4294967295"),
    {UP "routes: [{path: /a, upstream: shop, access: \"\"}]\n",
     AT("4:45") "routes[0].access: \"\" is not open, bearer, admin or api_key"},
    {UP "routes: [{path: /a, upstream: shop, access: none}]\n",
     AT("4:45") "routes[0].access: \"none\" is not open, bearer, admin or api_key"},
    /* TLS to targets. */
    {"upstreams: [{name: shop, targets: [{url: http://a}, {url: https://b}]}]\n" ROUTES,
     AT("1:26") "upstreams[0].targets: are http and https, make two upstreams of them"},
    {"upstreams:\n  - {name: shop, targets: [{url: https://A:443}, {url: https://a}]}\n" ROUTES,
     AT("2:51") "upstreams[0].targets[1].url: https://a is targets[0] too"},
    MEMBER("tls: {min_version: 1.3}", AT("4:5") "upstreams[0].tls: has no effect, no target is "
                                                "https"),
    MEMBER("tls: {verify: false}", AT("4:11") "unknown key \"verify\" in upstreams[0].tls"),
    MEMBER("tls: {min_version: 1.1}",
           AT("4:24") "upstreams[0].tls.min_version: \"1.1\" is not 1.2 or 1.3, "
                      "did you mean 1.2?"),
    TLS_MEMBER("cert_file: a.pem", AT("4:11") "upstreams[0].tls.cert_file: needs tls.key_file"),
    TLS_MEMBER("key_file: a.pem", AT("4:11") "upstreams[0].tls.key_file: needs tls.cert_file"),
    TLS_MEMBER("crl_file: a.pem", AT("4:11") "upstreams[0].tls.crl_file: needs tls.ca_file, of "
                                             "whose authorities the lists are"),
    TLS_MEMBER("server_name: \"a b\"", AT("4:24") "upstreams[0].tls.server_name: \"a b\" is not a "
                                                  "host name such as shop.example.com"),
    /* Upstreams. */
    {"upstreams: [{name: Shop, targets: [{url: http://a}]}]\n",
     AT("1:20") "upstreams[0].name: \"Shop\" is not a name, which is made of lower-case letters, "
                "digits and -"},
    {"upstreams:\n  - {name: shop, targets: [{url: http://a}]}\n"
     "  - {name: shop, targets: [{url: http://b}]}\n" ROUTES,
     AT("3:6") "upstreams[1].name: \"shop\" is upstreams[0] too"},
    {"upstreams:\n  - name: shop\n    targets:\n      - url: http://A\n      - url: http://b\n"
     "      - url: http://a:80\n" ROUTES,
     AT("6:9") "upstreams[0].targets[2].url: http://a:80 is targets[0] too"},
    TARGET("ftp://a", "\"ftp://a\" begins with neither http:// nor https://"),
    TARGET("https://a/x",
           "\"https://a/x\" holds a path: end it behind the port, and see add_prefix of the route"),
    TARGET("a:9001", "\"a:9001\" begins with neither http:// nor https://"),
    TARGET("http://a/", "\"http://a/\" holds a path: end it behind the port, and see add_prefix "
                        "of the route"),
    TARGET("http://a:1/x", "\"http://a:1/x\" holds a path: end it behind the port, and see "
                           "add_prefix of the route"),
    TARGET("http://a?b", "\"http://a?b\" holds a query or a fragment, which a target cannot have"),
    TARGET("http://a#b", "\"http://a#b\" holds a query or a fragment, which a target cannot have"),
    TARGET("http://me:hunter2@a",
           "the value holds a user or a password, which a target cannot have"),
    TARGET("http://", "\"http://\" is not a scheme with a host and a port, such as "
                      "http://[::1]:9001"),
    TARGET("http://a:", "\"http://a:\" is not a scheme with a host and a port, such as "
                        "http://[::1]:9001"),
    TARGET("http://::1", "\"http://::1\" is not a scheme with a host and a port, such as "
                         "http://[::1]:9001"),
    TARGET("http://[::1", "\"http://[::1\" is not a scheme with a host and a port, such as "
                          "http://[::1]:9001"),
    TARGET("http://[a]:1", "\"http://[a]:1\" is not a scheme with a host and a port, such as "
                           "http://[::1]:9001"),
    TARGET("http://[::1]x", "\"http://[::1]x\" is not a scheme with a host and a port, such as "
                            "http://[::1]:9001"),
    TARGET("http://a b", "\"http://a b\" is not a scheme with a host and a port, such as "
                         "http://[::1]:9001"),
    TARGET("http://a:0", "\"http://a:0\" has no good port, which is a number from 1 to 65535"),
    TARGET("http://a:65536",
           "\"http://a:65536\" has no good port, which is a number from 1 to 65535"),
    TARGET("http://a:1:2", "\"http://a:1:2\" has no good port, which is a number from 1 to 65535"),
    MEMBER("hash_on: user", AT("4:5") "upstreams[0].hash_on: needs balance: hash"),
    MEMBER("hash_name: a", AT("4:5") "upstreams[0].hash_name: needs balance: hash"),
    MEMBER("balance: hash\n    hash_on: header",
           AT("5:5") "upstreams[0].hash_on: needs hash_name, the name of the header"),
    MEMBER("balance: hash\n    hash_on: cookie",
           AT("5:5") "upstreams[0].hash_on: needs hash_name, the name of the cookie"),
    MEMBER("balance: hash\n    hash_name: a",
           AT("5:5") "upstreams[0].hash_name: needs hash_on: header or cookie"),
    MEMBER("balance: hash\n    hash_on: cookie\n    hash_name: a b",
           AT("6:16") "upstreams[0].hash_name: \"a b\" is not the name of a header or cookie"),
    {UP, "warning: " AT("2:5") "upstreams[0].name: no route leads to \"shop\""},
    {"upstreams:\n  - name: shop\n    targets: [{url: http://a, drain: true}]\n" ROUTES,
     "warning: " AT("3:5") "upstreams[0].targets: all are drained, so nobody answers"},
    /* Where a route leads. */
    {UP "routes: [{path: /a, upstream: shp, access: open}, {path: /b, upstream: shop, access: "
        "open}]\n",
     AT("4:21") "routes[0].upstream: \"shp\" is not in upstreams, did you mean \"shop\"?"},
    {"routes: [{path: /a, upstream: shop, access: open}]\n",
     AT("1:21") "routes[0].upstream: \"shop\" is not in upstreams"},
    /* The form of a path. */
    PATH("shop", "does not begin with /"),
    PATH("/a//b", "holds //, an empty segment"),
    PATH("//", "holds //, an empty segment"),
    PATH("/a/../b", "holds a dot segment, write the path that it leads to"),
    PATH("/.", "holds a dot segment, write the path that it leads to"),
    PATH("/*/a", "has a * that is not the whole last segment"),
    PATH("/a*", "has a * that is not the whole last segment"),
    PATH("/*/", "has a * that is not the whole last segment"),
    PATH("/a{id}", "has a brace where no whole segment is a parameter such as {id}"),
    PATH("/{id}a", "has a brace where no whole segment is a parameter such as {id}"),
    PATH("/{}", "has a brace where no whole segment is a parameter such as {id}"),
    PATH("/}{", "has a brace where no whole segment is a parameter such as {id}"),
    PATH("/{", "has a brace where no whole segment is a parameter such as {id}"),
    PATH("/{1a}", "has a brace where no whole segment is a parameter such as {id}"),
    PATH("/{a-b}", "has a brace where no whole segment is a parameter such as {id}"),
    PATH("/{id}/{id}", "names two parameters alike"),
    PATH("/{a}/{b}/{c}/{d}/{e}", "has more than 4 parameters"),
    PATH("/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", "has more than 16 segments"),
    PATH("/a%20b", "is percent-encoded, write it as it reads decoded"),
    PATH("/a b", "holds a character that no path has"),
    PATH("/a?b", "holds a character that no path has"),
    PATH("/a#b", "holds a character that no path has"),
    PATH("/a;b", "holds a character that no path has"),
    PATH("/caf\xC3\xA9", "holds a character that no path has"),
    /* What the gateway serves itself. */
    OWN("/", "takes /"),
    OWN("/livez", "takes /livez"),
    OWN("/livez/*", "takes /livez"),
    OWN("/readyz", "takes /readyz"),
    OWN("/metrics/", "takes /metrics"),
    OWN("/openapi.json", "takes /openapi.json"),
    OWN("/api/v1", "is in /api/v1"),
    OWN("/api/v1/*", "is in /api/v1"),
    OWN("/api/v1/shop/{id}", "is in /api/v1"),
    OWN("/api/docs", "is in /api/docs"),
    OWN("/console/shop", "is in /console"),
    OWN("/oauth/authorize", "is in /oauth"),
    OWN("/.well-known/jwks.json", "takes /.well-known/jwks.json"),
    /* Routes that are the same. */
    {UP "routes:\n  - {path: \"/a/{id}\", upstream: shop, access: open}\n"
        "  - {path: \"/a/{other}\", upstream: shop, access: admin, methods: [OPTIONS, PUT]}\n",
     AT("6:6") "routes[1].path: PUT /a/{other} is routes[0] too"},
    {UP "routes:\n  - {path: /a/*, upstream: shop, access: open, hosts: [a.example, b.example]}\n"
        "  - {path: /a/*, upstream: shop, access: admin, hosts: [b.example]}\n",
     AT("6:6") "routes[1].path: GET b.example/a/* is routes[0] too"},
    ROUTE_MEMBER("methods: [GET, PUT, GET]", AT("8:5") "routes[0].methods: GET is listed twice"),
    ROUTE_MEMBER("methods: [get]", AT("8:15") "routes[0].methods: \"get\" is not GET, HEAD, POST, "
                                              "PUT, PATCH, DELETE or OPTIONS, did you mean GET?"),
    ROUTE_MEMBER("methods: [TRACE]",
                 AT("8:15") "routes[0].methods: \"TRACE\" is not GET, HEAD, POST, PUT, PATCH, "
                            "DELETE or OPTIONS"),
    /* Hosts. */
    ROUTE_MEMBER("hosts: [Shop.example]", AT("8:13") "routes[0].hosts: \"Shop.example\" is not in "
                                                     "lower case, in which hosts are compared"),
    ROUTE_MEMBER("hosts: [\"*.example\"]",
                 AT("8:13") "routes[0].hosts: \"*.example\" holds a *, name each host"),
    ROUTE_MEMBER("hosts: [\"a.example:80\"]",
                 AT("8:13") "routes[0].hosts: \"a.example:80\" holds a port, a route is for a host "
                            "on every port"),
    ROUTE_MEMBER("hosts: [a..example]", AT("8:13") "routes[0].hosts: \"a..example\" is not a host "
                                                   "name such as shop.example.com"),
    ROUTE_MEMBER("hosts: [-a.example]", AT("8:13") "routes[0].hosts: \"-a.example\" is not a host "
                                                   "name such as shop.example.com"),
    ROUTE_MEMBER("hosts: [a.example, a.example]",
                 AT("8:5") "routes[0].hosts: a.example is listed twice"),
    /* Prefixes. */
    ROUTE_MEMBER("strip_prefix: /sho",
                 AT("8:5") "routes[0].strip_prefix: /sho is not how /shop begins, by whole "
                           "segments"),
    ROUTE_MEMBER("strip_prefix: /shop/a",
                 AT("8:5") "routes[0].strip_prefix: /shop/a is not how /shop begins, by whole "
                           "segments"),
    ROUTE_MEMBER("strip_prefix: /", AT("8:19") "routes[0].strip_prefix: \"/\" is a prefix, which "
                                               "ends without /"),
    ROUTE_MEMBER("strip_prefix: \"/{id}\"", AT("8:19") "routes[0].strip_prefix: \"/{id}\" is a "
                                                       "prefix, in which { and * mean nothing"),
    ROUTE_MEMBER("add_prefix: /a/*", AT("8:17") "routes[0].add_prefix: \"/a/*\" is a prefix, in "
                                                "which { and * mean nothing"),
    ROUTE_MEMBER("add_prefix: a", AT("8:17") "routes[0].add_prefix: \"a\" does not begin with /"),
    ROUTE_MEMBER("add_prefix: /a/../b", AT("8:17") "routes[0].add_prefix: \"/a/../b\" holds a dot "
                                                   "segment, write the path that it leads to"),
    /* Who may use it. */
    ROUTE_MEMBER("scopes: [orders:read]", AT("8:5") "routes[0].scopes: need access: bearer or "
                                                    "admin, nobody shows a token here"),
    ROUTE_MEMBER("roles: [auditor]", AT("8:5") "routes[0].roles: need access: bearer or admin, "
                                               "nobody shows a token here"),
    ROUTE_MEMBER("scopes: [\"orders read\"]", AT("8:14") "routes[0].scopes: \"orders read\" is "
                                                         "not a scope, which has no blanks and "
                                                         "quotes"),
    ROUTE_MEMBER("roles: [\"a b\"]", AT("8:13") "routes[0].roles: \"a b\" is not a role, which is "
                                                "made of letters, digits and -_.:"),
    {UP "routes:\n  - path: /a\n    upstream: shop\n    access: bearer\n    scopes: [a, b, a]\n",
     AT("8:5") "routes[0].scopes: a is listed twice"},
    /* Headers. */
    SET("X A", "is not the name of a header, which is made of letters, digits and -"),
    SET("X-A:", "is not the name of a header, which is made of letters, digits and -"),
    SET("Connection", CONNECTION),
    SET("keep-alive", CONNECTION),
    SET("TE", CONNECTION),
    SET("Upgrade", CONNECTION),
    SET("Proxy-Authorization", CONNECTION),
    SET("Transfer-Encoding", FRAMING),
    SET("content-length", FRAMING),
    SET("Trailer", FRAMING),
    SET("Expect", FRAMING),
    ROUTE_MEMBER("upgrades: [h2c]", AT("8:16") "routes[0].upgrades: \"h2c\" would carry requests "
                                               "that the gateway never sees"),
    ROUTE_MEMBER(
        "upgrades: [HTTP/2.0]",
        AT("8:16") "routes[0].upgrades: \"HTTP/2.0\" would carry requests that the gateway "
                   "never sees"),
    ROUTE_MEMBER("upgrades: [web socket]", AT("8:16") "routes[0].upgrades: \"web socket\" is not "
                                                      "the name of a protocol, such as websocket"),
    ROUTE_MEMBER("upgrades: [x/]", AT("8:16") "routes[0].upgrades: \"x/\" is not the name of a "
                                              "protocol, such as websocket"),
    ROUTE_MEMBER("upgrades: [websocket, WebSocket]",
                 AT("8:5") "routes[0].upgrades: WebSocket is listed twice"),
    ROUTE_MEMBER("upgrade_idle_seconds: 0", AT("8:27") "routes[0].upgrade_idle_seconds: \"0\" is "
                                                       "not a number from 1 to 86400"),
    SET("Host", "is the target's, or the client's with preserve_host: true"),
    SET("Forwarded", OURS),
    SET("X-Forwarded-For", OURS),
    SET("x-forwarded-anything", OURS),
    SET("X-Request-ID", OURS),
    SET("X-User-Id", OURS),
    SET("X-Portcullis-Node", OURS),
    SET("Authorization", "is the client's own: it can be removed, not set"),
    SET("Cookie", "is the client's own: it can be removed, not set"),
    REMOVE("Host", "is the target's, or the client's with preserve_host: true"),
    REMOVE("Content-Length", FRAMING),
    REMOVE("X-Forwarded-For", OURS),
    ANSWER("Connection", CONNECTION),
    ANSWER("Transfer-Encoding", FRAMING),
    ANSWER("X-Request-ID", OURS),
    ANSWER("Access-Control-Allow-Origin", "answers CORS, see cors.allowed_origins"),
    VALUE("a\\r\\nb"),
    VALUE("a\\tb"),
    VALUE("a\\x7F"),
    VALUE("\\u00e9"),
    ROUTE_MEMBER("request_headers: {set: [{name: X-A, value: \" a\"}]}",
                 AT("8:48") "routes[0].request_headers.set[0].value: the value begins or ends "
                            "with a blank"),
    ROUTE_MEMBER("request_headers: {set: [{name: X-A, value: a}, {name: x-a, value: b}]}",
                 AT("8:53") "routes[0].request_headers.set[1].name: x-a is set twice"),
    ROUTE_MEMBER("response_headers: {set: [{name: Server, value: a}], remove: [server]}",
                 AT("8:31") "routes[0].response_headers.set[0].name: Server is removed too, which "
                            "setting it does anyway"),
    ROUTE_MEMBER("response_headers: {remove: [server, Server]}",
                 AT("8:24") "routes[0].response_headers.remove: Server is listed twice"),
    /* Limits. */
    ROUTE_MEMBER("rate_exempt: true\n    burst: 5", AT("8:5") "routes[0].rate_exempt: excludes "
                                                              "requests_per_minute and burst, "
                                                              "give one of them"),
    ROUTE_MEMBER("requests_per_minute: 2\n    burst: 2000000",
                 AT("9:5") "routes[0].burst: a burst of 2000000 takes more than a year to fill at "
                           "2 requests a minute"),
    ROUTE_MEMBER("limits: [{per: week, requests: 1, key: address}]",
                 AT("8:20") "routes[0].limits[0].per: \"week\" is not second, minute, hour, day or "
                            "seconds:N"),
    ROUTE_MEMBER("limits: [{per: seconds:0, requests: 1, key: address}]",
                 AT("8:20") "routes[0].limits[0].per: \"seconds:0\" is not second, minute, hour, "
                            "day or seconds:N"),
    ROUTE_MEMBER("limits: [{per: day, requests: 1, key: \"header:\"}]",
                 AT("8:43") "routes[0].limits[0].key: \"header:\" is not address, user, client, "
                            "route or header:NAME"),
    ROUTE_MEMBER("limits: [{per: day, requests: 1, key: user}]",
                 AT("8:38") "routes[0].limits[0].key: user needs access: bearer or admin, nobody "
                            "shows a token here"),
    ROUTE_MEMBER("limits: [{per: day, key: route}]",
                 AT("8:14") "routes[0].limits[0]: lacks \"requests\""),
    ROUTE_MEMBER("limits: [{per: minute, requests: 1, key: route}, {per: seconds:60, requests: 2, "
                 "key: route}]",
                 AT("8:55") "routes[0].limits[1].per: limits[0] counts by route in that time too"),
    ROUTE_MEMBER("limits: [{per: day, requests: 1, burst: 400, key: route}]",
                 AT("8:38") "routes[0].limits[0].burst: a burst of 400 takes more than a year to "
                            "fill at 1 a day"),
    ROUTE_MEMBER("burst: 5\n    limits: [{per: day, requests: 1, key: route}]",
                 AT("8:5") "routes[0].burst: stands in limits when there are any"),
    ROUTE_MEMBER("rate_exempt: true\n    limits: [{per: day, requests: 1, key: route}]",
                 AT("8:5") "routes[0].rate_exempt: excludes limits, give one of them"),
    ROUTE_MEMBER("shared: {mode: sometimes}",
                 AT("8:20") "routes[0].shared.mode: \"sometimes\" is not off, leased or exact"),
    ROUTE_MEMBER(
        "shared: {mode: exact}",
        AT("8:14") "routes[0].shared.mode: needs redis.url, where the limits are kept\n" AT(
            "8:14") "routes[0].shared.mode: needs limits.shared.nodes, how many gateways "
                    "share the limits"),
    {"redis: {url: \"http://a\"}\n",
     AT("1:14") "redis.url: \"http://a\" begins with neither redis:// nor rediss://"},
    {"redis: {url: \"redis://u@127.0.0.1\"}\n",
     AT("1:14") "redis.url: the value has a user without a password"},
    {"redis: {url: \"redis://:a%2@127.0.0.1\"}\n",
     AT("1:14") "redis.url: the value has a user or password with a byte that is not "
                "percent-encoded"},
    {"redis: {url: \"redis://127.0.0.1:99999\"}\n",
     AT("1:14") "redis.url: \"redis://127.0.0.1:99999\" has no host, or a port that is not one"},
    {"redis: {url: \"redis://127.0.0.1/one\"}\n",
     AT("1:14") "redis.url: \"redis://127.0.0.1/one\" has a database that is not a number"},
    {"limits: {shared: {mode: leased, nodes: 2}}\n",
     AT("1:19") "limits.shared.mode: needs redis.url, where the limits are kept"},
    {"limits: {shared: {mode: leased}}\nredis: {url: \"redis://127.0.0.1\"}\n",
     AT("1:19") "limits.shared.mode: needs limits.shared.nodes, how many gateways share the "
                "limits"},
    ROUTE_MEMBER("circuit_breaker: {disabled: true, timeout_seconds: 5}",
                 AT("8:23") "routes[0].circuit_breaker.disabled: excludes all other settings of "
                            "the breaker"),
    ROUTE_MEMBER("circuit_breaker: {disabled: true, error_percent: 5}",
                 AT("8:23") "routes[0].circuit_breaker.disabled: excludes all other settings of "
                            "the breaker"),
    ROUTE_MEMBER("circuit_breaker: {slow_ms: 5}",
                 AT("8:23") "routes[0].circuit_breaker.slow_ms: needs slow_percent, the share that "
                            "opens it"),
    ROUTE_MEMBER("circuit_breaker: {slow_percent: 5}",
                 AT("8:23") "routes[0].circuit_breaker.slow_percent: needs slow_ms, from when on "
                            "an answer is slow"),
    ROUTE_MEMBER("circuit_breaker: {window_seconds: 5}",
                 AT("8:23") "routes[0].circuit_breaker.window_seconds: needs error_percent or "
                            "slow_percent"),
    ROUTE_MEMBER("circuit_breaker: {requests_min: 5}",
                 AT("8:23") "routes[0].circuit_breaker.requests_min: needs error_percent or "
                            "slow_percent"),
    ROUTE_MEMBER("timeouts: {endless: true, total_ms: 5}",
                 AT("8:16") "routes[0].timeouts.endless: excludes total_ms, give one of them"),
    ROUTE_MEMBER("timeouts: {total_ms: 0}",
                 AT("8:26") "routes[0].timeouts.total_ms: \"0\" is not a number from 1 to 3600000"),
    ROUTE_MEMBER("circuit_breaker: {probes_max: 9}",
                 AT("8:35") "routes[0].circuit_breaker.probes_max: \"9\" is not a number from 1 to "
                            "8"),
};
const size_t config_proxy_bad_case_count = PC_COUNT(config_proxy_bad_cases);
