import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import type { ReadResult } from '../../src/core/read-result.ts';
import type { SecretProvider } from '../../src/providers/provider.ts';

/** A provider and its store. The methods of this interface change the store without the provider. */
export interface Harness<Fault extends string = string> extends AsyncDisposable {
  readonly provider: SecretProvider;
  put(key: string, fields: Readonly<Record<string, string>>): Promise<void>;
  remove(key: string): Promise<void>;
  fail(fault: Fault | undefined): void | Promise<void>;
}

export interface Conformance<Fault extends string> {
  /** The error that a read or a search must return for each fault of the store. */
  readonly faults: Readonly<Record<Fault, ErrorCode>>;
  /** Keys that the store refuses, although it could hold them. A read of such a key must fail with CONFIG_INVALID. */
  readonly refusedKeys?: readonly string[];
  /** Opens a new store for each test. */
  open(): Promise<Harness<Fault>>;
}

export const MARKER = 'mArKeR-53cr3t-vAluE';

export function describeProvider<Fault extends string>(
  name: string,
  { open, faults, refusedKeys = [] }: Conformance<Fault>,
): void {
  describe(`${name} conforms to the provider port`, () => {
    it('returns each value exactly as it was written, for objects and bytes', async () => {
      await using h = await open();
      const fields = { user: 'ann', pass: 'p@ss\nwörd "x" \\ </script> \u2028', empty: '', zero: 'a\0b' };
      await h.put('app/db.json', fields);
      const [result] = await h.provider.read([{ key: 'app/db.json' }]);
      expect(JSON.parse(reveal(result))).toEqual(fields);
    });

    it('escapes no more characters in JSON than necessary', async () => {
      await using h = await open();
      await h.put('app/db.json', { a: '<ö>&\u2028' });
      const [result] = await h.provider.read([{ key: 'app/db.json' }]);
      expect(reveal(result)).toBe('{"a":"<ö>&\u2028"}');
    });

    it('reports a key that does not exist as absent', async () => {
      await using h = await open();
      await h.put('app/db.json', { a: '1' });
      const results = await h.provider.read([{ key: 'nothing/here.json' }, { key: 'app/none.json' }]);
      expect(results.map(codeOf)).toEqual(['absent', 'absent']);
    });

    it('reports a deleted key as absent', async () => {
      await using h = await open();
      await h.put('app/db.json', { a: '1' });
      await h.provider.read([{ key: 'app/db.json' }]);
      await h.remove('app/db.json');
      expect((await h.provider.read([{ key: 'app/db.json' }])).map(codeOf)).toEqual(['absent']);
    });

    it('returns one result for each reference, in order, even if some references fail', async () => {
      await using h = await open();
      await h.put('b.json', { b: '1' });
      await h.put('a.json', { a: '1' });
      const keys = ['a.json', 'none.json', 'b.json', 'x/../a.json', 'a.json'];
      const results = await h.provider.read(keys.map((key) => ({ key })));
      expect(results.map(({ kind }) => kind)).toEqual(['found', 'absent', 'found', 'failed', 'found']);
      expect(reveal(results[2])).toBe('{"b":"1"}');
      expect(await h.provider.read([])).toEqual([]);
    });

    it.each([
      '..',
      '../b.json',
      'a/../../b.json',
      '/etc/passwd',
      'a//b.json',
      './a.json',
      'a/',
      '',
      'a\0.json',
      'a\ud800',
    ])('rejects the key %j before it sends a request', async (key) => {
      await using h = await open();
      const [result] = await h.provider.read([{ key }]);
      expect(codeOf(result)).toBe('CONFIG_INVALID');
    });

    it.each(['a b?c#d%2e%2e&e=f.json', 'ü/日本.json', '%2e%2e/x.json', '...json', "it's;:@$,+!*().json"])(
      'reads the key %j without changing it',
      async (key) => {
        await using h = await open();
        if (refusedKeys.includes(key)) {
          expect((await h.provider.read([{ key }])).map(codeOf)).toEqual(['CONFIG_INVALID']);
          return;
        }
        await h.put(key, { key });
        const [result] = await h.provider.read([{ key }]);
        expect(JSON.parse(reveal(result))).toEqual({ key });
        expect(await h.provider.find({ path: '', tags: {} })).toEqual(
          key.startsWith('.') ? expect.anything() : [key],
        );
      },
    );

    it('returns a new version only if the content has changed', async () => {
      await using h = await open();
      const version = async () => {
        const [result] = await h.provider.read([{ key: 'a.json' }]);
        return result?.kind === 'found' ? result.version : undefined;
      };
      await h.put('a.json', { a: '1' });
      const first = await version();
      expect(first).toMatch(/./);
      expect(await version()).toBe(first);
      await h.put('a.json', { a: '2' });
      expect(await version()).not.toBe(first);
    });

    it('reads the current version by its id, and reports an unknown version as gone and not as absent', async () => {
      await using h = await open();
      await h.put('a.json', { a: '1' });
      const [now] = await h.provider.read([{ key: 'a.json' }]);
      const version = now?.kind === 'found' ? now.version : '';
      const other = /^\d+$/.test(version) ? '99' : `${version.slice(0, 9)}${'0'.repeat(64)}`;
      const [same, previous, none] = await h.provider.read([
        { key: 'a.json', version },
        { key: 'a.json', version: other },
        { key: 'none.json', version: other },
      ]);
      expect(reveal(same)).toBe('{"a":"1"}');
      expect(codeOf(previous)).toBe('VERSION_GONE');
      expect(codeOf(none)).toBe('VERSION_GONE');
    });

    it('reports for each key either the version that a read returns, or that the version is unknown', async () => {
      await using h = await open();
      await h.put('a.json', { a: '1' });
      await h.put('a.json', { a: '2' });
      const [read] = await h.provider.read([{ key: 'a.json' }]);
      const [current, missing] = await h.provider.versions(['a.json', 'none.json']);
      if (current?.kind === 'known') expect(read).toMatchObject({ version: current.version });
      expect(missing).toEqual({ kind: 'unknown' });
    });

    it('finds all keys below a path, including keys in subfolders, and returns full keys in sorted order', async () => {
      await using h = await open();
      for (const key of ['app/z.json', 'app/a/b/c.json', 'app/a.json', 'apple/x.json', 'app.json']) {
        await h.put(key, { a: '1' });
      }
      const below = ['app/a.json', 'app/a/b/c.json', 'app/z.json'];
      expect(await h.provider.find({ path: 'app', tags: {} })).toEqual(below);
      expect(await h.provider.find({ path: 'app/', tags: {} })).toEqual(below);
      expect(await h.provider.find({ path: 'none', tags: {} })).toEqual([]);
      expect(await h.provider.find({ path: '', tags: {} })).toEqual(['app.json', ...below, 'apple/x.json']);
    });

    it('rejects a search in a folder above the root of the store', async () => {
      await using h = await open();
      await expect(h.provider.find({ path: '../x', tags: {} })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      });
    });

    it('passes its own checks if the store works', async () => {
      await using h = await open();
      await h.put('a.json', { a: '1' });
      const checks = await h.provider.check();
      expect(checks.length).toBeGreaterThan(0);
      expect(checks.filter(({ error }) => error !== undefined)).toEqual([]);
    });

    it.each(Object.entries<ErrorCode>(faults))(
      'reports the fault "%s" as %s and never as absence, reveals no value, and works after the fault',
      async (fault, code) => {
        await using h = await open();
        await h.put('app/db.json', { a: MARKER });
        await h.fail(fault as Fault);
        const results = await h.provider.read([{ key: 'app/db.json' }, { key: 'app/none.json' }]);
        expect(results.map(codeOf)).toEqual([code, code]);
        await expect(h.provider.find({ path: 'app', tags: {} })).rejects.toMatchObject({ code });
        expect(await h.provider.versions(['app/db.json'])).toEqual([{ kind: 'unknown' }]);
        expect((await h.provider.check()).some(({ error }) => error !== undefined)).toBe(true);
      },
    );

    it('rejects with the reason of the signal if the signal is already aborted', async () => {
      await using h = await open();
      const reason = new Error('enough');
      const call = { signal: AbortSignal.abort(reason) };
      await expect(h.provider.read([{ key: 'a.json' }], call)).rejects.toBe(reason);
      await expect(h.provider.find({ path: '', tags: {} }, call)).rejects.toBe(reason);
    });
  });
}

export function reveal(result: ReadResult | undefined): string {
  if (result?.kind === 'failed') throw result.error;
  if (result?.kind !== 'found') throw new Error(`expected a value, got ${result?.kind}`);
  return Buffer.from(result.value.reveal()).toString('utf8');
}

export function codeOf(result: ReadResult | undefined): ErrorCode | string | undefined {
  return result?.kind === 'failed' ? result.error.code : result?.kind;
}

/** Returns all texts that a logger, a queue or a crash could print. They include the texts of each `cause`. */
export function everythingIn(thing: unknown): string {
  const results = Array.isArray(thing) ? thing : [thing];
  const errors = results.map((result) => (result instanceof AppError ? result : result?.error));
  const parts = [inspect(thing, { depth: null, showHidden: true }), JSON.stringify(thing)];
  for (const error of errors) {
    if (!(error instanceof Error)) continue;
    const { cause } = error;
    parts.push(
      String(error),
      error.stack ?? '',
      inspect(cause, { depth: null, showHidden: true }),
      JSON.stringify(cause) ?? '',
    );
  }
  return parts.join('\n');
}
