import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { runCli } from '../../src/cli/cli.ts';
import type { Context } from '../../src/cli/context.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createManualTime, type ManualTime } from '../fakes/manual-time.ts';

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The parsed stdout of `--output json`. */
  readonly json: unknown;
}

/** A folder with a configuration that has a files store and a directory cluster. Runs command lines in this folder. */
export interface Bench extends AsyncDisposable {
  readonly folder: string;
  readonly clock: ManualTime;
  run(...args: readonly string[]): Promise<Result>;
  /** Runs a command line in a modified context, for example with a terminal. */
  runWith(context: Partial<Context>, ...args: readonly string[]): Promise<Result>;
  write(path: string, content: string | Uint8Array): Promise<void>;
  read(path: string): Promise<string>;
}

export const HEAD = `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
stores: [ { name: local, kind: files, path: ./store } ]
`;

export const DB = `mappings:
  - name: db
    target: { namespace: apps }
    data:
      USER: { store: local, key: db.json, property: user }
      PASSWORD: { store: local, key: db.json, property: password }
`;

/** A Secret that belongs to another owner. */
export const FOREIGN = `apiVersion: v1
kind: Secret
metadata: { name: theirs, namespace: apps }
stringData: { KEY: theirs }
`;

/** An address where no service listens. The default address may belong to a service on this machine. */
const NOBODY_THERE = "\nhttp: { listen: '127.0.0.1:1' }\n";

export async function openBench(config: string = HEAD + DB): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-cli-'));
  const clock = createManualTime(Date.parse('2027-03-01T12:00:00Z'));
  const write = async (path: string, content: string | Uint8Array) => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content, { mode: 0o600 });
  };
  await write('secretbridge.yaml', /^http:/m.test(config) ? config : config + NOBODY_THERE);
  await write('store/db.json', '{"user":"ann","password":"first"}');
  const runWith: Bench['runWith'] = async (context, ...args) => {
    const [stdout, stderr] = [new Collector(), new Collector()];
    const code = await runCli(args, {
      ...quietContext({ cwd: folder, stdout, stderr, clock }),
      ...context,
    });
    return {
      code,
      stdout: stdout.text,
      stderr: stderr.text,
      get json(): unknown {
        return JSON.parse(stdout.text);
      },
    };
  };
  return {
    folder,
    clock,
    run: (...args) => runWith({}, ...args),
    runWith,
    write,
    read: (path) => readFile(join(folder, path), 'utf8'),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** The context of a command without a terminal. */
export function quietContext(own: Pick<Context, 'stdout' | 'stderr'> & Partial<Context>): Context {
  return {
    env: {},
    cwd: '/',
    interactive: false,
    width: 100,
    color: false,
    clock: systemClock,
    user: 'ann',
    signal: new AbortController().signal,
    ...own,
  };
}

/** A stream that stores everything written to it. */
export class Collector extends Writable {
  text = '';

  override _write(chunk: Buffer | string, _: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}
