import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonical } from '../../src/audit/canonical.ts';
import { append, GENESIS, type Head, hashOf, type StoredRecord, toStored } from '../../src/audit/chain.ts';
import type { AuditRecord, Entry } from '../../src/audit/entry.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { anyEntry } from './arbitrary.ts';

function chain(entries: readonly Entry[], instance = 'prod-eu'): AuditRecord[] {
  const records: AuditRecord[] = [];
  let head: Head = GENESIS;
  for (const entry of entries) {
    const { record } = append(head, entry, { time: '2026-11-25T12:00:00.000Z', instance, replica: 'r' });
    records.push(record);
    head = record;
  }
  return records;
}

function check(records: readonly object[], until?: Head) {
  return verify(records.map(toStored), until === undefined ? {} : { until });
}

/** With a hash that fits, as somebody does who knows the format. */
function rehashed(record: AuditRecord, part: object): AuditRecord {
  const { hash: _, ...rest } = { ...record, ...part };
  return { ...rest, hash: hashOf(canonical(rest)) };
}

const records = fc.array(anyEntry, { minLength: 3, maxLength: 12 }).map((entries) => chain(entries));
/** A chain and the index of a record that is neither the first nor the last of it. */
const place = records.chain((list) =>
  fc.tuple(fc.constant(list), fc.integer({ min: 1, max: list.length - 2 })),
);
const anyPlace = records.chain((list) =>
  fc.tuple(fc.constant(list), fc.integer({ min: 0, max: list.length - 1 })),
);
const twoPlaces = anyPlace.chain(([list, i]) =>
  fc.tuple(fc.constant(list), fc.constant(i), fc.integer({ min: 0, max: list.length - 1 })),
);

describe('a chain that nobody touched', () => {
  it('is intact', async () => {
    await fc.assert(
      fc.asyncProperty(records, async (list) => {
        const head = { sequence: list.length, hash: list.at(-1)?.hash };
        expect(await check(list)).toEqual({ kind: 'intact', records: list.length, head });
      }),
    );
  });

  it('is intact after a journey through JSON that turns its members round', async () => {
    await fc.assert(
      fc.asyncProperty(records, async (list) => {
        const travelled = list.map((record) =>
          JSON.parse(JSON.stringify(Object.fromEntries(Object.entries(record).reverse()))),
        );
        expect(await check(travelled)).toMatchObject({ kind: 'intact' });
      }),
    );
  });

  it('is intact from any record on, after what is known of the one before', async () => {
    await fc.assert(
      fc.asyncProperty(place, async ([list, i]) => {
        const after = list[i - 1];
        expect(await verify(list.slice(i).map(toStored), after && { after })).toMatchObject({
          kind: 'intact',
        });
      }),
    );
  });

  it('may be empty', async () => {
    expect(await check([])).toEqual({ kind: 'intact', records: 0, head: GENESIS });
  });
});

