import { createConnection } from 'node:net';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import { eventually, job, recordingProcess } from '../../conformance/queue.ts';
import { findLeaks, textMarker } from '../../leak-search.ts';
import { startRedis } from '../services/redis.ts';
import { openQueue } from './harness.ts';

const MARKER = textMarker('thrown');
const TEXT = MARKER.bytes.toString('utf8');

describe('the data of jobs in Redis', () => {
  it('contains no text of thrown errors, and stays small', async () => {
    await using server = await startRedis();
    const monitorOutput: string[] = [];
    const monitor = createConnection({ port: server.port, host: '127.0.0.1' });
    monitor.on('data', (data) => void monitorOutput.push(data.toString('utf8')));
    monitor.write('MONITOR\r\n');
    await eventually(() => monitorOutput.length > 0);

    await using queue = await openQueue(server.address);
    const { seen, process } = recordingProcess(async ({ subject }) => {
      if (subject === 'plain') throw new Error(`it said ${TEXT}`);
      if (subject === 'ours') throw new AppError('STORE_UNAVAILABLE', { cause: new Error(TEXT) });
      // A thrown value need not be an error.
      // oxlint-disable-next-line typescript/only-throw-error
      if (subject === 'bare') throw TEXT;
      return undefined;
    });
    await eventually(() => queue.health().state === 'up');
    queue.start(process);
    const subjects = [
      'plain',
      'ours',
      'bare',
      'fine',
      ...Array.from({ length: 200 }, (_, index) => `t${index}`),
    ];
    for (const subject of subjects) await queue.add(job(subject));
    await eventually(() => seen.length === subjects.length);
    await queue.idle();

    const names = await keysOf(server);
    const dumps = await Promise.all(
      names.map(async (name) => `${name} ${await server.command('DUMP', name)}`),
    );
    const streams = await server.command('XRANGE', '{secretbridge:test}:jobs:events', '-', '+');
    const failed = await server.command('HGETALL', await failedKey(server));
    monitor.destroy();
    expect(failed).toMatch(/STORE_UNAVAILABLE|INTERNAL/);
    expect(monitorOutput.join('')).toContain('STORE_UNAVAILABLE');
    const places = { dumps: dumps.join('\n'), streams, failed, monitor: monitorOutput.join('') };
    expect(
      findLeaks(
        Object.entries(places).map(([name, bytes]) => ({ name, bytes })),
        [MARKER],
      ),
    ).toEqual([]);
    // Finished jobs are removed, except for a few failed ones.
    expect(names.filter((name) => !name.startsWith('{secretbridge:test}:'))).toEqual([]);
    expect(names.length).toBeLessThan(15);
  });
});

async function keysOf(server: { command(...words: string[]): Promise<string> }): Promise<string[]> {
  const answer = await server.command('KEYS', '*');
  return answer.split('\r\n').filter((line) => line !== '' && !/^[*$]\d/.test(line));
}

async function failedKey(server: { command(...words: string[]): Promise<string> }): Promise<string> {
  const ids = await server.command('ZRANGE', '{secretbridge:test}:jobs:failed', '0', '0');
  return `{secretbridge:test}:jobs:${ids.split('\r\n')[2]}`;
}
