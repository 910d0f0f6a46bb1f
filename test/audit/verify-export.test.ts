import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { append, canonical, GENESIS, type Head, hashOf } from '../../src/audit/chain.ts';
import { detectFormat, readExport } from '../../src/audit/verify/export-file.ts';
import { verifyWithEvidence } from '../../src/audit/verify/verify.ts';
import { temporaryFolder } from './folder.ts';
import { entries, LENGTH } from './tamperings.ts';

type Line = Readonly<Record<string, unknown>>;

/** The sample records as export lines. */
function chain(instance = 'prod-eu'): readonly Line[] {
  let head: Head = GENESIS;
  return entries().map((entry) => {
    const { record } = append(head, entry, { time: '2026-11-25T12:00:00.000Z', instance, replica: 'r' });
    head = record;
    return { ...record };
  });
}

const WHOLE = chain();
const OTHER = chain('another');

async function problemOf(text: string) {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'export.jsonl');
  await writeFile(path, text);
  expect(await detectFormat(path)).toBe(text.trim() === '' ? 'empty' : 'jsonl');
  const { problem, from } = await verifyWithEvidence({ ...(await readExport(path)), isPartial: true });
  return problem === undefined ? { from } : problem;
}

const textOf = (lines: readonly Line[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join('');

/** Moves a line from position `from` to position `to`. */
function moved(lines: readonly Line[], from: number, to: number): readonly Line[] {
  const [line] = lines.slice(from, from + 1);
  return lines.toSpliced(from, 1).toSpliced(to, 0, line ?? {});
}

function edited(lines: readonly Line[], index: number, part: object): readonly Line[] {
  return lines.with(index, { ...lines[index], ...part });
}

/** Recomputes the hash, as an attacker could who knows the format. */
function rehashed({ hash: _, ...line }: Line): Line {
  return { ...line, hash: hashOf(canonical(line)) };
}

// Each case runs on a whole export, and on an export that starts at a later record.
for (const [what, lines] of [
  ['a whole export', WHOLE],
  ['a part of an export', WHOLE.slice(19)],
] as const) {
  const first = LENGTH - lines.length + 1;
  const last = lines.length - 1;
  it.each<[string, readonly Line[], object]>([
    ['nothing', lines, { from: first }],
    ['the first two swapped', moved(lines, 0, 1), { kind: 'reordered', sequence: first }],
    ['the first one at the end', moved(lines, 0, last), { kind: 'reordered', sequence: first }],
    ['the last one in front', moved(lines, last, 0), { kind: 'reordered', sequence: first }],
    ['the fifth in front', moved(lines, 4, 0), { kind: 'reordered', sequence: first }],
    ['all lines reversed', lines.toReversed(), { kind: 'reordered', sequence: first }],
    ['another number in the first', edited(lines, 0, { sequence: first + 4 }), edit(first)],
    ['the number of the second in the first', edited(lines, 0, { sequence: first + 1 }), edit(first)],
    ['no number in the first', edited(lines, 0, { sequence: 'x' }), edit(first)],
    ['another number in the fifth', edited(lines, 4, { sequence: 1_000 }), edit(first + 4)],
    ['a small number in the fifth', edited(lines, 4, { sequence: 2 }), edit(first + 4)],
    ['another content in the first', edited(lines, 0, { attempt: 99 }), edit(first)],
    ['another hash of the first', edited(lines, 0, { hash: 'a'.repeat(64) }), edit(first)],
    [
      'another content in the first two',
      edited(edited(lines, 0, { note: 'x' }), 1, { note: 'x' }),
      edit(first),
    ],
    ['another predecessor of the fifth', edited(lines, 4, { previousHash: GENESIS.hash }), edit(first + 4)],
    ['a copy of the fifth in front', [lines[4] ?? {}, ...lines], { kind: 'inserted', sequence: first }],
    ['a copy of the first at the end', [...lines, lines[0] ?? {}], { kind: 'inserted', sequence: 31 }],
    ['one of another chain in front', [OTHER[25] ?? {}, ...lines], { kind: 'inserted', sequence: first }],
    ['one of another chain within', lines.toSpliced(5, 0, OTHER[7] ?? {}), { kind: 'inserted' }],
    [
      'a forged one within',
      lines.toSpliced(5, 0, rehashed({ ...OTHER[7], sequence: 7 })),
      { kind: 'inserted' },
    ],
    ['the third removed', lines.toSpliced(2, 1), { kind: 'deleted', sequence: first + 2 }],
  ])(`verification of an export reports changes to ${what}: %s`, async (_, tampered, found) => {
    expect(await problemOf(textOf(tampered))).toMatchObject(found);
  });
}

function edit(sequence: number): object {
  return { kind: 'edited', sequence };
}

it('verification of an export reports an edited record if the first line is no longer a record', async () => {
  expect(await problemOf(`{\n${textOf(WHOLE.slice(1))}`)).toEqual(edit(1));
  expect(await problemOf(`{\n${textOf(WHOLE.slice(20))}`)).toEqual(edit(20));
  expect(await problemOf('{\n')).toEqual(edit(1));
});

it('verification of an export reports an edited record if the first line begins with arbitrary text', async () => {
  for (const front of ['x', 'sequence', '[', '\u0000', '\u00ff'])
    expect(await problemOf(`${front}${textOf(WHOLE)}`)).toEqual(edit(1));
  expect(await problemOf(textOf(WHOLE.slice(20)).replace('{', '('))).toEqual(edit(21));
});

it('verification of an export ignores a byte order mark and Windows line breaks', async () => {
  expect(await problemOf(`\ufeff${textOf(WHOLE).replaceAll('\n', '\r\n')}`)).toEqual({ from: 1 });
  expect(await problemOf(`\ufeff\ufeff${textOf(WHOLE)}`)).toEqual(edit(1));
});

it('verification treats an empty file as an export without records', async () => {
  for (const text of ['', '\n', ' '.repeat(100_000)]) expect(await problemOf(text)).toEqual({ from: 1 });
});
