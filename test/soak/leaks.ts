import { execFile } from 'node:child_process';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findPostgres } from '../integration/services/postgres.ts';
import { formsOf, type Marker } from '../leak-search.ts';
import type { Scene } from './scene.ts';

/** Searches bytes for markers. Remembers only the places of matches. */
export interface LeakScan {
  readonly bytes: number;
  /** The place and the encoding of each match, without the marker itself. */
  readonly leaks: ReadonlySet<string>;
  search(place: string, bytes: Buffer | string): void;
  /** Streams the file instead of loading it into memory. */
  searchFile(place: string, path: string): Promise<void>;
}

const OVERLAP = 4_096;

export function createLeakScan(markers: readonly Marker[]): LeakScan {
  // Removes duplicate search terms, because the search covers hundreds of megabytes.
  const forms = markers.flatMap(({ name, bytes, core }) =>
    [...formsOf(bytes), ...formsOf(core)].map(
      ([form, needle]) => [needle.toString('hex'), { what: `${name}, ${form}`, needle }] as const,
    ),
  );
  const needles = [...new Map(forms).values()];
  const found = new Set<string>();
  let searchedBytes = 0;
  const look = (place: string, bytes: Buffer | string): void => {
    const hay = Buffer.from(bytes);
    searchedBytes += hay.byteLength;
    for (const { what, needle } of needles) if (hay.includes(needle)) found.add(`${place}: ${what}`);
  };
  return {
    get bytes() {
      return searchedBytes;
    },
    leaks: found,
    search: look,
    async searchFile(place, path) {
      let tail: Buffer = Buffer.alloc(0);
      for await (const chunk of createReadStream(path, { highWaterMark: 4 * 1_024 * 1_024 })) {
        const hay = Buffer.concat([tail, chunk as Buffer]);
        look(place, hay);
        tail = hay.subarray(Math.max(0, hay.byteLength - OVERLAP));
      }
    },
  };
}

/** Records all commands that Redis receives, including those after a restart. */
export function recordRedis(scene: Scene, path: string): AsyncDisposable {
  const file: WriteStream = createWriteStream(path);
  let socket: Socket | undefined;
  let closed = false;
  const open = (): void => {
    if (closed) return;
    const connection = connect({ host: '127.0.0.1', port: scene.redis.port });
    socket = connection;
    connection.on('connect', () => connection.write('MONITOR\r\n'));
    connection.on('data', (data) => file.write(data));
    // Ignore the error: Redis is down for a moment, and the `close` handler connects again.
    connection.on('error', () => undefined);
    connection.on('close', () => setTimeout(open, 50));
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

/** Searches everything in Redis: an uncompressed dump, and each key as clients read it. */
export async function searchRedis(scene: Scene, scan: LeakScan): Promise<void> {
  const { redis } = scene;
  const configured = await redis.command('CONFIG', 'GET', 'dir');
  const folder = configured.split('\r\n').at(4) ?? '';
  await redis.command('CONFIG', 'SET', 'rdbcompression', 'no');
  await redis.command('SAVE');
  scan.search('the dump of Redis', await readFile(join(folder, 'dump.rdb')));
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
    scan.search(`the key ${key} of Redis`, await redis.command(...(read[type] ?? ['DUMP', key])));
  }
}

/** Searches the whole database as a text dump by `pg_dump`. */
export async function searchPostgres({ database }: Scene, scan: LeakScan): Promise<void> {
  const folder = await findPostgres(() => undefined);
  const { stdout } = await promisify(execFile)(join(folder, 'pg_dump'), ['--dbname', database.url], {
    maxBuffer: 2 ** 31 - 1,
    encoding: 'buffer',
  });
  scan.search('the dump of PostgreSQL', stdout);
}
