import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  append,
  canonical,
  GENESIS,
  type Head,
  hashOf,
  type StoredRecord,
  toStored,
} from '../../src/audit/chain.ts';
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

/** Recomputes the hash, as an attacker could who knows the format. */
function rehashed(record: AuditRecord, part: object): AuditRecord {
  const { hash: _, ...rest } = { ...record, ...part };
  return { ...rest, hash: hashOf(canonical(rest)) };
}

const records = fc.array(anyEntry, { minLength: 3, maxLength: 12 }).map((entries) => chain(entries));
/** A chain and the index of one of its records, which is neither the first nor the last one. */
const innerIndex = records.chain((list) =>
  fc.tuple(fc.constant(list), fc.integer({ min: 1, max: list.length - 2 })),
);
const anyIndex = records.chain((list) =>
  fc.tuple(fc.constant(list), fc.integer({ min: 0, max: list.length - 1 })),
);
const twoIndexes = anyIndex.chain(([list, i]) =>
  fc.tuple(fc.constant(list), fc.constant(i), fc.integer({ min: 0, max: list.length - 1 })),
);

describe('verification of an untouched chain', () => {
  it('verification of an untouched chain reports an intact chain', async () => {
    await fc.assert(
      fc.asyncProperty(records, async (list) => {
        const head = { sequence: list.length, hash: list.at(-1)?.hash };
        expect(await check(list)).toEqual({ kind: 'intact', records: list.length, head });
      }),
    );
  });

  it('verification of an untouched chain accepts records whose members come in reverse order after a JSON round trip', async () => {
    await fc.assert(
      fc.asyncProperty(records, async (list) => {
        const reversed = list.map((record) =>
          JSON.parse(JSON.stringify(Object.fromEntries(Object.entries(record).reverse()))),
        );
        expect(await check(reversed)).toMatchObject({ kind: 'intact' });
      }),
    );
  });

  it('verification of an untouched chain can start at any record if the head before that record is given', async () => {
    await fc.assert(
      fc.asyncProperty(innerIndex, async ([list, i]) => {
        const after = list[i - 1];
        expect(await verify(list.slice(i).map(toStored), after && { after })).toMatchObject({
          kind: 'intact',
        });
      }),
    );
  });

  it('verification of an empty chain reports no problem', async () => {
    expect(await check([])).toEqual({ kind: 'intact', records: 0, head: GENESIS });
  });
});

