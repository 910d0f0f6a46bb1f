import { describe, expect, it } from 'vitest';
import { withMark, withoutMark } from '../../src/core/request-id.ts';

describe('the id of a request', () => {
  it('is another one for a run that is repeated, however often', () => {
    const once = withMark('a-request', '1');
    const twice = withMark(once, '1');
    expect(new Set(['a-request', once, twice]).size).toBe(3);
  });

  it('is found again without any of its marks', () => {
    expect(withoutMark(withMark(withMark('a-request@an-intake', 'a1b2c3'), ''))).toBe('a-request@an-intake');
    expect(withoutMark('a-request')).toBe('a-request');
  });
});
