// SPDX-License-Identifier: MIT
// The state of the whole system, asked for every few seconds while anybody looks, and the last hour
// of it. Counters of a node only grow; what is shown is what came on top since the answer before.
import { get, Problem } from './api.js';
import { modelOf } from './model.js';
import { stepsBetween } from './rates.js';

const everyMs = 5000;
const secondMs = 2000; // until there is something to compare
const samplesMax = 720;

const bus = new EventTarget();
let samples = [];
let state = { model: undefined, fault: undefined };
let timer;
let asking;

export const latest = () => state;
export const history = () => samples;

/** Calls `listener` after each answer, until `signal`. */
export function subscribe(listener, signal) {
  bus.addEventListener('change', listener, { signal });
}

/** One more step of the history: [{ at, steps }]. */
function keep(model) {
  if (state.model) {
    const step = { at: Date.now() / 1000, steps: stepsBetween(state.model, model) };
    samples = [...samples.slice(1 - samplesMax), step];
  }
  state = { model, fault: undefined };
}

async function ask() {
  let wait = samples.length === 0 ? secondMs : everyMs;
  try {
    keep(modelOf(await get('/monitoring/status')));
  } catch (error) {
    state = { ...state, fault: error };
    if (error instanceof Problem && error.retryAfter)
      wait = Math.max(wait, error.retryAfter * 1000);
  }
  bus.dispatchEvent(new Event('change'));
  return wait;
}

async function turn() {
  clearTimeout(timer);
  if (document.hidden || asking) return;
  asking = ask();
  const wait = await asking;
  asking = undefined;
  if (timer !== undefined) timer = setTimeout(turn, wait);
}

export function startLive() {
  timer = 0;
  turn();
}

export function stopLive() {
  clearTimeout(timer);
  timer = undefined;
  samples = [];
  state = { model: undefined, fault: undefined };
}

/** Now, and not in a few seconds. */
export function refreshLive() {
  if (timer !== undefined) turn();
}

document.addEventListener('visibilitychange', refreshLive);
