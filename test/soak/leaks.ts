import { execFile } from 'node:child_process';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findPostgres } from '../integration/services/postgres.ts';
import { formsOf, type Marker } from '../leak-search.ts';
import type { Scene } from './scene.ts';

/** Looks for markers in whatever it is shown, and keeps only where one was seen. */
export interface LeakScan {
  readonly bytes: number;
  /** Where, and in which form; never the marker itself. */
  readonly found: ReadonlySet<string>;
  look(place: string, bytes: Buffer | string): void;
  /** Without holding it in memory as a whole. */
  lookAtFile(place: string, path: string): Promise<void>;
}

const OVERLAP = 4_096;

export function createLeakScan(markers: readonly Marker[]): LeakScan {
  // A marker may be its own core, and some forms of it are the same: hundreds of megabytes are searched.
  const forms = markers.flatMap(({ name, bytes, core }) =>
    [...formsOf(bytes), ...formsOf(core)].map(
      ([form, needle]) => [needle.toString('hex'), { what: `${name}, ${form}`, needle }] as const,
    ),
  );
  const needles = [...new Map(forms).values()];
  const found = new Set<string>();
  let seen = 0;
  const look = (place: string, bytes: Buffer | string): void => {
    const hay = Buffer.from(bytes);
    seen += hay.byteLength;
    for (const { what, needle } of needles) if (hay.includes(needle)) found.add(`${place}: ${what}`);
  };
  return {
    get bytes() {
      return seen;
    },
    found,
    look,
    async lookAtFile(place, path) {
      let tail: Buffer = Buffer.alloc(0);
      for await (const chunk of createReadStream(path, { highWaterMark: 4 * 1_024 * 1_024 })) {
        const hay = Buffer.concat([tail, chunk as Buffer]);
        look(place, hay);
        tail = hay.subarray(Math.max(0, hay.byteLength - OVERLAP));
      }
    },
  };
}

/** Writes down all that Redis is told, across its restarts. */
export function recordRedis(scene: Scene, path: string): AsyncDisposable {
  const file: WriteStream = createWriteStream(path);
  let socket: Socket | undefined;
  let closed = false;
  const open = (): void => {
    if (closed) return;
    const own = connect({ host: '127.0.0.1', port: scene.redis.port });
    socket = own;
    own.on('connect', () => own.write('MONITOR\r\n'));
    own.on('data', (data) => file.write(data));
    // Redis is down for a moment. The `close` handler that follows connects again.
    own.on('error', () => undefined);
    own.on('close', () => setTimeout(open, 50));
  };
  open();
  return {
    async [Symbol.asyncDispose]() {
      closed = true;
      socket?.destroy();
      await new Promise<void>((resolve) => file.end(resolve));
    },
  };
}

/** Everything that Redis holds: its dump as it would be saved, and each key as a client sees it. */
export async function lookAtRedis(scene: Scene, scan: LeakScan): Promise<void> {
  const { redis } = scene;
  const configured = await redis.command('CONFIG', 'GET', 'dir');
  const folder = configured.split('\r\n').at(4) ?? '';
  await redis.command('CONFIG', 'SET', 'rdbcompression', 'no');
  await redis.command('SAVE');
  scan.look('the dump of Redis', await readFile(join(folder, 'dump.rdb')));
  const keys = (await redis.command('KEYS', '*'))
    .split('\r\n')
    .filter((line) => line !== '' && !/^[$*]\d/.test(line));
  for (const key of keys) {
    const type = (await redis.command('TYPE', key)).replace('+', '').trim();
    const read: Readonly<Record<string, readonly string[]>> = {
      string: ['GET', key],
      hash: ['HGETALL', key],
      list: ['LRANGE', key, '0', '-1'],
      set: ['SMEMBERS', key],
      zset: ['ZRANGE', key, '0', '-1'],
      stream: ['XRANGE', key, '-', '+'],
    };
    scan.look(`the key ${key} of Redis`, await redis.command(...(read[type] ?? ['DUMP', key])));
  }
}

/** The whole database as text, as its own tool writes it. */
export async function lookAtPostgres({ database }: Scene, scan: LeakScan): Promise<void> {
  const folder = await findPostgres(() => undefined);
  const { stdout } = await promisify(execFile)(join(folder, 'pg_dump'), ['--dbname', database.url], {
    maxBuffer: 2 ** 31 - 1,
    encoding: 'buffer',
  });
  scan.look('the dump of PostgreSQL', stdout);
}
