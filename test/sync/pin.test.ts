import { describe, expect, it } from 'vitest';
import type { AppError } from '../../src/core/errors.ts';
import type { Mapping, Search } from '../../src/core/mapping.ts';
import { sourcesOf } from '../../src/sync/desired.ts';
import type { TargetSource } from '../../src/sync/ownership-metadata.ts';
import { type Pin, pinMapping } from '../../src/sync/pin.ts';
import { mapping, source } from './sample.ts';

const STORES = new Map([['vault', 'abcdefgh-and-more']]);
const search = (path: string, more: { name?: string; tags?: Record<string, string> } = {}) => ({
  store: 'vault',
  find: { path, tags: {}, ...more },
});

const at = (key: string, version: string, property?: string): TargetSource => ({
  store: 'vault',
  key,
  version,
  ...(property === undefined ? {} : { property }),
});
const pin = (...sources: TargetSource[]): Pin => ({
  to: 7,
  sources,
  stores: new Map([['vault', 'abcdefgh']]),
});

/** Returns each source as `name=key@version`, or the error code. */
function versions(original: Mapping, to: Pin, stores = STORES): readonly string[] | string {
  try {
    const { mapping: pinnedMapping } = pinMapping(original, to, stores);
    const named = Object.entries(pinnedMapping.data).map(
      ([name, { key, version }]) => `${name}=${key}@${version}`,
    );
    return [
      ...named,
      ...pinnedMapping.dataFrom.map((entry) => ('key' in entry ? `${entry.key}@${entry.version}` : 'find')),
    ];
  } catch (error) {
    return (error as AppError).code;
  }
}

