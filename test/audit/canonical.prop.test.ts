import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonical } from '../../src/audit/chain.ts';

/** Returns a copy with the members of every object in reverse order. */
function reverseMembers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reverseMembers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, reverseMembers(member)]),
  );
}

const json = fc.jsonValue({ maxDepth: 5 });

describe('canonical JSON', () => {
  it('canonical JSON is parsed back to the value that it was made from', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(JSON.parse(canonical(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('canonical JSON does not depend on the order of the members of an object', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(canonical(reverseMembers(value))).toBe(canonical(value));
      }),
    );
  });

  it('canonical JSON stays the same if it is parsed and serialized a second time', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(canonical(JSON.parse(canonical(value)))).toBe(canonical(value));
      }),
    );
  });

  it('canonical JSON reproduces the examples of RFC 8785, sections 3.2.2 and 3.2.3', () => {
    const rfc = {
      // biome-ignore lint/correctness/noPrecisionLoss: the example of the RFC
      numbers: [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    };
    expect(canonical(rfc)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
    const names = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7 };
    expect(canonical(names)).toBe(
      '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\u{1f600}":5,"\ufb33":3}',
    );
  });

  it('canonical JSON sorts names by code units, even if they look like array indexes', () => {
    const given: unknown = JSON.parse('{"b":{"10":1,"2":2,"-":3},"__proto__":[{"9":0,"10":0}],"a":0}');
    expect(canonical(given)).toBe('{"__proto__":[{"10":0,"9":0}],"a":0,"b":{"-":3,"10":1,"2":2}}');
    expect(() => canonical({ 1: 0, b: Number.NaN })).toThrow(TypeError);
  });

  it.each([[Number.NaN], [Number.POSITIVE_INFINITY], [1n], [Symbol('x')], [() => 1]])(
    'canonical JSON cannot contain %s',
    (value) => {
      expect(() => canonical({ value })).toThrow(TypeError);
    },
  );
});