describe('verification of a changed chain', () => {
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

  it('verification reports an edit of any field', async () => {
    await fc.assert(
      fc.asyncProperty(anyIndex, field, change, async ([list, i], name, value) => {
        const edited = list.map((record, at) =>
          at === i ? JSON.parse(JSON.stringify({ ...record, [name]: value })) : record,
        );
        if (name === '__proto__') Object.defineProperty(edited[i], name, { value, enumerable: true });
        expect(await check(edited)).toEqual({ kind: 'edited', sequence: i + 1 });
      }),
    );
  });

  it('verification reports the removal of any field', async () => {
    await fc.assert(
      fc.asyncProperty(anyIndex, field, async ([list, i], name) => {
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

  it('verification reports an edited record even if its hash was recomputed', async () => {
    await fc.assert(
      fc.asyncProperty(innerIndex, async ([list, i]) => {
        const edited = list.map((record, at) =>
          at === i ? rehashed(record, { note: 'nothing happened' }) : record,
        );
        expect(await check(edited)).toEqual({ kind: 'edited', sequence: i + 1 });
      }),
    );
  });

  it('verification reports the last record if it was edited and its hash recomputed, provided that the original head is given', async () => {
    await fc.assert(
      fc.asyncProperty(records, async (list) => {
        const edited = list.map((record, at) =>
          at === list.length - 1 ? rehashed(record, { note: 'nothing happened' }) : record,
        );
        expect(await check(edited, list.at(-1))).toEqual({ kind: 'edited', sequence: list.length });
      }),
    );
  });

  it('verification reports deleted records', async () => {
    const part = innerIndex.chain(([list, i]) =>
      fc.tuple(fc.constant(list), fc.integer({ min: 0, max: i }), fc.constant(i)),
    );
    await fc.assert(
      fc.asyncProperty(part, async ([list, from, to]) => {
        const rest = list.filter((_, at) => at < from || at > to);
        expect(await check(rest)).toEqual({ kind: 'deleted', sequence: from + 1 });
      }),
    );
  });

  it('verification reports deleted records even if all following records were renumbered', async () => {
    await fc.assert(
      fc.asyncProperty(innerIndex, async ([list, i]) => {
        const rest = list.filter((_, at) => at !== i).map((record, at) => ({ ...record, sequence: at + 1 }));
        expect(await check(rest)).toEqual({ kind: 'deleted', sequence: i + 1 });
      }),
    );
  });

  it('verification reports a truncation if the original head is given', async () => {
    await fc.assert(
      fc.asyncProperty(anyIndex, async ([list, i]) => {
        expect(await check(list.slice(0, i), list.at(-1))).toEqual({ kind: 'truncated', sequence: i + 1 });
      }),
    );
  });

  it('verification reports that two records were swapped', async () => {
    await fc.assert(
      fc.asyncProperty(twoIndexes, async ([list, i, j]) => {
        fc.pre(i !== j);
        const swapped = list.with(i, list[j] ?? fail()).with(j, list[i] ?? fail());
        expect(await check(swapped)).toEqual({ kind: 'reordered', sequence: Math.min(i, j) + 1 });
      }),
    );
  });

  it('verification reports that two records were swapped and renumbered', async () => {
    await fc.assert(
      fc.asyncProperty(twoIndexes, async ([list, i, j]) => {
        fc.pre(i !== j);
        const swapped = list.with(i, list[j] ?? fail()).with(j, list[i] ?? fail());
        const renumbered = swapped.map((record, at) => ({ ...record, sequence: at + 1 }));
        expect(await check(renumbered)).toEqual({ kind: 'reordered', sequence: Math.min(i, j) + 1 });
      }),
    );
  });

  it('verification reports a moved record', async () => {
    await fc.assert(
      fc.asyncProperty(twoIndexes, async ([list, i, j]) => {
        fc.pre(i !== j);
        const moved = list.toSpliced(i, 1).toSpliced(j, 0, list[i] ?? fail());
        expect(await check(moved)).toEqual({ kind: 'reordered', sequence: Math.min(i, j) + 1 });
      }),
    );
  });

  it('verification reports a duplicated record', async () => {
    await fc.assert(
      fc.asyncProperty(twoIndexes, async ([list, i, j]) => {
        const doubled = list.toSpliced(j, 0, list[i] ?? fail());
        // If a record follows its copy, both are equal, and the second of them counts as inserted.
        const place = i === j ? j + 1 : j;
        expect(await check(doubled)).toEqual({ kind: 'inserted', sequence: place + 1 });
      }),
    );
  });

  it.each([
    ['with its own number', false, false],
    ['with the next number', true, false],
    ['with the next number, and successors that continue it', true, true],
  ])('verification reports the changed copy of a record behind it %s', async (_, isNext, continues) => {
    await fc.assert(
      fc.asyncProperty(innerIndex, async ([list, i]) => {
        const change = isNext ? { sequence: i + 1 } : { note: 'changed' };
        const copy = rehashed(list[i - 1] ?? fail(), change);
        let { hash } = copy;
        const rest = list.slice(i).map((record) => {
          if (!continues) return record;
          const next = rehashed(record, { sequence: record.sequence + 1, previousHash: hash });
          ({ hash } = next);
          return next;
        });
        expect(await check([...list.slice(0, i), copy, ...rest])).toEqual({
          kind: 'inserted',
          sequence: i + 1,
        });
      }),
    );
  });

  it.each([
    ['with a matching predecessor', false, true],
    ['with a wrong predecessor', false, false],
    ['with renumbered successors', true, true],
  ])('verification reports a forged record %s', async (_, renumber, linked) => {
    await fc.assert(
      fc.asyncProperty(innerIndex, anyEntry, async ([list, i], entry) => {
        const head = { sequence: i, hash: linked ? (list[i - 1]?.hash ?? '') : 'f'.repeat(64) };
        const { record } = append(head, entry, {
          time: '2026-11-25T12:00:00.000Z',
          instance: 'prod-eu',
          replica: 'r',
        });
        const forged = list.toSpliced(i, 0, record);
        const shownRecords = renumber ? forged.map((one, at) => ({ ...one, sequence: at + 1 })) : forged;
        expect(await check(shownRecords)).toEqual({ kind: 'inserted', sequence: i + 1 });
      }),
    );
  });

  it('verification reports the first record of another instance if that record continues the chain', async () => {
    const two = fc.tuple(fc.array(anyEntry, { minLength: 4, maxLength: 8 }), fc.integer({ min: 1, max: 2 }));
    await fc.assert(
      fc.asyncProperty(two, async ([entries, cut]) => {
        const spliced = [...chain(entries).slice(0, cut), ...chain(entries, 'prod-us').slice(cut)];
        expect(await check(spliced)).toEqual({ kind: 'inserted', sequence: cut + 1 });
      }),
    );
  });

  it('verification reports a record whose search columns were edited', async () => {
    const stored: StoredRecord[] = chain([1, 2, 3].map((n) => ({ ...sample, attempt: n }))).map(toStored);
    const edited = stored.map((record, at) => (at === 1 ? { ...record, columnsMatch: false } : record));
    expect(await verify(edited)).toEqual({ kind: 'edited', sequence: 2 });
  });

  it.each(['', 'null', '[]', '{', `${'['.repeat(5000)}${']'.repeat(5000)}`])(
    'verification reports an edited record if its text is no longer a record',
    async (text) => {
      const stored = chain([sample, sample]).map(toStored);
      expect(await verify(stored.with(1, { text, hash: hashOf('x'), columnsMatch: true }))).toEqual({
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
