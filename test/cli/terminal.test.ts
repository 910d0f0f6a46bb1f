import { describe, expect, it } from 'vitest';
import { DB, HEAD, openBench } from './harness.ts';

const ESCAPE = String.fromCharCode(27);

describe('output', () => {
  it('the output uses colors only on a terminal, and contains the same text without colors', async () => {
    await using bench = await openBench();
    const plain = await bench.run('plan');
    const coloured = await bench.runWith({ color: true }, 'plan');
    expect(plain.stdout).not.toContain(ESCAPE);
    expect(coloured.stdout).toContain(ESCAPE);
    expect(coloured.stdout.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), '')).toBe(plain.stdout);
  });

  it('the output contains no colors in JSON and YAML', async () => {
    await using bench = await openBench();
    for (const format of ['json', 'yaml'])
      expect((await bench.runWith({ color: true }, 'plan', '--output', format)).stdout).not.toContain(ESCAPE);
  });

  it('the output contains exactly one JSON object on stdout, at any log level', async () => {
    await using bench = await openBench();
    const { stdout, stderr } = await bench.run('sync', '--output', 'json', '--log-level', 'debug');
    expect(JSON.parse(stdout)).toMatchObject({ ok: true });
    expect(stderr).toContain('"message":"target changed"');
  });

  it('the output updates a single progress line on a terminal, and clears that line at the end', async () => {
    await using bench = await openBench();
    const { stdout, stderr } = await bench.runWith({ interactive: true, width: 40 }, 'sync');
    expect(stderr).toContain(`\r${ESCAPE}[2KSyncing 1/1`);
    expect(stderr.endsWith(`\r${ESCAPE}[2K`)).toBe(true);
    expect(stdout).toBe('created   apps/db  PASSWORD, USER\n\n1 target: 1 created.\n');
  });

  it('the output shows a progress line every few seconds if there is no terminal', async () => {
    const names = Array.from({ length: 40 }, (_, n) => `m${n}`);
    const mappings = names.map(
      (name) =>
        `  - { name: ${name}, target: { namespace: apps }, data: { A: { store: local, key: db.json } } }\n`,
    );
    await using bench = await openBench(`${HEAD}mappings:\n${mappings.join('')}`);
    const { stderr } = await bench.run('sync');
    expect(stderr.trim().split('\n')).toEqual([
      expect.stringMatching(/^Syncing 1\/40 {2}apps\/m\d+ created$/),
      'Syncing 40/40',
    ]);
  });
});

