import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getHeapStatistics } from 'node:v8';
import { keepHeapSmall } from '../../src/cli/heap.ts';

// Sends requests in a process of its own. Prints the most memory that compilers of V8 have needed, in MiB.

if (process.argv[2] === 'small') keepHeapSmall('service');
const { Agent, request } = await import('undici');
const text = JSON.stringify({ values: Array.from({ length: 200 }, (_, n) => `value ${n}`) });
const server = createServer((_, response) => response.end(text)).listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;
const dispatcher = new Agent();
for (let round = 0; round < 100; round += 1)
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      const { body } = await request(`http://127.0.0.1:${port}/`, { dispatcher });
      await body.text();
    }),
  );
await dispatcher.close();
server.close();
process.stdout.write(String(Math.round(getHeapStatistics().peak_malloced_memory / 2 ** 20)));
