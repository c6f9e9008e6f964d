#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Plays the Postman collections against a server that runs already, with Newman.
#
#   tests/postman/run_newman.sh [NAME=VALUE]... [NEWMAN OPTION]...
#
# Where it is and who asks comes from the environment, or from arguments as the published system's
# script took them; the defaults are those of `make run`:
#
#   AUTH_BASE_URL ACCOUNT_BASE_URL TRANSACTION_BASE_URL    http://localhost:8001, 8002, 8003
#   GATEWAY_BASE_URL AUDIT_BASE_URL MONITORING_BASE_URL    http://localhost:8000, 8004, 8005
#   CLIENT_ID CLIENT_SECRET                                web-portal, change-me
#   USERNAME PASSWORD                                      analyst@example.com, P@ssw0rd!
#   ADMIN_EMAIL ADMIN_PASSWORD                             admin@example.com, admin123
#   COLLECTIONS                                            names of files beside this one
#   REPORTS                                                a folder for Newman's reports as JSON
#
# The exit code is 0 when every assertion of every collection holds.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
newman=$here/../../node_modules/.bin/newman

if [ ! -x "$newman" ]; then
    echo "run_newman.sh: newman is missing: run scripts/deps test" >&2
    exit 2
fi
# A login shell's USERNAME is the person at the keyboard, whom the server does not know.
case ${USERNAME:-} in
*@*) ;;
*) unset USERNAME ;;
esac
names=(AUTH_BASE_URL ACCOUNT_BASE_URL TRANSACTION_BASE_URL GATEWAY_BASE_URL AUDIT_BASE_URL
    MONITORING_BASE_URL CLIENT_ID CLIENT_SECRET USERNAME PASSWORD ADMIN_EMAIL ADMIN_PASSWORD)
# Newman would pass over an argument that it does not know, and ask the wrong server.
while [[ ${1:-} =~ ^([A-Z_]+)=(.*)$ ]]; do
    case " ${names[*]} COLLECTIONS REPORTS " in
    *" ${BASH_REMATCH[1]} "*) declare "${BASH_REMATCH[1]}=${BASH_REMATCH[2]}" ;;
    *)
        echo "run_newman.sh: nothing is called ${BASH_REMATCH[1]}" >&2
        exit 2
        ;;
    esac
    shift
done
options=()
for name in "${names[@]}"; do
    [ -z "${!name:-}" ] || options+=(--env-var "$name=${!name}")
done
failed=0
for name in ${COLLECTIONS:-portcullis origin}; do
    reports=()
    [ -z "${REPORTS:-}" ] ||
        reports=(--reporters "cli,json" --reporter-json-export "$REPORTS/$name.json")
    "$newman" run "$here/$name.postman_collection.json" "${options[@]}" "${reports[@]}" "$@" ||
        failed=1
done
exit "$failed"
