// SPDX-License-Identifier: MIT
// Looking for bytes in all memory of another process.
import assert from 'node:assert/strict';
import fs from 'node:fs';

/** Others may not look into the program's processes. */
export const isMeasurable = process.getuid() === 0;

/** The processes that one has started. */
export const children = (pid) =>
  fs
    .readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter(Boolean)
    .map(Number);

/** Names of the forms that are anywhere in a process's memory that can be read. */
export function search(pid, forms) {
  const found = new Set();
  const step = 4 * 1024 * 1024;
  const overlap = 1024;
  const buffer = Buffer.alloc(step + overlap);
  const memory = fs.openSync(`/proc/${pid}/mem`, 'r');
  let bytes = 0;
  for (const line of fs.readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
    const [, from, to, readable] = line.match(/^([0-9a-f]+)-([0-9a-f]+) (r?)/) ?? [];
    if (!readable || line.includes('[vvar') || line.includes('[vsyscall')) continue;
    const end = BigInt(`0x${to}`);
    for (let at = BigInt(`0x${from}`); at < end; at += BigInt(step)) {
      const want = Math.min(step + overlap, Number(end - at));
      let got;
      try {
        got = fs.readSync(memory, buffer, 0, want, at);
      } catch {
        break; // a part of a file behind its end
      }
      bytes += got;
      const part = buffer.subarray(0, got);
      for (const [name, wanted] of forms) if (part.includes(wanted)) found.add(name);
    }
  }
  fs.closeSync(memory);
  assert.ok(bytes > 1024 * 1024, `${bytes} bytes of process ${pid} were read`);
  return [...found].sort();
}

/** What a process has mapped to read and write and shares with nobody: [{ from, to, flags }]. */
export function writable(pid) {
  const parts = [];
  for (const line of fs.readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const head = line.match(/^([0-9a-f]+)-([0-9a-f]+) (\S+)/);
    if (head) parts.push({ from: head[1], to: head[2], rights: head[3] });
    const flags = line.match(/^VmFlags: (.*)$/);
    if (flags) parts.at(-1).flags = flags[1].trim().split(' ');
  }
  return parts.filter(({ rights }) => rights === 'rw-p');
}
