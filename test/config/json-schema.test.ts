import { describe, expect, it } from 'vitest';
import { configurationPage } from '../../scripts/docs/configuration-page.ts';
import { EXAMPLE } from '../../scripts/docs/configuration-text.ts';
import { configurationSchema } from '../../src/config/schema.ts';
import { isTargetKey } from '../../src/core/mapping.ts';
import { linesOf, loadText } from './memory-fs.ts';

describe('the generated JSON Schema', () => {
  it('the JSON Schema accepts exactly the Secret keys that `validate` accepts, with a pattern that Helm supports', () => {
    const schema = JSON.parse(configurationSchema());
    const { data, template } = schema.properties.mappings.items.properties;
    const patterns = [data, template.properties.data].map((mapSchema) => mapSchema.propertyNames.pattern);
    const names = [
      ...['a', 'A_b-c.1', '.', '..', '..a', '.a', '.a.b', '-', '_', 'a..', '', 'a/b', 'a b', 'ä', 'a\n'],
      ...[252, 253, 254].flatMap((length) => ['a', '.'].map((first) => first + 'x'.repeat(length - 1))),
    ];
    for (const pattern of patterns) {
      expect(pattern).not.toContain('(?');
      for (const name of names) expect(new RegExp(pattern).test(name), name).toBe(isTargetKey(name));
    }
  });

  it('the JSON Schema has a description for every field', () => {
    const bare = configurationPage()
      .split('\n')
      .filter((line) => /^\| `.*\|\s*\|$/.test(line));
    expect(bare).toEqual([]);
  });

  it('the JSON Schema contains an example that the loader accepts unchanged', async () => {
    expect(linesOf(await loadText(EXAMPLE))).toEqual([]);
  });
});