describe('a chain that somebody touched', () => {
  const field = fc.constantFrom(
    'actor',
    'requestId',
    'action',
    'mapping',
    'outcome',
    'sources',
    'keys',
    'durationMs',
    'time',
    'instance',
    'replica',
    'sequence',
    'previousHash',
    'hash',
    'note',
    'somethingNew',
    '__proto__',
  );
  const change = fc.oneof(
    fc.constant('changed'),
    fc.integer({ min: 100_000 }),
    fc.constant(null),
    fc.constant([[[]]]),
  );

  it('shows the edit of any field', async () => {
    await fc.assert(
      fc.asyncProperty(anyPlace, field, change, async ([list, i], name, value) => {
        const edited = list.map((record, at) =>
          at === i ? JSON.parse(JSON.stringify({ ...record, [name]: value })) : record,
        );
        if (name === '__proto__') Object.defineProperty(edited[i], name, { value, enumerable: true });
        expect(await check(edited)).toEqual({ kind: 'edited', sequence: i + 1 });
      }),
    );
  });

  it('shows the loss of any field', async () => {
    await fc.assert(
      fc.asyncProperty(anyPlace, field, async ([list, i], name) => {
        const edited = list.map((record, at) =>
          at === i ? Object.fromEntries(Object.entries(record).filter(([key]) => key !== name)) : record,
        );
        const changed = list[i] !== undefined && Object.hasOwn(list[i], name);
        expect(await check(edited)).toMatchObject(
          changed ? { kind: 'edited', sequence: i + 1 } : { kind: 'intact' },
        );
      }),
    );
  });

  it('shows an edit whose hash was made anew', async () => {
    await fc.assert(
      fc.asyncProperty(place, async ([list, i]) => {
        const edited = list.map((record, at) =>
          at === i ? rehashed(record, { note: 'nothing happened' }) : record,
        );
        expect(await check(edited)).toEqual({ kind: 'edited', sequence: i + 1 });
      }),
    );
  });

  it('shows such an edit of the last record by a head noted elsewhere', async () => {
    await fc.assert(
      fc.asyncProperty(records, async (list) => {
        const edited = list.map((record, at) =>
          at === list.length - 1 ? rehashed(record, { note: 'nothing happened' }) : record,
        );
        expect(await check(edited, list.at(-1))).toEqual({ kind: 'edited', sequence: list.length });
      }),
    );
  });

  it('shows what is deleted', async () => {
    const part = place.chain(([list, i]) =>
      fc.tuple(fc.constant(list), fc.integer({ min: 0, max: i }), fc.constant(i)),
    );
    await fc.assert(
      fc.asyncProperty(part, async ([list, from, to]) => {
        const rest = list.filter((_, at) => at < from || at > to);
        expect(await check(rest)).toEqual({ kind: 'deleted', sequence: from + 1 });
      }),
    );
  });

  it('shows a deletion although what follows was renumbered', async () => {
    await fc.assert(
      fc.asyncProperty(place, async ([list, i]) => {
        const rest = list.filter((_, at) => at !== i).map((record, at) => ({ ...record, sequence: at + 1 }));
        expect(await check(rest)).toEqual({ kind: 'deleted', sequence: i + 1 });
      }),
    );
  });

  it('shows what is cut off, by a head noted elsewhere', async () => {
    await fc.assert(
      fc.asyncProperty(anyPlace, async ([list, i]) => {
        expect(await check(list.slice(0, i), list.at(-1))).toEqual({ kind: 'truncated', sequence: i + 1 });
      }),
    );
  });

  it('shows two records that changed places', async () => {
    await fc.assert(
      fc.asyncProperty(twoPlaces, async ([list, i, j]) => {
        fc.pre(i !== j);
        const swapped = list.with(i, list[j] ?? fail()).with(j, list[i] ?? fail());
        expect(await check(swapped)).toEqual({ kind: 'reordered', sequence: Math.min(i, j) + 1 });
      }),
    );
  });

  it('shows two records that changed places and numbers', async () => {
    await fc.assert(
      fc.asyncProperty(twoPlaces, async ([list, i, j]) => {
        fc.pre(i !== j);
        const swapped = list.with(i, list[j] ?? fail()).with(j, list[i] ?? fail());
        const renumbered = swapped.map((record, at) => ({ ...record, sequence: at + 1 }));
        expect(await check(renumbered)).toEqual({ kind: 'reordered', sequence: Math.min(i, j) + 1 });
      }),
    );
  });

  it('shows a record that was moved', async () => {
    await fc.assert(
      fc.asyncProperty(twoPlaces, async ([list, i, j]) => {
        fc.pre(i !== j);
        const moved = list.toSpliced(i, 1).toSpliced(j, 0, list[i] ?? fail());
        expect(await check(moved)).toEqual({ kind: 'reordered', sequence: Math.min(i, j) + 1 });
      }),
    );
  });

  it('shows a record that is there twice', async () => {
    await fc.assert(
      fc.asyncProperty(twoPlaces, async ([list, i, j]) => {
        const doubled = list.toSpliced(j, 0, list[i] ?? fail());
        expect(await check(doubled)).toEqual({ kind: 'inserted', sequence: Math.min(i, j) + 1 });
      }),
    );
  });

  it.each([
    ['that fits what it follows', false, true],
    ['with a wrong predecessor', false, false],
    ['with what follows renumbered', true, true],
  ])('shows a forged record %s', async (_, renumber, linked) => {
    await fc.assert(
      fc.asyncProperty(place, anyEntry, async ([list, i], entry) => {
        const head = { sequence: i, hash: linked ? (list[i - 1]?.hash ?? '') : 'f'.repeat(64) };
        const { record } = append(head, entry, {
          time: '2026-11-25T12:00:00.000Z',
          instance: 'prod-eu',
          replica: 'r',
        });
        const forged = list.toSpliced(i, 0, record);
        const shown = renumber ? forged.map((one, at) => ({ ...one, sequence: at + 1 })) : forged;
        expect(await check(shown)).toEqual({ kind: 'inserted', sequence: i + 1 });
      }),
    );
  });

  it('shows where the chain of another instance begins', async () => {
    const two = fc.tuple(fc.array(anyEntry, { minLength: 4, maxLength: 8 }), fc.integer({ min: 1, max: 2 }));
    await fc.assert(
      fc.asyncProperty(two, async ([entries, cut]) => {
        const spliced = [...chain(entries).slice(0, cut), ...chain(entries, 'prod-us').slice(cut)];
        expect(await check(spliced)).toEqual({ kind: 'inserted', sequence: cut + 1 });
      }),
    );
  });

  it('shows that the columns searched by were changed', async () => {
    const stored: StoredRecord[] = chain([1, 2, 3].map((n) => ({ ...sample, attempt: n }))).map(toStored);
    const touched = stored.map((record, at) => (at === 1 ? { ...record, indexed: false } : record));
    expect(await verify(touched)).toEqual({ kind: 'edited', sequence: 2 });
  });

  it.each(['', 'null', '[]', '{', `${'['.repeat(5000)}${']'.repeat(5000)}`])(
    'bears a text that is no record',
    async (text) => {
      const stored = chain([sample, sample]).map(toStored);
      expect(await verify(stored.with(1, { text, hash: hashOf('x'), indexed: true }))).toEqual({
        kind: 'edited',
        sequence: 2,
      });
    },
  );
});

const sample: Entry = {
  actor: { kind: 'cli' },
  requestId: 'r',
  action: 'command',
  outcome: 'ok',
  sources: [],
  keys: { added: [], changed: [], removed: [] },
  durationMs: 0,
  attempt: 1,
};

function fail(): never {
  throw new Error('no such record');
}
