const SHIFT =
  'update records set sequence = -sequence - 1 where sequence >= 3; update records set sequence = -sequence where sequence < 0;';

/** Changes to a log of six records, as SQL for both databases, and the expected result of `verify`. */
export const TAMPERINGS: readonly (readonly [what: string, sql: string, found: object])[] = [
  ['nothing', 'select 1', { kind: 'intact', records: 6 }],
  [
    'the text',
    `update records set record = replace(record, '"ann"', '"eve"') where sequence = 3`,
    { kind: 'edited', sequence: 3 },
  ],
  ['a column', `update records set mapping = 'other' where sequence = 4`, { kind: 'edited', sequence: 4 }],
  [
    'a column, set to null',
    'update records set namespace = null where sequence = 4',
    { kind: 'edited', sequence: 4 },
  ],
  ['the sources', 'delete from record_sources where sequence = 5', { kind: 'edited', sequence: 5 }],
  [
    'an extra source',
    "insert into record_sources values (2, 'a', 'b', '1')",
    { kind: 'edited', sequence: 2 },
  ],
  ['the values', 'delete from record_values where sequence = 5', { kind: 'edited', sequence: 5 }],
  [
    'an extra value',
    `insert into record_values values (2, '0badcafe:${'f'.repeat(64)}')`,
    { kind: 'edited', sequence: 2 },
  ],
  [
    'the hash',
    `update records set hash = '${'a'.repeat(64)}' where sequence = 2`,
    { kind: 'edited', sequence: 2 },
  ],
  ['a row', 'delete from records where sequence in (2, 3)', { kind: 'deleted', sequence: 2 }],
  ['the first row', 'delete from records where sequence = 1', { kind: 'deleted', sequence: 1 }],
  ['the last rows', 'delete from records where sequence > 4', { kind: 'truncated', sequence: 5 }],
  ['all rows', 'delete from records', { kind: 'truncated', sequence: 1 }],
  [
    'the order of two rows',
    `update records set sequence = 100 where sequence = 2; update records set sequence = 2 where sequence = 5; update records set sequence = 5 where sequence = 100`,
    { kind: 'reordered', sequence: 2 },
  ],
  [
    'the rows, with an inserted copy',
    `${SHIFT} insert into records select 3, time, actor_kind, actor_name, request_id, action, outcome, code, mapping, namespace, secret, fingerprint_before, fingerprint_after, hash, record from records where sequence = 2`,
    { kind: 'inserted', sequence: 2 },
  ],
];
