import { describe, expect, it } from 'vitest';
import type { FilesInForce } from '../../src/config/includes.ts';
import { loadConfig } from '../../src/config/load.ts';
import { memoryFs, VALID } from './memory-fs.ts';

type Files = Readonly<Record<string, string>>;

const include = (team: string) =>
  `  - { path: ${team}, namespaces: ['*'], stores: [team-vault], keys: ['**'] }\n`;
const MAIN = `${VALID}include:\n${include('a')}${include('b')}`;
const mapping = (name: string, secret = name, mode = 'own') =>
  `  - { name: ${name}, target: { namespace: shared, secret: ${secret}, mode: ${mode} }, data: { A: { store: team-vault, key: k } } }\n`;
const file = (...mappings: readonly string[]) => `mappings:\n${mappings.join('')}`;

/** Loads versions of the files one after the other, as a running service does. Returns the last result. */
async function loadAll(...versions: readonly Files[]) {
  let inForce: FilesInForce = new Map();
  let last = '';
  let mappings: readonly string[] = [];
  let messages: readonly string[] = [];
  for (const files of versions) {
    const all = Object.entries({ 'secretbridge.yaml': MAIN, ...files });
    const readFs = memoryFs(Object.fromEntries(all.map(([name, text]) => [`/home/ann/${name}`, text])));
    const loaded = await loadConfig({ paths: [], env: {}, cwd: '/home/ann', readFs, inForce });
    if (loaded.kind !== 'usable') throw new Error(JSON.stringify(loaded.problems));
    inForce = loaded.inForce;
    const { includes } = loaded.config;
    last = includes.map(({ path, state }) => `${path} ${state}`).join(', ');
    mappings = loaded.config.mappings.map(({ name }) => name);
    messages = loaded.problems.map((problem) => `${problem.file} ${problem.code}: ${problem.message}`);
  }
  return { states: last, mappings, messages };
}

describe('two files with the same mapping name or target', () => {
  it('the first file keeps it at a start, and the other file is disabled as a whole', async () => {
    const { states, mappings, messages } = await loadAll({
      'a/one.yaml': file(mapping('x')),
      'b/one.yaml': file(mapping('y', 'x'), mapping('z')),
    });
    expect(states).toBe('a/one.yaml valid, b/one.yaml disabled');
    expect(mappings).toEqual(['payments-db', 'x']);
    expect(messages).toEqual([
      'b/one.yaml TARGET_CLAIMED: mapping `x` also has the target `shared/x`, at a/one.yaml:2:24',
    ]);
  });

  it('the file that had it keeps it while the service runs, even if the other file comes first', async () => {
    const before = { 'a/one.yaml': file(mapping('other')), 'b/one.yaml': file(mapping('x')) };
    const { states, mappings, messages } = await loadAll(before, {
      ...before,
      'a/one.yaml': file(mapping('other'), mapping('x', 'stolen')),
    });
    expect(states).toBe('a/one.yaml outdated, b/one.yaml valid');
    expect(mappings).toEqual(['payments-db', 'other', 'x']);
    expect(messages).toEqual([
      'a/one.yaml CONFIG_INVALID: the name `x` is used twice, first at b/one.yaml:2:13',
    ]);
  });

  it('the file that had it keeps it even if its newest version is broken', async () => {
    const before = { 'a/one.yaml': file(mapping('other')), 'b/one.yaml': file(mapping('x')) };
    const { states, mappings } = await loadAll(before, {
      'a/one.yaml': file(mapping('other'), mapping('x')),
      'b/one.yaml': 'mappings: [',
    });
    expect(states).toBe('a/one.yaml outdated, b/one.yaml outdated');
    expect(mappings).toEqual(['payments-db', 'other', 'x']);
  });

  it('a mapping may move from one file to another in one change', async () => {
    const { states, mappings } = await loadAll(
      { 'a/one.yaml': file(mapping('other')), 'b/one.yaml': file(mapping('x'), mapping('y')) },
      { 'a/one.yaml': file(mapping('other'), mapping('x')), 'b/one.yaml': file(mapping('y')) },
    );
    expect(states).toBe('a/one.yaml valid, b/one.yaml valid');
    expect(mappings).toEqual(['payments-db', 'other', 'x', 'y']);
  });

  it('the main file wins over an included file that had it, which is then disabled', async () => {
    const files = { 'a/one.yaml': file(mapping('x')), 'b/one.yaml': file(mapping('y')) };
    const taken = MAIN.replace('include:', `${mapping('mine', 'x')}include:`);
    const { states, mappings } = await loadAll(files, { ...files, 'secretbridge.yaml': taken });
    expect(states).toBe('a/one.yaml disabled, b/one.yaml valid');
    expect(mappings).toEqual(['payments-db', 'mine', 'y']);
  });

  it('a file that conflicts takes nothing else from a third file', async () => {
    const { states } = await loadAll({
      'a/one.yaml': file(mapping('x')),
      'a/two.yaml': file(mapping('x'), mapping('y')),
      'b/one.yaml': file(mapping('y')),
    });
    expect(states).toBe('a/one.yaml valid, a/two.yaml disabled, b/one.yaml valid');
  });

  it('several files may merge into one target', async () => {
    const { states } = await loadAll({
      'a/one.yaml': file(mapping('x', 's', 'merge')),
      'b/one.yaml': file(mapping('y', 's', 'merge')),
    });
    expect(states).toBe('a/one.yaml valid, b/one.yaml valid');
  });
});

describe('the last valid version of an included file', () => {
  const valid = { 'a/one.yaml': file(mapping('x')), 'b/one.yaml': file(mapping('y')) };

  it('stays in force if the file or its folder cannot be read any more', async () => {
    const { states, mappings } = await loadAll(valid, { 'b/one.yaml': valid['b/one.yaml'] });
    expect(states).toBe('a/one.yaml outdated, b/one.yaml valid');
    expect(mappings).toEqual(['payments-db', 'x', 'y']);
  });

  it('is left if the file was removed from a folder with other files', async () => {
    const two = { ...valid, 'a/two.yaml': file(mapping('z')) };
    const { states, mappings } = await loadAll(two, {
      'a/two.yaml': two['a/two.yaml'],
      'b/one.yaml': two['b/one.yaml'],
    });
    expect(states).toBe('a/two.yaml valid, b/one.yaml valid');
    expect(mappings).toEqual(['payments-db', 'z', 'y']);
  });

  it('is not used if the main files make it invalid, and is used again when they allow it again', async () => {
    const broken = { ...valid, 'a/one.yaml': 'mappings: [' };
    const renamed = { ...broken, 'secretbridge.yaml': MAIN.replaceAll('team-vault', 'new-vault') };
    const changed = await loadAll(valid, broken, renamed);
    expect(changed.states).toBe('a/one.yaml disabled, b/one.yaml disabled');
    const again = await loadAll(valid, broken, renamed, broken);
    expect(again.states).toBe('a/one.yaml outdated, b/one.yaml valid');
    expect(again.mappings).toEqual(['payments-db', 'x', 'y']);
  });
});
