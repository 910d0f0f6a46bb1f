import { describe, expect, it } from 'vitest';
import { withoutSuffix, withSuffix } from '../../src/core/tracer.ts';

describe('a request id', () => {
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
