-- SPDX-License-Identifier: MIT
-- What wrk sends to the transaction service: transfers between random accounts, each with an
-- Idempotency-Key of its own. TRANSFER_ACCOUNTS is how many there are, from id TRANSFER_FIRST on;
-- TRANSFER_BATCH how many go in one request (1: POST /transfers); TRANSFER_HOT=1 credits the first
-- account with all of them; TRANSFER_RUN keeps the keys of this run apart from any other's.
local first = tonumber(os.getenv("TRANSFER_FIRST"))
local accounts = tonumber(os.getenv("TRANSFER_ACCOUNTS"))
local batch = tonumber(os.getenv("TRANSFER_BATCH"))
local hot = os.getenv("TRANSFER_HOT") == "1"
local run = os.getenv("TRANSFER_RUN")
local sent, threads = 0, 0

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("TRANSFER_TOKEN")

function setup(thread)
  threads = threads + 1
  thread:set("me", threads)
end

function init()
  math.randomseed(7919 * me)
end

local function transfer()
  local payer = math.random(0, accounts - 1)
  local payee = hot and 0 or math.random(0, accounts - 1)
  if payer == payee then
    payer = (payer + 1) % accounts
  end
  return string.format('{"from_account_id":%d,"to_account_id":%d,"amount":%d.%02d}', first + payer,
                       first + payee, 0, math.random(1, 99))
end

function request()
  local body
  sent = sent + 1
  wrk.headers["Idempotency-Key"] = string.format("%s-%d-%d", run, me, sent)
  if batch == 1 then
    return wrk.format(nil, nil, nil, transfer())
  end
  body = {}
  for i = 1, batch do
    body[i] = transfer()
  end
  return wrk.format(nil, nil, nil, '{"transfers":[' .. table.concat(body, ",") .. "]}")
end
