import { describe, expect, it } from 'vitest';
import { withSuffix, withoutSuffix } from '../../src/core/request-id.ts';

describe('the id of a request', () => {
  it('is another one for a run that is repeated, however often', () => {
    const once = withSuffix('a-request', '1');
    const twice = withSuffix(once, '1');
    expect(new Set(['a-request', once, twice]).size).toBe(3);
  });

  it('is found again without any of its marks', () => {
    expect(withoutSuffix(withSuffix(withSuffix('a-request@an-intake', 'a1b2c3'), ''))).toBe(
      'a-request@an-intake',
    );
    expect(withoutSuffix('a-request')).toBe('a-request');
  });
});
