import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkKey,
  checkPath,
  checkVersion,
  namesOf,
  plainName,
} from '../../../src/providers/aws-parameter-store/keys.ts';
import { arnOf } from './harness.ts';

const REGION = 'eu-west-1';
const segment = fc
  .stringMatching(/^[A-Za-z0-9_.-]{1,20}$/)
  .filter((text) => text !== '.' && text !== '..' && !/^(aws|ssm)/i.test(text));
const path = fc.array(segment, { minLength: 1, maxLength: 5 }).map((segments) => `/${segments.join('/')}`);

describe('the keys of Parameter Store', () => {
  it('every valid name is accepted as a key, as an ARN, and as a path', () => {
    fc.assert(
      fc.property(path, (name) => {
        expect(checkKey(name, REGION)).toBeUndefined();
        expect(checkKey(arnOf(name), REGION)).toBeUndefined();
        expect(checkPath(name)).toBeUndefined();
        expect(checkPath(`${name}/`)).toBeUndefined();
      }),
    );
  });

  it('a name without levels is accepted with and without a slash, and both are the same parameter', () => {
    fc.assert(
      fc.property(segment, (name) => {
        expect(checkKey(name, REGION)).toBeUndefined();
        for (const other of [`/${name}`, arnOf(name)]) {
          expect(plainName(other)).toBe(plainName(name));
          expect(namesOf(other).some((one) => namesOf(name).includes(one))).toBe(true);
        }
      }),
    );
  });

  it('two names with levels are the same parameter only if they are equal', () => {
    fc.assert(
      fc.property(path, path, (one, other) => {
        expect(plainName(one) === plainName(other)).toBe(one === other);
        expect(plainName(arnOf(one))).toBe(plainName(one));
      }),
    );
  });

  it('a text with any other character is no key', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (text) => {
        if (!/^[\w./-]+$/.test(text)) expect(checkKey(text, REGION)).toBeDefined();
      }),
    );
  });

  it.each([
    ['app/db', '/app/db'],
    ['/app/', '/app'],
    ['//app//db', '/app/db'],
    [' /app/db ', '/app/db'],
  ])('suggests a valid name for %j', (key, suggested) => {
    expect(checkKey(key, REGION)).toMatchObject({ suggested });
  });

  it('suggests a path with a slash', () => {
    expect(checkPath('app')).toMatchObject({ suggested: '/app' });
    expect(['', '/'].map(checkPath)).toEqual([undefined, undefined]);
  });

  it.each(['1', '42', 'blue', 'v1.2', '_x', 'a'.repeat(100)])('the version %s is accepted', (version) => {
    expect(checkVersion(version)).toBeUndefined();
  });

  it.each(['', '0', '01', '1a', 'aws-1', 'SSM', 'a b', 'a'.repeat(101), '1'.repeat(16), 'AWS'])(
    'the version %j is rejected',
    (version) => {
      expect(checkVersion(version)).toBeDefined();
    },
  );
});
