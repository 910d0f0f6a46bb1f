import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { STORE_KINDS } from '../../src/cli/init-template.ts';
import { Collector, openBench } from './harness.ts';

describe('init', () => {
  it.each(STORE_KINDS)('writes a configuration with a store of kind %s that is valid', async (kind) => {
    await using bench = await openBench();
    const out = ['--out', 'new.yaml'];
    const written = await bench.run('init', '--store', kind, '--namespace', 'apps', '--secret', 'db', ...out);
    expect(written).toMatchObject({ code: 0, stdout: expect.stringContaining('Wrote new.yaml') });
    expect(await bench.read('new.yaml')).toContain('target: { namespace: apps }');
    const checked = await bench.run('validate', '--config', 'new.yaml', '--output', 'json');
    expect(checked.json).toEqual({ valid: true, problems: [] });
  });

  it('quotes what YAML would take for something else', async () => {
    await using bench = await openBench();
    await bench.run('init', '--store', 'files', '--key', 'yes: #no', '--out', 'new.yaml');
    const { json } = await bench.run('validate', '--config', 'new.yaml', '--output', 'json');
    expect(json).toMatchObject({ valid: true });
  });

  it('never writes over a file that is there', async () => {
    await using bench = await openBench();
    const before = await bench.read('secretbridge.yaml');
    const { code, stderr } = await bench.run('init');
    expect(code).toBe(64);
    expect(stderr).toContain('is there already');
    expect(await bench.read('secretbridge.yaml')).toBe(before);
  });

  it('asks a person who sits there, and takes an empty answer for what it offers', async () => {
    await using bench = await openBench();
    const input = Readable.from(['prod-eu\n', 'files\n', '\n', 'db.json\n', 'apps\n', 'db\n']);
    const output = new Collector();
    const { code } = await bench.runWith({ ask: { input, output } }, 'init', '--out', 'new.yaml');
    expect(code).toBe(0);
    expect(output.text).toContain('Kind of store (vault, files');
    const text = await bench.read('new.yaml');
    expect(text).toContain('instance: prod-eu');
    expect(text).toContain('path: ./secrets');
  });

  it('refuses a kind of store that there is not', async () => {
    await using bench = await openBench();
    expect((await bench.run('init', '--store', 'paper')).code).toBe(64);
  });
});
