import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { configurationPage, configurationSchema } from '../../src/config/reference.ts';
import { EXAMPLE } from '../../src/config/reference-text.ts';
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