describe('mapping pinned to a record', () => {
  it('a pinned mapping uses the recorded version of each source, and the current version of a source without a record', () => {
    const it_ = mapping({
      data: {
        A: source({ key: 'a' }),
        OLD: source({ key: 'old', version: '9' }),
        NEW: source({ key: 'new' }),
      },
      dataFrom: [source({ key: 'env' })],
    });
    const to = pin(at('a', '1'), at('old', '3'), at('env', '2', 'X'));
    expect(versions(it_, to)).toEqual(['A=a@1', 'OLD=old@3', 'NEW=new@undefined', 'env@2']);
    const { refs } = pinMapping(it_, to, STORES);
    expect([...refs].map((ref) => JSON.parse(ref)[1])).toEqual(['a', 'old', 'env']);
  });

  it('a pinned mapping reads another property of a key at the version that is recorded for that key', () => {
    const it_ = mapping({ data: { USER: source({ key: 'db', property: 'user' }) } });
    expect(versions(it_, pin(at('db', '4', 'password')))).toEqual(['USER=db@4']);
  });

  it('a pinned mapping differs only in the versions, and keeps decoding, properties, objects and renaming', () => {
    const it_ = mapping({
      data: {
        A: source({ key: 'a', property: 'p', decode: 'base64', object: 'certificate', optional: true }),
      },
      dataFrom: [{ ...source({ key: 'env', property: 'prod' }), rename: { prefix: 'X_' } }],
    });
    const { mapping: then } = pinMapping(it_, pin(at('a', '1', 'p'), at('env', '2', 'prod.KEY')), STORES);
    expect(then).toEqual({
      ...it_,
      data: { A: { ...it_.data.A, version: '1' } },
      dataFrom: [{ ...it_.dataFrom[0], version: '2' }],
    });
  });

  it('a pinned mapping uses two recorded versions of one key if they are recorded for different properties', () => {
    const it_ = mapping({
      data: { A: source({ key: 'db', property: 'a' }), B: source({ key: 'db', property: 'b' }) },
      dataFrom: [source({ key: 'db', property: 'more' })],
    });
    const to = pin(at('db', '1', 'a'), at('db', '2', 'b'), at('db', '3', 'more.X'), at('db', '3', 'more.Y'));
    expect(versions(it_, to)).toEqual(['A=db@1', 'B=db@2', 'db@3']);
  });

  it('a pinned mapping rejects two recorded versions of one source as ambiguous', () => {
    const it_ = mapping({
      data: { NOW: source({ key: 'api' }), BEFORE: source({ key: 'api', version: 'AWSPREVIOUS' }) },
    });
    expect(versions(it_, pin(at('api', '2'), at('api', '1')))).toBe('ROLLBACK_AMBIGUOUS');
    expect(versions(it_, pin(at('api', '2')))).toEqual(['NOW=api@2', 'BEFORE=api@2']);
  });

  it.each([
    ['with another definition', new Map([['vault', 'zzzzzzzz-and-more']]), 'VERSION_GONE'],
    ['with the same definition', STORES, ['A=a@1']],
    // No source of the mapping can use a store that is not configured.
    ['that is no longer configured', new Map<string, string>(), ['A=a@1']],
  ])('a pinned mapping checks the recorded definition of a store %s', (_, stores, expected) => {
    expect(versions(mapping({ data: { A: source({ key: 'a' }) } }), pin(at('a', '1')), stores)).toEqual(
      expected,
    );
  });

  describe('mapping with a search, pinned to a record', () => {
    it('a pinned mapping with a search uses the keys that the search found at the time of the record, under their current names', () => {
      const it_ = mapping({ dataFrom: [{ ...search('flags/'), rename: { case: 'upper' } }] });
      expect(versions(it_, pin(at('flags/a', '1'), at('flags/b', '2'), at('other', '3')))).toEqual([
        'A=flags/a@1',
        'B=flags/b@2',
      ]);
    });

    it('a pinned mapping with a search does not treat members of a spread object as found keys', () => {
      const it_ = mapping({ dataFrom: [search('flags')] });
      expect(versions(it_, pin(at('flags/a', '1'), at('flags/env', '2', 'X')))).toEqual(['a=flags/a@1']);
    });

    it('a pinned mapping with a search applies the current name pattern of the search, but not its tags', () => {
      const it_ = mapping({ dataFrom: [search('flags', { name: '^a', tags: { live: 'true' } })] });
      expect(versions(it_, pin(at('flags/a', '1'), at('flags/b', '1')))).toEqual(['a=flags/a@1']);
    });

    it('a pinned mapping with a search ignores recorded keys that no search can find, because such keys came from `data`', () => {
      const found: Search = { ...search(''), unlisted: 'dotted' };
      expect(versions(mapping({ dataFrom: [found] }), pin(at('a', '1'), at('.b', '2')))).toEqual(['a=a@1']);
    });

    it('a pinned mapping with a search uses the source in `data` for a key that the tags may have excluded from the search', () => {
      const it_ = mapping({
        data: { NAMED: source({ key: 'flags/n' }) },
        dataFrom: [search('flags', { tags: { live: 'true' } })],
      });
      expect(versions(it_, pin(at('flags/a', '1'), at('flags/n', '1')))).toEqual([
        'NAMED=flags/n@1',
        'a=flags/a@1',
      ]);
    });

    it('a pinned mapping with a search rejects a found key if the mapping now uses its name for another source', () => {
      const it_ = mapping({ data: { a: source({ key: 'mine' }) }, dataFrom: [search('flags')] });
      expect(versions(it_, pin(at('flags/a', '1')))).toBe('KEY_COLLISION');
    });

    it('a pinned mapping with a search rejects two recorded versions of one found key', () => {
      const it_ = mapping({ dataFrom: [search('flags')] });
      expect(versions(it_, pin(at('flags/a', '1'), at('flags/a', '2')))).toBe('ROLLBACK_AMBIGUOUS');
    });

    it('a pinned mapping with a search rejects names that cannot be keys of a Secret', () => {
      const it_ = mapping({ dataFrom: [search('flags')] });
      expect(versions(it_, pin(at('flags/a/b', '1')))).toBe('KEY_INVALID');
    });
  });

  it('a pinned mapping lists all sources of the mapping before any read, so that the access rules can be checked', () => {
    const it_ = mapping({ data: { A: source({ key: 'a' }) }, dataFrom: [search('flags')] });
    const { mapping: then } = pinMapping(it_, pin(at('a', '1'), at('flags/b', '2')), STORES);
    expect(sourcesOf(then).map(({ key }) => key)).toEqual(['a', 'flags/b']);
  });
});
