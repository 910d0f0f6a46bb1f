import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cell, csvHeader, csvLine } from '../../src/audit/export/csv.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { entry } from './sample.ts';

/** Parses CSV strictly according to RFC 4180. */
function parse(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (let at = 0; at < text.length; ) {
    const quoted = text[at] === '"';
    const found = (quoted ? /"((?:[^"]|"")*)"/y : /[^",\r\n]*/y) as RegExp;
    found.lastIndex = at;
    const match = found.exec(text);
    if (match === null) throw new Error(`no cell at ${at}`);
    row.push(quoted ? (match[1] ?? '').replaceAll('""', '"') : match[0]);
    at = found.lastIndex;
    if (text[at] === ',') at += 1;
    else if (text.startsWith('\r\n', at)) {
      rows.push(row);
      row = [];
      at += 2;
    } else throw new Error(`no separator at ${at}`);
  }
  return rows;
}

const NASTY = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom('=', '+', '-', '@', '\t', '\r', '\n', '"', ',', ';', "'", ' ', 'a', '＝'),
  }),
);

describe('CSV cell', () => {
  it('a CSV cell is parsed back unchanged, except for the apostrophe before text that a spreadsheet would run as a formula', () => {
    fc.assert(
      fc.property(fc.array(NASTY, { minLength: 1, maxLength: 5 }), (texts) => {
        const [row = []] = parse(`${texts.map(cell).join(',')}\r\n`);
        expect(row).toHaveLength(texts.length);
        row.forEach((shown, index) => {
          const text = texts[index] ?? '';
          expect(shown).toBe(/^[=+\-@\t\r\n＋－＝＠]/.test(text) ? `'${text}` : text);
        });
      }),
    );
  });

  it.each([
    ['=1+1', "'=1+1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['-2', "'-2"],
    ['+2', "'+2"],
    ['\tx', '"\'\tx"'],
    ['a;=1', '"a;=1"'],
    ['say "so", twice', '"say ""so"", twice"'],
    ['', ''],
  ])('a CSV cell shows %j as %j', (text, expected) => {
    expect(cell(text)).toBe(expected);
  });

  it('a CSV cell shows numbers unchanged', () => {
    expect(cell(-5)).toBe('-5');
    expect(cell(undefined)).toBe('');
  });
});

describe('CSV row', () => {
  it('a CSV row has a cell for every column, whatever the record contains', async () => {
    await using audit = createMemoryAudit();
    const [record] = await audit.append([
      entry({
        note: '=HYPERLINK("http://x","y")\r\nand more',
        actor: { kind: 'operator', name: '@ann', address: '::1' },
        counts: { records: 3 },
        keys: { added: ['-a', 'b'], changed: [], removed: [] },
      }),
    ]);
    if (record === undefined) throw new Error('nothing was recorded');
    const review = { state: 'flagged', by: '+bob', time: record.time, note: '-1', sequence: 2 } as const;
    const [header = [], line = []] = parse(csvHeader() + csvLine(record, review));
    expect(line).toHaveLength(header.length);
    const row = Object.fromEntries(header.map((name, index) => [name, line[index]]));
    expect(row).toMatchObject({
      sequence: '1',
      actorName: "'@ann",
      note: '\'=HYPERLINK("http://x","y")\r\nand more',
      keysAdded: "'-a b",
      counts: '{"records":3}',
      reviewState: 'flagged',
      reviewBy: "'+bob",
      reviewNote: "'-1",
      hash: record.hash,
    });
    expect(JSON.parse(row.sources ?? '')).toEqual(record.sources);
  });
});
