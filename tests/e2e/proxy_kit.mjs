// SPDX-License-Identifier: MIT
// Upstreams for the tests of the proxy: one that answers as its path says and keeps what it was
// asked, and one that sends the bytes it is given, right or wrong.
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';

const bodyOf = async (req) => {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks);
};

/**
 * A server of Node's own: { port, asked, connections, stop }. `answer(req, res, body)` may answer
 * in its own way; without one it tells what it was asked, as JSON.
 */
export async function startUpstream(answer) {
  const asked = [];
  const sockets = new Set();
  let connections = 0;
  const server = http.createServer(async (req, res) => {
    const seen = { method: req.method, url: req.url, headers: req.headers, raw: req.rawHeaders };
    asked.push(seen);
    if (answer && (await answer(req, res, seen))) return;
    seen.body = await bodyOf(req);
    const { port } = server.address();
    const text = JSON.stringify({ ...seen, body: seen.body.toString(), port });
    res.writeHead(200, { 'Content-Type': 'application/json' });
    res.end(text);
  });
  server.keepAliveTimeout = 60_000;
  server.on('connection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    asked,
    sockets,
    get connections() {
      return connections;
    },
    async stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

/** Speaks plain TCP: `talk(socket, text)` is called with each piece that comes. */
export async function startRaw(talk) {
  const sockets = new Set();
  const pieces = [];
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (bytes) => {
      pieces.push(bytes.toString('latin1'));
      talk(socket, bytes.toString('latin1'));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    sockets,
    pieces,
    async stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
