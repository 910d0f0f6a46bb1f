import { describe, expect, it } from 'vitest';
import { withoutSuffix, withSuffix } from '../../src/core/tracer.ts';

describe('a request id', () => {
  it('is different for each repeated run', () => {
    const once = withSuffix('a-request', '1');
    const twice = withSuffix(once, '1');
    expect(new Set(['a-request', once, twice]).size).toBe(3);
  });

  it('can be recovered from an id with suffixes', () => {
    expect(withoutSuffix(withSuffix(withSuffix('a-request@an-intake', 'a1b2c3'), ''))).toBe(
      'a-request@an-intake',
    );
    expect(withoutSuffix('a-request')).toBe('a-request');
  });
});
