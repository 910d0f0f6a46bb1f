import { PassThrough, Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { waitUntil } from '../wait-until.ts';
import { type Bench, Collector, HEAD, openBench } from './harness.ts';

const RAW = `mappings:
  - name: raw
    target: { namespace: apps }
    data: { TOKEN: { store: local, key: token.txt } }
`;

const PROPERTY = `mappings:
  - name: app
    target: { namespace: apps }
    data:
      PASSWORD: { store: local, key: app.json, property: password }
      USER: { store: local, key: app.json, property: user }
`;

/** The value `hunter2` is one of two properties of its key. */
async function openProperty(): Promise<Bench> {
  const bench = await openBench(HEAD + PROPERTY);
  await bench.write('store/app.json', '{"user":"ann","password":"hunter2"}');
  await bench.run('sync');
  return bench;
}

/** The value is first `hunter2` with a final newline, then another value. */
async function openStory(): Promise<Bench> {
  const bench = await openBench(HEAD + RAW);
  await bench.write('store/token.txt', 'hunter2\n');
  await bench.run('sync');
  await bench.write('store/token.txt', 'other');
  await bench.run('sync');
  return bench;
}

interface Shown {
  readonly records: readonly { readonly sequence: number; readonly action: string }[];
  readonly versions: readonly { readonly store: string; readonly key: string }[];
}

async function traced(bench: Bench, value: string | Uint8Array, ...args: string[]): Promise<Shown> {
  const stdin = Readable.from([Buffer.from(value)]);
  const { code, json, stdout, stderr } = await bench.runWith(
    { stdin },
    ...['audit', 'list', '--value', '--output', 'json', ...args],
  );
  expect(code).toBe(0);
  expect(stdout + stderr).not.toContain('hunter2');
  return json as Shown;
}

describe('audit list --value', () => {
  it('`audit list --value` finds a value from a pipe, with or without a final newline', async () => {
    await using bench = await openStory();
    for (const value of ['hunter2\n', 'hunter2', 'hunter2\r\n']) {
      const { records, versions } = await traced(bench, value);
      expect(records.map(({ action }) => action)).toEqual(['create', 'create', 'read']);
      expect(versions).toMatchObject([{ store: 'local', key: 'token.txt' }]);
    }
    expect((await traced(bench, 'hunter2', '--action', 'read')).records).toHaveLength(1);
    expect(await traced(bench, 'nobody')).toEqual({ records: [], versions: [], more: false });
  });

  it('`audit list --value` finds the value of a single property in all Secrets that contain that property', async () => {
    await using bench = await openProperty();
    const { records, versions } = await traced(bench, 'hunter2');
    expect(records.map(({ action }) => action)).toEqual(['create', 'create']);
    expect(versions).toEqual([]);
    const whole = await traced(bench, '{"user":"ann","password":"hunter2"}');
    expect(whole.records.map(({ action }) => action)).toEqual(['create', 'create', 'read']);
    const { stdout } = await bench.run('audit', 'show', String(records[0]?.sequence));
    expect(stdout).toMatch(/^value +PASSWORD [0-9a-f]{8}:[0-9a-f]{64}$/m);
    expect(stdout).toMatch(/^value +USER [0-9a-f]{8}:[0-9a-f]{64}$/m);
  });

  it('`audit list --value` finds fingerprints that were made with an earlier fingerprint key', async () => {
    await using bench = await openStory();
    await bench.write('state/new.key', `${Buffer.alloc(32, 7).toString('base64')}\n`);
    const keys = 'keys: { fingerprint: [ { file: ./state/new.key }, { file: ./state/fingerprint.key } ] }\n';
    await bench.write('secretbridge.yaml', HEAD + keys + RAW);
    expect((await traced(bench, 'hunter2')).records).toHaveLength(3);
  });

  it('`audit list --value` prompts for the value, and does not echo the typed text', async () => {
    await using bench = await openStory();
    const [input, output] = [new PassThrough(), new Collector()];
    const running = bench.runWith({ ask: { input, output } }, 'audit', 'list', '--value');
    input.write('hunterX\u007f2\r');
    const { code, stdout } = await running;
    expect(code).toBe(0);
    expect(output.text).toBe('Value (hidden): \n');
    expect(stdout).toContain('Read from 1 source version:');
    expect(stdout).toMatch(/^local +token.txt +[0-9a-f]{8}… +2027-03-01 12:00:00$/m);
  });

  it('`audit list --value` stops at the prompt on Ctrl-C or at the end of the input', async () => {
    await using bench = await openStory();
    for (const key of ['\u0003', undefined]) {
      const [input, output] = [new PassThrough(), new Collector()];
      const running = bench.runWith({ ask: { input, output } }, 'audit', 'list', '--value');
      if (key === undefined) input.end();
      else input.write(key);
      expect(await running).toMatchObject({ code: 1, stderr: expect.stringContaining('INTERRUPTED') });
    }
  });

  it('`audit list --value` stops on a signal before the prompt or during the prompt', async () => {
    await using bench = await openStory();
    const ended = { code: 1, stderr: expect.stringMatching(/^error INTERRUPTED/) };
    const [input, output] = [new PassThrough(), new Collector()];
    const run = (signal: AbortSignal) =>
      bench.runWith({ ask: { input, output }, signal }, 'audit', 'list', '--value');
    expect(await run(AbortSignal.abort())).toMatchObject(ended);
    expect(output.text).toBe('');
    const stop = new AbortController();
    const running = run(stop.signal);
    await waitUntil(() => expect(output.text).toContain('Value (hidden)'));
    stop.abort();
    expect(await running).toMatchObject(ended);
    const piped = new AbortController();
    const waiting = bench.runWith(
      { stdin: new PassThrough(), signal: piped.signal },
      ...['audit', 'list', '--value'],
    );
    piped.abort();
    expect(await waiting).toMatchObject(ended);
  });

  it('`audit list --value` reports a usage error for a missing value, an overlong value, and a value combined with a fingerprint', async () => {
    await using bench = await openStory();
    const list = ['audit', 'list', '--value'];
    expect(await bench.runWith({ stdin: Readable.from([]) }, ...list)).toMatchObject({ code: 64 });
    const large = Readable.from([Buffer.alloc(2 ** 20), Buffer.alloc(1)]);
    expect(await bench.runWith({ stdin: large }, ...list)).toMatchObject({ code: 64 });
    expect(await bench.run(...list, '--fingerprint', 'x')).toMatchObject({ code: 64 });
    // A fingerprint needs its key id. The short form of a fingerprint in `plan` output has no key id.
    for (const part of ['03c66e02', '4b0f79b1'.repeat(8), ''])
      for (const more of [[], ['--trace']])
        expect(await bench.run('audit', 'list', '--fingerprint', part, ...more)).toMatchObject({
          code: 64,
          stderr: expect.stringContaining('must be a complete fingerprint'),
        });
    expect(await bench.run(...list, 'hunter2')).toMatchObject({ code: 64 });
  });

  it('`audit list --value` reports that a value was not found', async () => {
    await using bench = await openStory();
    const stdin = Readable.from(['nobody']);
    const { stdout } = await bench.runWith({ stdin }, 'audit', 'list', '--value');
    expect(stdout).toContain('Not found.');
  });
});

describe('audit list --trace', () => {
  it('`audit list --trace` finds all targets that were made from the value with a given fingerprint', async () => {
    await using bench = await openProperty();
    const { json } = await bench.run('audit', 'list', '--action', 'read', '--output', 'json');
    const { records } = json as { records: { after: string }[] };
    const fingerprint = String(records.at(-1)?.after);
    const ask = async (...more: string[]) => {
      const { json: found } = await bench.run(
        ...['audit', 'list', '--fingerprint', fingerprint, '--output', 'json', ...more],
      );
      return (found as Shown).records.map(({ action }) => action);
    };
    expect(await ask()).toEqual(['read']);
    expect(await ask('--trace')).toEqual(['create', 'create', 'read']);
    expect(await bench.run('audit', 'list', '--trace')).toMatchObject({ code: 64 });
  });
});
