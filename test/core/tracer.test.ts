import { describe, expect, it } from 'vitest';
import { requestIdFrom, withoutSuffix, withSuffix } from '../../src/core/tracer.ts';

describe('a request id', () => {
  it.each(['a', '0', `AZaz09._~-${'x'.repeat(70)}`])('an id of the right form is kept: %s', (id) => {
    expect(requestIdFrom(id)).toBe(id);
  });

  it.each(['', 'x'.repeat(81), 'a b', 'a\n', 'ä', 'a/b', 'a:b', undefined, 7])(
    'an id of another form is replaced: %j',
    (id) => expect(requestIdFrom(id)).toMatch(/^[0-9a-f-]{36}$/),
  );

  it('an id stays within 80 characters with a suffix', () => {
    expect(withSuffix('x'.repeat(80), 'a1b2c3')).toMatch(/^x{73}~a1b2c3$/);
  });

  it('each repeated run gets a different request id', () => {
    const once = withSuffix('a-request', '1');
    const twice = withSuffix(once, '1');
    expect(new Set(['a-request', once, twice]).size).toBe(3);
  });

  it('the original request id is returned for an id with suffixes', () => {
    expect(withoutSuffix(withSuffix(withSuffix('a-request@an-intake', 'a1b2c3'), ''))).toBe(
      'a-request@an-intake',
    );
    expect(withoutSuffix('a-request')).toBe('a-request');
  });
});
