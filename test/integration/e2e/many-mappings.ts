import type { Bench, BenchOptions } from './bench.ts';
import { base64 } from './bench.ts';

/** Texts that careless code corrupts. */
const TEXTS = [
  'plain',
  'p@ss "word" \\ \'quoted\'',
  'two\nlines\r\nand a tab\t.',
  'ünïcödé ✓ 𝄞 \u2028 end',
  '{"json": [1, 2.50, "x"]}',
  '-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n',
  ' leading and trailing ',
  '</script>&amp;<b>',
  '$(HOME) $HOME `id` %s',
  '=cmd|0',
];

const BYTES = Uint8Array.from({ length: 256 }, (_, n) => n);

/** The values of one mapping: a text, a number, and bytes in base64. */
export function valuesOf(n: number, round: number) {
  return {
    text: `${TEXTS[n % TEXTS.length]} #${n}.${round}`,
    number: n * 1000 + round,
    bytes: Buffer.from(Uint8Array.of(...BYTES, n % 256, round % 256)).toString('base64'),
  };
}

/** Mappings with three keys each. Each mapping reads a different key of the store. */
export function manyMappings(count: number): BenchOptions['mappings'] {
  return ({ prefix, namespace }) =>
    Array.from(
      { length: count },
      (_, n) => `  - name: m${n}
    target: { namespace: ${namespace}, labels: { team: t${n % 3} } }
    data:
      TEXT:   { store: vault, key: ${prefix}/m${n}, property: text }
      NUMBER: { store: vault, key: ${prefix}/m${n}, property: number }
      BYTES:  { store: vault, key: ${prefix}/m${n}, property: bytes, decode: base64 }
`,
    ).join('');
}

export async function seed({ vault }: Pick<Bench, 'vault'>, count: number, round = 0): Promise<void> {
  const all = Array.from({ length: count }, (_, n) => n);
  await Promise.all(all.map((n) => vault.put(`m${n}`, valuesOf(n, round))));
}

/** The expected `data` of a target, as the API server returns it. */
export function dataOf(n: number, round: number): Readonly<Record<string, string>> {
  const { text, number, bytes } = valuesOf(n, round);
  return { TEXT: base64(text), NUMBER: base64(String(number)), BYTES: bytes };
}

/**
 * Returns the names of targets with unexpected data. `roundOf` returns the expected round of values for each target.
 */
export async function wrongTargets(
  bench: Bench,
  count: number,
  roundOf: (n: number) => number,
): Promise<readonly string[]> {
  const live = new Map((await bench.secrets()).map(({ metadata, data }) => [metadata.name, data]));
  return Array.from({ length: count }, (_, n) => n)
    .filter(
      (n) => JSON.stringify(sorted(live.get(`m${n}`))) !== JSON.stringify(sorted(dataOf(n, roundOf(n)))),
    )
    .map((n) => `m${n}`);
}

function sorted(data: Readonly<Record<string, string>> | undefined): readonly (readonly [string, string])[] {
  return Object.entries(data ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
}
