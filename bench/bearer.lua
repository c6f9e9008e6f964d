-- SPDX-License-Identifier: MIT
-- What wrk asks with another bearer token each time: the lines of the file BEARER_TOKENS in turn,
-- from the beginning again behind the last. There are more of them than are remembered.
local file = os.getenv("BEARER_TOKENS")
local lines

function init()
  lines = io.lines(file)
end

function request()
  local token = lines()
  if not token then
    lines = io.lines(file)
    token = lines()
  end
  wrk.headers["Authorization"] = "Bearer " .. token
  return wrk.format()
end