describe('names with control characters and line breaks', () => {
  const HOSTILE = `${ESCAPE}[2J${ESCAPE}]0;x\u0007\u009b31m\u202e\u2028\nok    everything\r`;
  const MAPPINGS = `mappings:
  - name: member
    target: { namespace: apps }
    dataFrom: [ { store: local, key: names.json } ]
  - name: double
    target: { namespace: apps }
    dataFrom:
      - { store: local, key: names.json, rename: { invalid: replace } }
      - { store: local, key: names.json, rename: { invalid: replace } }
  - name: property
    target: { namespace: apps }
    data: { A: { store: local, key: db.json, property: ${JSON.stringify(HOSTILE)} } }
  - name: optional
    target: { namespace: apps }
    data:
      A: { store: local, key: db.json, property: ${JSON.stringify(HOSTILE)}, optional: true }
      B: { store: local, key: db.json, property: user }
  - name: file
    target: { namespace: apps }
    dataFrom: [ { store: local, find: { path: f } } ]
`;
  /**
   * A file name that an attacker could choose. It contains no C0 characters, because the product rejects keys that
   * contain them.
   */
  const FILE = '\u009b31m\u202e';
  const COLOURS = /\u001b\[\d\d?m/g;

  it.each([
    'plan --all',
    'sync',
    'doctor',
    ...['member', 'double', 'property', 'optional', 'file'].map((name) => `explain ${name}`),
    'audit list',
    'audit report',
  ])(
    'a name with control characters and line breaks cannot control the terminal through `%s`',
    async (command) => {
      await using bench = await openBench(HEAD + MAPPINGS);
      await bench.write('store/names.json', JSON.stringify({ [HOSTILE]: 'a' }));
      await bench.write(`store/f/${FILE}`, 'a');
      await bench.run('sync');
      for (const color of [false, true]) {
        const { stdout, stderr } = await bench.runWith({ color }, ...command.split(' '));
        for (const text of [stdout, stderr]) {
          const bare = color ? text.replaceAll(COLOURS, '') : text;
          expect(bare).not.toMatch(/[^\n\P{C}]|[\p{Zl}\p{Zp}]/u);
          expect(bare).not.toMatch(/^ok {4}everything/m);
        }
      }
    },
  );

  it('control characters and line breaks in names are printed with visible escapes', async () => {
    await using bench = await openBench(HEAD + MAPPINGS);
    await bench.write('store/names.json', JSON.stringify({ [HOSTILE]: 'a' }));
    await bench.write(`store/f/${FILE}`, 'a');
    const { stdout } = await bench.run('plan');
    const name = '\\u{1B}[2J\\u{1B}]0;x\\u{7}\\u{9B}31m\\u{202E}\\u{2028}\\u{A}ok    everything\\u{D}';
    expect(stdout).toContain(`KEY_INVALID: store local, key names.json, property ${name}: Kubernetes`);
    expect(stdout).toContain('KEY_INVALID: store local, key f/\\u{9B}31m\\u{202E}: Kubernetes');
    expect((await bench.run('explain', 'file')).stdout).toContain('local: f/\\u{9B}31m\\u{202E}');
  });

  it('control characters in the name of a configuration file cannot control the terminal', async () => {
    await using bench = await openBench();
    await bench.write(`more/${HOSTILE}.yaml`, 'nothing: 1\n');
    const { code, stdout } = await bench.run('validate', '--config', 'more');
    expect(code).toBe(3);
    expect(stdout).not.toMatch(/[^\n\P{C}]|[\p{Zl}\p{Zp}]/u);
    expect(stdout).not.toMatch(/^ok {4}everything/m);
  });
});

describe('Ctrl-C during a sync', () => {
  it('a sync that gets Ctrl-C waits for the running write and reports it, starts no other write, and exits with 1', async () => {
    const names = Array.from({ length: 8 }, (_, n) => `m${n}`);
    const mappings = names.map(
      (name) =>
        `  - { name: ${name}, target: { namespace: apps }, data: { A: { store: local, key: db.json } } }\n`,
    );
    const one = 'engine: { kind: memory, concurrency: 1 }\n';
    await using bench = await openBench(`${HEAD}${one}mappings:\n${mappings.join('')}`);
    const stop = new AbortController();
    const stderr = new (class {
      text = '';
      write(text: string): boolean {
        this.text += text;
        // The first target has been written when the user presses Ctrl-C.
        stop.abort();
        return true;
      }
    })();
    const interrupted = await bench.runWith(
      { signal: stop.signal, interactive: true, stderr: stderr as never },
      'sync',
      '--output',
      'json',
    );
    expect(interrupted.code).toBe(1);
    expect(interrupted.json).toMatchObject({ ok: false, summary: { created: 1 } });
    const { json } = await bench.run('audit', 'list', '--output', 'json');
    const { records } = json as { records: { phase?: string; outcome: string }[] };
    expect(records.filter(({ phase }) => phase === 'intent')).toHaveLength(1);
    expect(records.filter(({ phase }) => phase === 'outcome')).toHaveLength(1);
    expect(await bench.run('sync')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('8 targets: 7 created, 1 unchanged.'),
    });
  });

  it('a sync that gets Ctrl-C before the first write changes nothing', async () => {
    await using bench = await openBench(HEAD + DB);
    const signal = AbortSignal.abort();
    const { code, stdout } = await bench.runWith({ signal }, 'sync');
    expect(code).toBe(1);
    expect(stdout).toContain('Stopped before all targets were processed');
    expect((await bench.run('plan')).stdout).toContain('1 to create');
  });
});
