import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { configurationPage, configurationSchema } from '../../src/config/reference.ts';
import { EXAMPLE } from '../../src/config/reference-text.ts';
import { isTargetKey } from '../../src/sync/keys.ts';
import { linesOf, loadText } from './memory-fs.ts';

const committed = (name: string) =>
  readFile(new URL(`../../docs/reference/${name}`, import.meta.url), 'utf8');

describe('what is generated from the schema', () => {
  it('is the committed page; `npm run docs` makes it again', async () => {
    expect(await committed('configuration.md')).toBe(configurationPage());
  });

  it('is the committed JSON Schema; `npm run docs` makes it again', async () => {
    expect(await committed('secretbridge.schema.json')).toBe(configurationSchema());
  });

  it('takes as keys of a Secret what `validate` takes, with a pattern that Helm knows as well', () => {
    const schema = JSON.parse(configurationSchema());
    const { data, template } = schema.properties.mappings.items.properties;
    const patterns = [data, template.properties.data].map((it) => it.propertyNames.pattern);
    const names = [
      ...['a', 'A_b-c.1', '.', '..', '..a', '.a', '.a.b', '-', '_', 'a..', '', 'a/b', 'a b', 'ä', 'a\n'],
      ...[252, 253, 254].flatMap((length) => ['a', '.'].map((first) => first + 'x'.repeat(length - 1))),
    ];
    for (const pattern of patterns) {
      expect(pattern).not.toContain('(?');
      for (const name of names) expect(new RegExp(pattern).test(name), name).toBe(isTargetKey(name));
    }
  });

  it('has a description for every field', () => {
    const bare = configurationPage()
      .split('\n')
      .filter((line) => /^\| `.*\|\s*\|$/.test(line));
    expect(bare).toEqual([]);
  });

  it('has an example that loads as it stands', async () => {
    expect(linesOf(await loadText(EXAMPLE))).toEqual([]);
  });
});
