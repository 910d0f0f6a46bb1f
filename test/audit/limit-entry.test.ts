import { expect, it } from 'vitest';
import { limitEntry } from '../../src/audit/limit-entry.ts';
import { bare, entry, fingerprint } from './sample.ts';

const MAX_BYTES = 64 * 1_024;
const size = (value: object): number => Buffer.byteLength(JSON.stringify(value));

it('an entry of normal size stays unchanged', () => {
  const normal = entry();
  expect(limitEntry(normal)).toBe(normal);
});

it('a long text is cut, and the number of cut texts is counted', () => {
  const limited = limitEntry(bare({ requestId: 'x'.repeat(20_000_000), note: '€'.repeat(50_000) }));
  expect(limited).toMatchObject({ counts: { textsCut: 2 } });
  expect(limited.requestId).toHaveLength(1_025);
  expect(size(limited)).toBeLessThan(MAX_BYTES);
});

it('fingerprints are left out before keys, and keys before sources', () => {
  const names = Array.from({ length: 500 }, (_, index) => `KEY_${index}_${'x'.repeat(60)}`);
  const sources = names.map((key) => ({ store: 'vault', key, version: '1' }));
  const values = Object.fromEntries(names.map((name, index) => [name, fingerprint(index)]));
  const keys = { added: names, changed: [], removed: [] };
  const limited = limitEntry(entry({ sources, keys, values }));
  expect(size(limited)).toBeLessThan(MAX_BYTES);
  expect(limited.sources).toHaveLength(500);
  const { keysLeftOut = 0, valuesLeftOut = 0, sourcesLeftOut } = limited.counts ?? {};
  expect(sourcesLeftOut).toBeUndefined();
  expect(limited.keys.added.length + keysLeftOut).toBe(500);
  expect(Object.keys(limited.values ?? {}).length + valuesLeftOut).toBe(500);
  expect(valuesLeftOut).toBeGreaterThan(400);
});
