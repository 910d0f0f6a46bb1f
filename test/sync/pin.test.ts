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

/** Each source as `name=key@version`, or the code of the refusal. */
function versions(it: Mapping, to: Pin, stores = STORES): readonly string[] | string {
  try {
    const { mapping: then } = pinMapping(it, to, stores);
    const named = Object.entries(then.data).map(([name, { key, version }]) => `${name}=${key}@${version}`);
    return [
      ...named,
      ...then.dataFrom.map((entry) => ('key' in entry ? `${entry.key}@${entry.version}` : 'find')),
    ];
  } catch (error) {
    return (error as AppError).code;
  }
}

describe('a mapping at the versions of a record', () => {
  it('has the version of each source that the record names, and follows the others', () => {
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

  it('reads another property of a key at the version that was recorded for the key', () => {
    const it_ = mapping({ data: { USER: source({ key: 'db', property: 'user' }) } });
    expect(versions(it_, pin(at('db', '4', 'password')))).toEqual(['USER=db@4']);
  });

  it('keeps all that is not a version: decoding, properties, objects, renaming', () => {
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

  it('tells two versions of one key apart by their properties, where these differ', () => {
    const it_ = mapping({
      data: { A: source({ key: 'db', property: 'a' }), B: source({ key: 'db', property: 'b' }) },
      dataFrom: [source({ key: 'db', property: 'more' })],
    });
    const to = pin(at('db', '1', 'a'), at('db', '2', 'b'), at('db', '3', 'more.X'), at('db', '3', 'more.Y'));
    expect(versions(it_, to)).toEqual(['A=db@1', 'B=db@2', 'db@3']);
  });

  it('guesses nothing: two versions of one source are ambiguous', () => {
    const it_ = mapping({
      data: { NOW: source({ key: 'api' }), BEFORE: source({ key: 'api', version: 'AWSPREVIOUS' }) },
    });
    expect(versions(it_, pin(at('api', '2'), at('api', '1')))).toBe('ROLLBACK_AMBIGUOUS');
    expect(versions(it_, pin(at('api', '2')))).toEqual(['NOW=api@2', 'BEFORE=api@2']);
  });

  it.each([
    ['of another definition', new Map([['vault', 'zzzzzzzz-and-more']]), 'VERSION_GONE'],
    ['of the same definition', STORES, ['A=a@1']],
    // No source of the mapping can be of it.
    ['that is configured no longer', new Map<string, string>(), ['A=a@1']],
  ])('of a store %s', (_, stores, expected) => {
    expect(versions(mapping({ data: { A: source({ key: 'a' }) } }), pin(at('a', '1')), stores)).toEqual(
      expected,
    );
  });

  describe('with a search', () => {
    it('stands for what it found then, under the names that it gives today', () => {
      const it_ = mapping({ dataFrom: [{ ...search('flags/'), rename: { case: 'upper' } }] });
      expect(versions(it_, pin(at('flags/a', '1'), at('flags/b', '2'), at('other', '3')))).toEqual([
        'A=flags/a@1',
        'B=flags/b@2',
      ]);
    });

    it('takes no member of an object that was spread for a key that it found', () => {
      const it_ = mapping({ dataFrom: [search('flags')] });
      expect(versions(it_, pin(at('flags/a', '1'), at('flags/env', '2', 'X')))).toEqual(['a=flags/a@1']);
    });

    it('by its name pattern of today, and by no tags, which were of then', () => {
      const it_ = mapping({ dataFrom: [search('flags', { name: '^a', tags: { live: 'true' } })] });
      expect(versions(it_, pin(at('flags/a', '1'), at('flags/b', '1')))).toEqual(['a=flags/a@1']);
    });

    it('takes up nothing that the mapping named then and that no search of its store finds', () => {
      const found: Search = { ...search(''), unlisted: 'dotted' };
      expect(versions(mapping({ dataFrom: [found] }), pin(at('a', '1'), at('.b', '2')))).toEqual(['a=a@1']);
    });

    it('leaves to the mapping what the mapping names itself, where tags may have kept it from the search', () => {
      const it_ = mapping({
        data: { NAMED: source({ key: 'flags/n' }) },
        dataFrom: [search('flags', { tags: { live: 'true' } })],
      });
      expect(versions(it_, pin(at('flags/a', '1'), at('flags/n', '1')))).toEqual([
        'NAMED=flags/n@1',
        'a=flags/a@1',
      ]);
    });

    it('refuses a name that the mapping gives by now, as ever', () => {
      const it_ = mapping({ data: { a: source({ key: 'mine' }) }, dataFrom: [search('flags')] });
      expect(versions(it_, pin(at('flags/a', '1')))).toBe('KEY_COLLISION');
    });

    it('refuses two versions of one key that it found', () => {
      const it_ = mapping({ dataFrom: [search('flags')] });
      expect(versions(it_, pin(at('flags/a', '1'), at('flags/a', '2')))).toBe('ROLLBACK_AMBIGUOUS');
    });

    it('refuses names that no key can have, as ever', () => {
      const it_ = mapping({ dataFrom: [search('flags')] });
      expect(versions(it_, pin(at('flags/a/b', '1')))).toBe('KEY_INVALID');
    });
  });

  it('is a mapping whose sources are all there to be checked before anything is read', () => {
    const it_ = mapping({ data: { A: source({ key: 'a' }) }, dataFrom: [search('flags')] });
    const { mapping: then } = pinMapping(it_, pin(at('a', '1'), at('flags/b', '2')), STORES);
    expect(sourcesOf(then).map(({ key }) => key)).toEqual(['a', 'flags/b']);
  });
});
