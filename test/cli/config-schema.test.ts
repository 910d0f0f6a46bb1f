import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { EXAMPLE } from '../../scripts/docs/configuration-text.ts';
import { quickstartConfig } from '../../scripts/setup/quickstart-texts.ts';
import { configurationSchema } from '../../src/config/schema.ts';
import { loadText } from '../config/memory-fs.ts';
import { allPages, blocksOf } from '../docs/markdown.ts';
import { openBench } from './harness.ts';

type Json = Readonly<Record<string, unknown>>;

/** Validates with another JSON Schema library than the program itself uses. */
const accepts = new Ajv2020({
  allErrors: true,
  formats: { uri: (text: string) => URL.canParse(text) },
}).compile(JSON.parse(configurationSchema()));

const EXAMPLES: readonly (readonly [place: string, text: string])[] = [
  ['the reference', EXAMPLE],
  ['the quickstart', quickstartConfig('http://127.0.0.1:8200')],
  ...allPages()
    .flatMap(blocksOf)
    .filter(({ language }) => language === 'yaml')
    .map(({ location: place, text }) => [place, text] as const)
    .filter(([, text]) => /^apiVersion: secretbridge\.dev/m.test(text) || !/^apiVersion:/m.test(text)),
];

/** Returns the paths of all members of a value. */
function placesOf(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const place = [...path, name];
    return [...(Array.isArray(value) ? [] : [place]), ...placesOf(inner, place)];
  });
}

/** Returns a copy of the value with one changed member. */
function changed(
  value: unknown,
  [name, ...rest]: readonly string[],
  change: (parent: Record<string, unknown>, name: string) => void,
): unknown {
  const copy: unknown = structuredClone(value);
  let parent = copy as Record<string, unknown>;
  const path = [name ?? '', ...rest];
  for (const step of path.slice(0, -1)) parent = parent[step] as Record<string, unknown>;
  change(parent, path.at(-1) ?? '');
  return copy;
}

describe('schema of the configuration', () => {
  it.each(EXAMPLES)('the configuration schema accepts the example of %s', (_, text) => {
    const valid = accepts(parse(text) ?? {});
    expect(accepts.errors ?? []).toEqual([]);
    expect(valid).toBe(true);
  });

  it.each([
    ['an unknown section', (example: string) => example.replace('stores:', 'stors:')],
    ['an unknown field', (example: string) => example.replace('property: password', 'proprty: password')],
    ['an unknown kind of store', (example: string) => example.replace('kind: vault ', 'kind: valt ')],
    [
      'a word outside the choices',
      (example: string) => example.replace('onDrift: repair', 'onDrift: repare'),
    ],
    ['text for a number', (example: string) => example.replace('concurrency: 16', "concurrency: 'many'")],
    ['a duration without its unit', (example: string) => example.replace('refresh: 10m', 'refresh: 10')],
    ['a name with capitals', (example: string) => example.replace('instance: prod-eu', 'instance: Prod')],
    [
      'a literal credential',
      (example: string) => example.replace('secretId: { file: /run/secrets/secret-id }', 'secretId: abc'),
    ],
    ['a mapping without a target', (example: string) => example.replace(/ {4}target:\n(?: {6}.*\n)+/, '')],
    ['an invalid address', (example: string) => example.replace('https://vault.internal:8200', 'vault')],
    ['a share above 1', (example: string) => example.replace('share: 0.1', 'share: 10')],
  ])('the configuration schema rejects %s', (_, spoil) => {
    const spoilt = spoil(EXAMPLE);
    expect(spoilt).not.toBe(EXAMPLE);
    expect(accepts(parse(spoilt))).toBe(false);
  });

  it('the configuration schema accepts every configuration that the loader accepts', async () => {
    const whole: unknown = parse(EXAMPLE);
    const changes = [
      (parent: Record<string, unknown>, name: string) => void delete parent[name],
      (parent: Record<string, unknown>, name: string) => {
        parent[`${name}x`] = parent[name];
        delete parent[name];
      },
      ...[0, 1, true, '', 'x', '5m', [], {}, null].map(
        (other) => (parent: Record<string, unknown>, name: string) => {
          parent[name] = other;
        },
      ),
    ];
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...placesOf(whole)),
        fc.constantFrom(...changes),
        async (place, change) => {
          const config = changed(whole, place, change);
          const loaded = await loadText(stringify(config));
          if (loaded.problems.length > 0) return;
          taken += 1;
          accepts(config);
          expect(accepts.errors ?? [], place.join('.')).toEqual([]);
        },
      ),
      { numRuns: 150 },
    );
    expect(taken).toBeGreaterThan(5);
  });

  it('the configuration schema describes each field', () => {
    const root = JSON.parse(configurationSchema()) as Json;
    const silent: string[] = [];
    const seen = new Set<unknown>();
    const walk = (schema: Json, path: string): void => {
      const { $ref } = schema as { $ref?: string };
      const named =
        $ref === undefined ? {} : (root.$defs as Record<string, Json>)[$ref.split('/').at(-1) ?? ''];
      const whole: Json = { ...named, ...schema };
      if (seen.has(named ?? schema)) return;
      seen.add(named ?? schema);
      for (const [name, inner] of Object.entries((whole.properties ?? {}) as Record<string, Json>)) {
        const text =
          inner.description ?? inner.const ?? (inner.$ref === undefined ? undefined : 'in its definition');
        // `secretRef` has one description for all its members.
        if (text === undefined && !path.endsWith('.secretRef')) silent.push(`${path}.${name}`);
        walk(inner, `${path}.${name}`);
      }
      for (const inner of [whole.items, whole.additionalProperties, whole.oneOf, whole.anyOf].flat())
        if (typeof inner === 'object' && inner !== null) walk(inner as Json, path);
    };
    walk(root, '');
    expect(silent).toEqual([]);
  });
});

describe('config-schema', () => {
  it('`config-schema` prints the schema, and overwrites no file except an earlier schema', async () => {
    await using bench = await openBench();
    expect(await bench.run('config-schema')).toMatchObject({ code: 0, stdout: configurationSchema() });
    await bench.write('s.json', JSON.stringify({ title: 'secretbridge configuration', old: true }));
    expect(await bench.run('config-schema', '--out', 's.json')).toMatchObject({
      code: 0,
      stdout: 'Wrote s.json.\n',
    });
    expect(await bench.read('s.json')).toBe(configurationSchema());
    for (const foreign of ['{}', 'no JSON', '{"title":"of others"}']) {
      await bench.write('s.json', foreign);
      const { code, stderr } = await bench.run('config-schema', '--out', 's.json');
      expect({ code, stderr }).toMatchObject({
        code: 64,
        stderr: expect.stringContaining('is not a secretbridge schema'),
      });
      expect(await bench.read('s.json')).toBe(foreign);
    }
    expect(await bench.run('config-schema', '--out', 'no/such/folder')).toMatchObject({
      code: 64,
      stderr: 'error: no/such/folder cannot be written: no such file or folder (ENOENT)\n',
    });
  });
});
