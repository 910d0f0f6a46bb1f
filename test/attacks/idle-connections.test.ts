import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { startTestServer } from '../http/harness.ts';

// One address opens many connections and sends nothing, or a part of a request. A probe from the same address must
// still get an answer.

const PART_OF_HEADERS = 'GET /livez HTTP/1.1\r\nhost: x\r\nx-a: ';
const PART_OF_BODY =
  'POST /events/webhook/ci HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{';

it.each([
  ['nothing', ''],
  ['a part of the headers', PART_OF_HEADERS],
  ['a part of a body', PART_OF_BODY],
])('a probe is answered while its address holds 700 connections that sent %s', async (_, text) => {
  await using api = await startTestServer();
  const { hostname: host, port } = new URL(await api.server.listen('127.0.0.1:0'));
  const open = async (): Promise<Socket> => {
    const socket = connect({ host, port: Number(port) }).on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(text);
    return socket;
  };
  const sockets = await Promise.all(Array.from({ length: 700 }, open));
  const started = performance.now();
  const { status } = await fetch(`http://${host}:${port}/livez`, { headers: { connection: 'close' } });
  expect(status).toBe(200);
  expect(performance.now() - started).toBeLessThan(1_000);
  for (const socket of sockets) socket.destroy();
});
