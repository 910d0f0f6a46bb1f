import { describe, expect, it } from 'vitest';
import { nearest } from '../../src/core/nearest.ts';

describe('the suggested word', () => {
  it.each([
    ['propety', 'property'],
    ['Property', 'property'],
    ['porperty', 'property'],
    ['nme', 'name'],
    ['nam', 'name'],
  ])('suggests for the input %s the word %s', (word, meant) => {
    expect(nearest(word, ['name', 'property', 'object'])).toBe(meant);
  });

  it('suggests nothing if no candidate is close enough', () => {
    expect(nearest('zzzzz', ['name', 'property'])).toBeUndefined();
    expect(nearest('ab', ['cd', 'ef'])).toBeUndefined();
    expect(nearest('', ['a'])).toBeUndefined();
  });

  it('suggests the nearest of several candidates', () => {
    expect(nearest('stors', ['store', 'stores'])).toBe('store');
    expect(nearest('storess', ['store', 'stores'])).toBe('stores');
  });
});
