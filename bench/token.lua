-- SPDX-License-Identifier: MIT
-- What wrk sends to a token endpoint. TOKEN_BODY is the form; with TOKEN_ASSERTIONS, a file of one
-- client assertion a line, each request gets the next one. It stops asking when they are used up.
local body = os.getenv("TOKEN_BODY")
local file = os.getenv("TOKEN_ASSERTIONS")
local lines

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"

function init()
  if file then
    lines = io.lines(file)
  end
end

function request()
  if not lines then
    return wrk.format(nil, nil, nil, body)
  end
  local assertion = lines()
  if not assertion then
    io.stderr:write("the assertions are used up\n")
    os.exit(3)
  end
  return wrk.format(nil, nil, nil, body .. "&client_assertion=" .. assertion)
end
