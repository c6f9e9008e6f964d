/* SPDX-License-Identifier: MIT
 * Wrong configuration files and exactly what is told about each, line by line. */
#include "app/config_test.h"

#define X16  "xxxxxxxxxxxxxxxx"
#define X256 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16
#define NET13                                                                                      \
    "10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, "             \
    "10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1, 10.0.0.1"
#define OPEN20  "[[[[[[[[[[[[[[[[[[[["
#define CLOSE20 "]]]]]]]]]]]]]]]]]]]]"

const struct config_case config_bad_cases[] = {
    /* Keys that are not known, and what they may have meant. */
    {"upstrems:\n  a: 1\n",
     "portcullis.yaml:1:1: unknown key \"upstrems\", did you mean \"upstreams\"?"},
    {"gatway:\n  port: 1\n",
     "portcullis.yaml:1:1: unknown key \"gatway\", did you mean \"gateway\"?"},
    {"gateway:\n  prot: 8000\n",
     "portcullis.yaml:2:3: unknown key \"prot\" in gateway, did you mean \"port\"?"},
    {"port: 8000\n", "portcullis.yaml:1:1: unknown key \"port\", did you mean \"gateway.port\"?"},
    {"jwt:\n  sceret: 0123456789\n",
     "portcullis.yaml:2:3: unknown key \"sceret\" in jwt, did you mean \"secret\"?"},
    {"enviroment: production\n",
     "portcullis.yaml:1:1: unknown key \"enviroment\", did you mean \"environment\"?"},
    {"gateway:\n  tls:\n    certficate: a.pem\n", "portcullis.yaml:3:5: unknown key \"certficate\" "
                                                  "in gateway.tls, did you mean \"certificate\"?"},
    {"zzzzzzzz: 1\n", "portcullis.yaml:1:1: unknown key \"zzzzzzzz\""},
    {"? [a, b]\n: 1\n", "portcullis.yaml:1:3: a key must be a plain word"},
    {"gateway.port: 8000\n",
     "portcullis.yaml:1:1: unknown key \"gateway.port\", sections are nested here, not dotted"},
    {"\"\": 1\n", "portcullis.yaml:1:1: unknown key \"\""},
    {"<<: 5\n", "portcullis.yaml:1:1: unknown key \"<<\""},
    {"limits:\n  routes:\n    - rout: GET /x\n      burst: 1\n",
     "portcullis.yaml:3:7: unknown key \"rout\" in limits.routes[0], did you mean \"route\"?\n"
     "portcullis.yaml:3:7: limits.routes[0]: lacks \"route\""},
    {"\"a\\0b\": 1\n", "portcullis.yaml:1:1: unknown key \"a\\u0000b\""},
    {"cors:\n  allowed_orgins: []\nlog:\n  levle: info\n",
     "portcullis.yaml:2:3: unknown key \"allowed_orgins\" in cors, did you mean "
     "\"allowed_origins\"?\n"
     "portcullis.yaml:4:3: unknown key \"levle\" in log, did you mean \"level\"?"},
    /* Anything given twice. */
    {"data: a\ndata: b\n", "portcullis.yaml:2:1: data is given twice, first at line 1"},
    {"jwt:\n  issuer: a\nlog:\n  level: info\njwt:\n  leeway_seconds: 1\n",
     "portcullis.yaml:5:1: jwt is given twice, first at line 1"},
    {"gateway:\n  port: 1\n  port: 2\n",
     "portcullis.yaml:3:3: gateway.port is given twice, first at line 2"},
    {"limits:\n  plans:\n    - plan: a\n      burst: 1\n      burst: 2\n",
     "portcullis.yaml:5:7: limits.plans[0].burst is given twice, first at line 4"},
    /* Numbers. */
    {"gateway:\n  port: 80a\n",
     "portcullis.yaml:2:9: gateway.port: \"80a\" is not a number from 0 to 65535"},
    {"gateway:\n  port: 65536\n",
     "portcullis.yaml:2:9: gateway.port: \"65536\" is not a number from 0 to 65535"},
    {"gateway:\n  port: -1\n",
     "portcullis.yaml:2:9: gateway.port: \"-1\" is not a number from 0 to 65535"},
    {"gateway:\n  port: +1\n",
     "portcullis.yaml:2:9: gateway.port: \"+1\" is not a number from 0 to 65535"},
    {"gateway:\n  port: 010\n",
     "portcullis.yaml:2:9: gateway.port: \"010\" is not a number from 0 to 65535"},
    {"gateway:\n  port: 0x50\n",
     "portcullis.yaml:2:9: gateway.port: \"0x50\" is not a number from 0 to 65535"},
    {"gateway:\n  port: 8_000\n",
     "portcullis.yaml:2:9: gateway.port: \"8_000\" is not a number from 0 to 65535"},
    {"gateway:\n  port: 8.0\n",
     "portcullis.yaml:2:9: gateway.port: \"8.0\" is not a number from 0 to 65535"},
    {"gateway:\n  port: 99999999999999999999999\n",
     "portcullis.yaml:2:9: gateway.port: \"99999999999999999999999\" is not a number from 0 to "
     "65535"},
    {"gateway:\n  port: \"8000\"\n",
     "portcullis.yaml:2:9: gateway.port: takes a number from 0 to 65535, without quotes"},
    {"gateway:\n  port:\n",
     "portcullis.yaml:2:8: gateway.port: has no value, give it one or leave it out"},
    {"gateway:\n  port: null\n",
     "portcullis.yaml:2:9: gateway.port: has no value, give it one or leave it out"},
    {"gateway:\n  port: [8000]\n",
     "portcullis.yaml:2:9: gateway.port: takes a number from 0 to 65535, not a list"},
    {"gateway:\n  port: {a: 1}\n",
     "portcullis.yaml:2:9: gateway.port: takes a number from 0 to 65535, not a section"},
    {"http:\n  body_bytes_max: 1\n",
     "portcullis.yaml:2:19: http.body_bytes_max: \"1\" is not a number from 1024 to 2097152"},
    {"workers:\n  hashers: 0\n",
     "portcullis.yaml:2:12: workers.hashers: \"0\" is not a number from 1 to 8"},
    {"circuit_breaker:\n  timeout_seconds: 60s\n",
     "portcullis.yaml:2:20: circuit_breaker.timeout_seconds: \"60s\" is not a number from 1 to "
     "3600"},
    /* Switches. */
    {"tls_terminated_in_front: yes\n",
     "portcullis.yaml:1:26: tls_terminated_in_front: \"yes\" is not true or false"},
    {"tls_terminated_in_front: True\n",
     "portcullis.yaml:1:26: tls_terminated_in_front: \"True\" is not true or false"},
    {"log:\n  access: 1\n", "portcullis.yaml:2:11: log.access: \"1\" is not true or false"},
    {"log:\n  access: \"true\"\n",
     "portcullis.yaml:2:11: log.access: takes true or false, without quotes"},
    /* Choices. */
    {"environment: prod\n", "portcullis.yaml:1:14: environment: \"prod\" is not production or "
                            "development, did you mean production?"},
    {"environment: Production\n", "portcullis.yaml:1:14: environment: \"Production\" is not "
                                  "production or development, did you mean production?"},
    {"environment: staging\n",
     "portcullis.yaml:1:14: environment: \"staging\" is not production or development"},
    {"jwt:\n  algorithm: none\n",
     "portcullis.yaml:2:14: jwt.algorithm: \"none\" is not HS256, HS384, HS512, RS256, RS384, "
     "RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA"},
    {"jwt:\n  algorithm: hs256\n",
     "portcullis.yaml:2:14: jwt.algorithm: \"hs256\" is not HS256, HS384, HS512, RS256, RS384, "
     "RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA, did you mean HS256?"},
    {"password:\n  scheme: bcrpt\n", "portcullis.yaml:2:11: password.scheme: \"bcrpt\" is not "
                                     "argon2id or bcrypt, did you mean bcrypt?"},
    {"database:\n  sslmode: prefer\n", "portcullis.yaml:2:12: database.sslmode: \"prefer\" is not "
                                       "disable, require, verify-ca or verify-full"},
    {"log:\n  level: [info]\n",
     "portcullis.yaml:2:10: log.level: takes debug, info, warn or error, not a list"},
    /* Texts. A secret's wrong value is never repeated. */
    {"data: \"\"\n", "portcullis.yaml:1:7: data: the text is empty"},
    {"data: ~\n", "portcullis.yaml:1:7: data: has no value, give it one or leave it out"},
    {"data: \"a\\0b\"\n", "portcullis.yaml:1:7: data: the text holds a NUL or is not UTF-8"},
    {"gateway:\n  host: \"not a host\"\n",
     "portcullis.yaml:2:9: gateway.host: \"not a host\" is "
     "not a host name or an address such as 127.0.0.1, 0.0.0.0 or ::"},
    {"gateway:\n  host: 1::2::3\n",
     "portcullis.yaml:2:9: gateway.host: \"1::2::3\" is not a host name or an address such as "
     "127.0.0.1, 0.0.0.0 or ::"},
    {"database:\n  url: mysql://root:hunter2hunter2@db/x\n",
     "portcullis.yaml:2:8: database.url: the value is not a database URL that begins with sqlite: "
     "or postgresql://"},
    {"database:\n  url: \"sqlite:\"\n", "portcullis.yaml:2:8: database.url: the value is not a "
                                        "database URL that begins with sqlite: or postgresql://"},
    {"jwt:\n  secret: [hunter2hunter2]\n",
     "portcullis.yaml:2:11: jwt.secret: takes a text, not a list"},
    {"jwt:\n  issuer: " X256 "x\n",
     "portcullis.yaml:2:11: jwt.issuer: the text is longer than 256 bytes"},
    {"oauth:\n  issuer: auth.example.com\n",
     "portcullis.yaml:2:11: oauth.issuer: \"auth.example.com\" is not a URL such as "
     "https://auth.example.com, without query and trailing slash"},
    {"oauth:\n  issuer: https://auth.example.com/\n",
     "portcullis.yaml:2:11: oauth.issuer: \"https://auth.example.com/\" is not a URL such as "
     "https://auth.example.com, without query and trailing slash"},
    {"oauth:\n  url: \"https://auth.example.com?a=b\"\n",
     "portcullis.yaml:2:8: oauth.url: \"https://auth.example.com?a=b\" is not a URL such as "
     "https://auth.example.com, without query and trailing slash"},
    {"oauth:\n  token_url: \"https://a.example/t#x\"\n  authorize_url: ftp://a.example/a\n",
     "portcullis.yaml:2:14: oauth.token_url: \"https://a.example/t#x\" is not a URL such as "
     "https://auth.example.com, without query and trailing slash\n"
     "portcullis.yaml:3:18: oauth.authorize_url: \"ftp://a.example/a\" is not a URL such as "
     "https://auth.example.com, without query and trailing slash"},
    {"oauth:\n  algorithm: HS256\n", "portcullis.yaml:2:14: oauth.algorithm: \"HS256\" is not "
                                     "RS256, PS256, ES256 or EdDSA, did you mean RS256?"},
    {"oauth:\n  code_seconds: 61\n",
     "portcullis.yaml:2:17: oauth.code_seconds: \"61\" is not a number from 5 to 60"},
    /* Lists. */
    {"trusted_proxies: 10.0.0.0/8\n",
     "portcullis.yaml:1:18: trusted_proxies: takes a list, not a single value"},
    {"trusted_proxies: [10.0.0.0/33]\n", "portcullis.yaml:1:19: trusted_proxies: \"10.0.0.0/33\" "
                                         "is not a network such as 10.0.0.0/8 or 2001:db8::/32"},
    {"trusted_proxies: [10.0.0.1/8]\n", "portcullis.yaml:1:19: trusted_proxies: \"10.0.0.1/8\" is "
                                        "not a network such as 10.0.0.0/8 or 2001:db8::/32"},
    {"trusted_proxies: [10.0.0/8, \"fe80::/10\", x]\n",
     "portcullis.yaml:1:19: trusted_proxies: \"10.0.0/8\" is not a network such as 10.0.0.0/8 or "
     "2001:db8::/32\n"
     "portcullis.yaml:1:42: trusted_proxies: \"x\" is not a network such as 10.0.0.0/8 or "
     "2001:db8::/32"},
    {"trusted_proxies: [[10.0.0.0/8]]\n", "portcullis.yaml:1:19: trusted_proxies: takes a network "
                                          "such as 10.0.0.0/8 or 2001:db8::/32, not a list"},
    {"trusted_proxies: [\"\", ~]\n",
     "portcullis.yaml:1:19: trusted_proxies: the text is empty\n"
     "portcullis.yaml:1:23: trusted_proxies: has no value, give it one or leave it out"},
    {"cors:\n  allowed_origins: [\"https://a.example/\"]\n",
     "portcullis.yaml:2:21: cors.allowed_origins: \"https://a.example/\" is not an origin such as "
     "https://app.example.com, or *"},
    {"cors:\n  allowed_origins: [a.example, \"ftp://a.example\", \"https://A.example\"]\n",
     "portcullis.yaml:2:21: cors.allowed_origins: \"a.example\" is not an origin such as "
     "https://app.example.com, or *\n"
     "portcullis.yaml:2:32: cors.allowed_origins: \"ftp://a.example\" is not an origin such as "
     "https://app.example.com, or *\n"
     "portcullis.yaml:2:51: cors.allowed_origins: \"https://A.example\" is not an origin such as "
     "https://app.example.com, or *"},
    {"cors:\n  allowed_origins: [\"https://a.example:99999\", \"null\"]\n",
     "portcullis.yaml:2:21: cors.allowed_origins: \"https://a.example:99999\" is not an origin "
     "such as https://app.example.com, or *\n"
     "portcullis.yaml:2:48: cors.allowed_origins: \"null\" is not an origin such as "
     "https://app.example.com, or *"},
    {"metrics:\n  allow: [" NET13 ", " NET13 ", " NET13 ", " NET13 ", " NET13 "]\n",
     "portcullis.yaml:2:10: metrics.allow: the list has more than 64 items"},
    {"limits:\n  routes:\n    - GET /x\n",
     "portcullis.yaml:3:7: limits.routes[0]: takes a section, not a single value"},
    /* Rows. */
    {"limits:\n  routes:\n    route: GET /x\n",
     "portcullis.yaml:3:5: limits.routes: takes a list, not a section"},
    {"limits:\n  routes:\n    - route: GET x\n      burst: 1\n",
     "portcullis.yaml:3:14: limits.routes[0].route: \"GET x\" is not a method and a path such as "
     "\"POST /api/v1/auth/login\""},
    {"limits:\n  routes:\n    - route: FETCH /x\n      burst: 1\n",
     "portcullis.yaml:3:14: limits.routes[0].route: \"FETCH /x\" is not a method and a path such "
     "as \"POST /api/v1/auth/login\""},
    {"limits:\n  routes:\n    - burst: 1\n",
     "portcullis.yaml:3:7: limits.routes[0]: lacks \"route\""},
    {"limits:\n  routes:\n    - route: GET /x\n",
     "portcullis.yaml:2:3: limits.routes: \"GET /x\" sets no limit"},
    {"limits:\n  requests_per_minute: 1\n  burst: 1000000000\n",
     "portcullis.yaml:3:3: limits.burst: a burst of 1000000000 takes more than a year to fill at 1 "
     "requests a minute"},
    {"limits:\n  plans:\n    - {plan: gold, requests_per_minute: 2, burst: 2000000}\n",
     "portcullis.yaml:2:3: limits.plans: a burst of 2000000 takes more than a year to fill at 2 "
     "requests a minute"},
    {"limits:\n  users:\n    - user: 7\n      plan: gold\n",
     "portcullis.yaml:2:3: limits.users: \"7\" is on the plan \"gold\", which limits.plans lacks"},
    {"limits:\n  plans:\n    - {plan: gold, burst: 5}\n  users:\n    - {user: 7, plan: gold, "
     "burst: 9}\n",
     "portcullis.yaml:4:3: limits.users: \"7\" has both a plan and numbers, give one of them"},
    {"limits:\n  plans:\n    - {plan: gold, burst: 5}\n    - {plan: gold, burst: 6}\n",
     "portcullis.yaml:2:3: limits.plans: \"gold\" is listed twice"},
    {"- a\n- b\n", "portcullis.yaml:1:1: the file must hold keys and values"},
    /* The shape of the file, and YAML that two readers might read differently. */
    {"hello\n", "portcullis.yaml:1:1: the file must hold keys and values"},
    {"gateway: 8000\n",
     "portcullis.yaml:1:10: gateway: is a section: give it members or leave it out"},
    {"gateway:\n", "portcullis.yaml:1:9: gateway: is a section: give it members or leave it out"},
    {"limits: []\n", "portcullis.yaml:1:9: limits: is a section: give it members or leave it out"},
    {"environment: development\n---\nenvironment: production\n",
     "portcullis.yaml:2:1: only one document is read"},
    {"data: &x ./data\n",
     "portcullis.yaml:1:7: anchors and aliases are not read here, write it out"},
    {"data: *x\n", "portcullis.yaml:1:7: anchors and aliases are not read here, write it out"},
    {"jwt: &j\n  issuer: a\nlog: *j\n",
     "portcullis.yaml:1:6: anchors and aliases are not read here, write it out\n"
     "portcullis.yaml:3:6: anchors and aliases are not read here, write it out"},
    {"data: !!str a\n", "portcullis.yaml:1:7: tags are not read here, leave it out"},
    {"data: !secret a\n", "portcullis.yaml:1:7: tags are not read here, leave it out"},
    {"gateway:\n\tport: 1\n", "portcullis.yaml:2:1: a tab cannot indent YAML, use spaces"},
    {"gateway: {port: 1\n", "portcullis.yaml:2:1: did not find expected ',' or '}' while parsing a "
                            "flow mapping that began at line 1"},
    {"data: \"unclosed\n", "portcullis.yaml:2:1: found unexpected end of stream while scanning a "
                           "quoted scalar that began at line 1"},
    {"data: 'a' b\n", "portcullis.yaml:1:11: did not find expected key while parsing a block "
                      "mapping that began at line 1"},
    {"data: a: b\n", "portcullis.yaml:1:8: mapping values are not allowed in this context"},
    {"gateway:\n  port: 1\n host: a\n", "portcullis.yaml:3:2: did not find expected key while "
                                        "parsing a block mapping that began at line 1"},
    {"zzzz: " OPEN20 OPEN20 "" CLOSE20 CLOSE20 "\n",
     "portcullis.yaml:1:1: unknown key \"zzzz\"\n"
     "portcullis.yaml:1:23: this is nested too deeply"},
    {"data: a\n\nlog: é\007\n", "portcullis.yaml:3:7: this character is not allowed in YAML"},
    {"%YAML 9.9\n---\ndata: a\n", "portcullis.yaml:1:1: found incompatible YAML document"},
    /* Settings that do not go together. */
    {"cors:\n  allowed_origins: [\"*\"]\n",
     "portcullis.yaml:2:3: cors.allowed_origins: * never goes together with credentials, list the "
     "origins or set cors.allow_credentials: false"},
    {"gateway:\n  tls:\n    certificate: a.pem\n",
     "portcullis.yaml:3:5: gateway.tls.certificate: needs gateway.tls.key"},
    {"gateway:\n  tls:\n    key: a.pem\n",
     "portcullis.yaml:3:5: gateway.tls.key: needs gateway.tls.certificate"},
    {"gateway:\n  tls:\n    client_auth: required\n",
     "portcullis.yaml:3:5: gateway.tls.client_auth: client certificates need HTTPS, set "
     "gateway.tls.certificate\n"
     "portcullis.yaml:3:5: gateway.tls.client_auth: needs gateway.tls.client_ca to check client "
     "certificates against"},
    {"gateway:\n  tls:\n    client_ca: a.pem\n",
     "warning: portcullis.yaml:3:5: gateway.tls.client_ca: has no effect while "
     "gateway.tls.client_auth is none"},
    {"auth:\n  tls:\n    certificate: a.pem\n",
     "portcullis.yaml:3:5: auth.tls.certificate: needs auth.tls.key"},
    {"auth:\n  tls:\n    client_auth: optional\n",
     "portcullis.yaml:3:5: auth.tls.client_auth: client certificates need HTTPS, set "
     "auth.tls.certificate\n"
     "portcullis.yaml:3:5: auth.tls.client_auth: needs auth.tls.client_ca to check client "
     "certificates against"},
    {"auth:\n  port: 8000\n", "portcullis.yaml:2:3: auth.port: 8000 is gateway.port too"},
    {"jwt:\n  issuer: https://a.example\noauth:\n  issuer: https://a.example\n",
     "portcullis.yaml:4:3: oauth.issuer: is jwt.issuer too, but tokens of both kinds must be told "
     "apart"},
    {"oauth:\n  public_key_file: a.pem\n",
     "portcullis.yaml:2:3: oauth.public_key_file: needs oauth.private_key_file"},
    {"account:\n  port: 8003\n", "transaction.port: 8003 is account.port too"},
    {"ledger:\n  key_hours: 0\n  backdate_days: -1\n",
     "portcullis.yaml:2:14: ledger.key_hours: \"0\" is not a number from 1 to 8760\n"
     "portcullis.yaml:3:18: ledger.backdate_days: \"-1\" is not a number from 0 to 3660"},
    {"oauth:\n  kid: a\n", "warning: portcullis.yaml:2:3: oauth.kid: has no effect without "
                           "oauth.private_key_file, whose name it is"},
    {"http:\n  connections_max: 16\n  connections_per_ip_max: 17\n",
     "warning: portcullis.yaml:3:3: http.connections_per_ip_max: 17 has no effect, "
     "http.connections_max is 16"},
    {"jwt:\n  key_file: a.pem\n", "portcullis.yaml:2:3: jwt.key_file: HS256 signs with a secret, "
                                  "not with a key file, set jwt.algorithm to what the key is for"},
    {"http:\n  head_bytes_max: 1024\n",
     "http.target_bytes_max: 8192 is more than http.head_bytes_max, 1024, of which it is a part"},
    {"password:\n  argon2_memory_kib: 8192\n  argon2_passes: 5\n  argon2_lanes: 8\n  scheme: "
     "bcrypt\n  bcrypt_cost: 4\n",
     "warning: portcullis.yaml:6:3: password.bcrypt_cost: 4 is too cheap to guess against, take at "
     "least 10"},
    {"process:\n  group: adm\n",
     "portcullis.yaml:2:3: process.group: goes with process.user, which is not set: name the user, "
     "too"},
    {"trusted_proxies: [0.0.0.0/0]\nmetrics:\n  allow: [\"::/0\"]\n",
     "warning: portcullis.yaml:1:1: trusted_proxies: 0.0.0.0/0 believes X-Forwarded-For of anyone, "
     "name your proxies\n"
     "warning: portcullis.yaml:3:3: metrics.allow: ::/0 shows metrics to anyone"},
};
const size_t config_bad_case_count = PC_COUNT(config_bad_cases);
