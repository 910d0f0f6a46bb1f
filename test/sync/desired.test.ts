import { describe, expect, it, vi } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { Mapping } from '../../src/core/mapping.ts';
import { type ReadResult, refId } from '../../src/core/read-result.ts';
import { shapeDesired, storeRef } from '../../src/sync/desired.ts';
import { found, mapping, source, texts } from './sample.ts';

function shape(given: Mapping, stored: Readonly<Record<string, ReadResult>>) {
  const readings = new Map(
    Object.entries(stored).map(([key, result]) => [refId(storeRef(source({ key }))), result]),
  );
  return shapeDesired(given, readings);
}

function dataOf(result: ReturnType<typeof shapeDesired>) {
  return result.kind === 'ready' ? texts(result.data) : result;
}

describe('desired content', () => {
  it('the desired content includes the creation time of each version if the store returns that time', () => {
    const result = shape(mapping({ data: { A: source(), B: source({ key: 'other' }) } }), {
      app: { ...found('1'), createdAt: 5 } as ReadResult,
      other: found('2'),
    });
    expect(result).toMatchObject({ createdAt: new Map([['A', 5]]) });
  });

  it('the desired content has one key for each source, and names the source of each key', () => {
    const result = shape(mapping({ data: { A: source({ property: 'x' }), B: source({ key: 'other' }) } }), {
      app: found('{"x":"1"}', 'v7'),
      other: found('2', 'v8'),
    });
    expect(dataOf(result)).toEqual({ A: '1', B: '2' });
    expect(result).toMatchObject({
      sources: new Map([
        ['A', { store: 'vault', key: 'app', property: 'x', version: 'v7' }],
        ['B', { store: 'vault', key: 'other', version: 'v8' }],
      ]),
    });
  });

  it('the desired content parses each value only once, for any number and order of properties', () => {
    const readings = { app: found('{"a":{"b":"1","c":"2"},"d":"3"}'), other: found('{"e":"4","f":"5"}') };
    const values = Object.values(readings).flatMap((readResult) =>
      readResult.kind === 'found' ? [readResult.value] : [],
    );
    const reveals = values.map((value) => vi.spyOn(value, 'reveal'));
    const other = (property: string) => source({ key: 'other', property });
    const result = shape(
      mapping({
        data: {
          A: source({ property: 'a.b' }),
          B: other('e'),
          C: source({ property: 'a.c' }),
          D: source({ property: 'd' }),
          E: other('f'),
        },
        dataFrom: [source({ property: 'a' })],
      }),
      readings,
    );
    expect(dataOf(result)).toEqual({ A: '1', B: '4', C: '2', D: '3', E: '5', b: '1', c: '2' });
    for (const reveal of reveals) expect(reveal).toHaveBeenCalledTimes(1);
  });

  it('the desired content has a renamed key for each member of a spread value', () => {
    const spread = { ...source(), rename: { prefix: 'App_', case: 'upper' } } as const;
    expect(dataOf(shape(mapping({ dataFrom: [spread] }), { app: found('{"db":"x","url":"y"}') }))).toEqual({
      App_DB: 'x',
      App_URL: 'y',
    });
  });

  it('`replace` replaces each occurrence of a text in a key of the desired content, but not in the prefix', () => {
    const spread = { ...source(), rename: { replace: { from: '-', to: '$&' }, prefix: 'a-' } } as const;
    const replaced = {
      ...spread,
      rename: { ...spread.rename, case: 'upper', replace: { from: '-', to: '_' } },
    } as const;
    const values = { app: found('{"db-user-name":"x"}') };
    expect(dataOf(shape(mapping({ dataFrom: [replaced] }), values))).toEqual({ 'a-DB_USER_NAME': 'x' });
    expect(shape(mapping({ dataFrom: [spread] }), values)).toMatchObject({ error: { code: 'KEY_INVALID' } });
  });

  it('the desired content has keys without invalid characters if the mapping asks for a replacement', () => {
    const spread = { ...source(), rename: { invalid: 'replace' } } as const;
    expect(
      dataOf(shape(mapping({ dataFrom: [spread] }), { app: found('{"a b":"1","..c":"2","😀":"3"}') })),
    ).toEqual({
      a_b: '1',
      '_.c': '2',
      _: '3',
    });
  });

  it.each(['a b', '', '.', '..', '..a', 'ä', 'a/b', 'x'.repeat(254)])(
    'the desired content never has the key %j',
    (name) => {
      const result = shape(mapping({ dataFrom: [source()] }), {
        app: found(JSON.stringify({ [name]: 'v' })),
      });
      expect(result).toMatchObject({ kind: 'failed', error: { code: 'KEY_INVALID' } });
    },
  );

  it('the desired content is rejected if a key comes from two sources, and the error names both sources', () => {
    const result = shape(mapping({ data: { a: source({ key: 'other' }) }, dataFrom: [source()] }), {
      app: found('{"a":"1"}'),
      other: found('1'),
    });
    expect(result).toMatchObject({ kind: 'failed', error: { code: 'KEY_COLLISION' } });
    expect(result.kind === 'failed' && result.error.message).toMatch(/key other.*key app, property a/);
  });

  it('the desired content is rejected if two keys become equal after they are renamed', () => {
    const spread = { ...source(), rename: { case: 'upper' } } as const;
    const result = shape(mapping({ dataFrom: [spread] }), { app: found('{"a":"1","A":"2"}') });
    expect(result).toMatchObject({ kind: 'failed', error: { code: 'KEY_COLLISION' } });
  });

  it('the desired content fails if any of the sources failed', () => {
    const failed: ReadResult = { kind: 'failed', error: new AppError('STORE_UNAVAILABLE') };
    const result = shape(mapping({ data: { A: source(), B: source({ key: 'other', optional: true }) } }), {
      app: found('1'),
      other: failed,
    });
    expect(result).toMatchObject({ kind: 'failed', error: { code: 'STORE_UNAVAILABLE' } });
  });

  it('the desired content has no key for an absent optional source, but names that source', () => {
    const optional = source({ key: 'other', optional: true });
    const result = shape(mapping({ data: { A: source(), B: optional } }), {
      app: found('1'),
      other: { kind: 'absent' },
    });
    expect(dataOf(result)).toEqual({ A: '1' });
    expect(result).toMatchObject({ absent: [optional] });
  });

  it('the desired content has no key for a missing optional property, but is rejected if the value is not an object', () => {
    const optional = source({ property: 'x', optional: true });
    expect(dataOf(shape(mapping({ data: { A: optional } }), { app: found('{}') }))).toEqual({});
    expect(shape(mapping({ data: { A: optional } }), { app: found('text') })).toMatchObject({
      error: { code: 'NOT_AN_OBJECT' },
    });
  });

  it('the desired content names every absent source, whether optional or required', () => {
    const result = shape(mapping({ data: { A: source() } }), { app: { kind: 'absent' } });
    expect(result).toMatchObject({ kind: 'ready', data: new Map(), absent: [source()] });
  });
});
