import fc from 'fast-check';
import { describe, it } from 'vitest';
import { imported, VAULT } from './harness.ts';

/**
 * Values that the API server rejects, that YAML parses differently, or that JavaScript objects inherit as member names.
 */
const odd = fc.constantFrom<unknown>(
  ...['', ' a', '/a/', 'a//b', '..', '__proto__', 'toString', 'constructor', 'é', 'x'.repeat(300)],
  ...['{{ .a }}', '{{ $x := .a }}{{ $x }}', '{% x %}', '}}', '0755', 'on', '~', 'a: b', '# c', '- a'],
  ...['"', 'a\nb', '\u0000', '\u2028', '\ud800', '\ufeff', '&a', '!!x', '`', 'a b/c'],
  ...['ghp_abcdefghijklmnopqrstuvwxyz0123456789', null, true, 0, 1.5, [], {}, ['a'], { a: 'b' }],
);

const spec = () => ({
  refreshInterval: '1h',
  data: [{ secretKey: 'a', remoteRef: { key: 'k', property: 'p', version: '1', decodingStrategy: 'None' } }],
  dataFrom: [
    { extract: { key: 'e' }, rewrite: [{ regexp: { source: '(.*)', target: 'X_$1' } }] },
    { find: { path: 'p', name: { regexp: '^p/x' }, tags: { a: 'b' } } },
  ],
  target: {
    creationPolicy: 'Owner',
    deletionPolicy: 'Retain',
    template: {
      type: 'Opaque',
      mergePolicy: 'Replace',
      metadata: { labels: { l: 'v' }, annotations: { n: 'w' } },
      data: { x: '{{ .a }}!' },
    },
  },
});

/** Returns every field of an object, together with its parent. */
function fieldsOf(value: object): [object, string][] {
  return Object.entries(value).flatMap(([name, member]): [object, string][] => [
    [value, name],
    ...(typeof member === 'object' && member !== null ? fieldsOf(member as object) : []),
  ]);
}

describe('an arbitrary value in a field of an object', () => {
  it('an object with an arbitrary value in a field is either imported or reported as not converted, and the output is valid', async () => {
    const change = fc.record({ at: fc.nat(), to: odd, isName: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 4 }), async (all) => {
        const objects = all.map((changes, index) => {
          const secretStoreRef = { name: 'vault', kind: 'ClusterSecretStore' };
          const made = { secretStoreRef, ...spec() };
          for (const { at, to, isName } of changes) {
            const fields = fieldsOf(made);
            const [where, name] = fields[at % fields.length] ?? [made, 'data'];
            // Defines the member instead of assigning it, because the name may be `__proto__`.
            const called = isName && !Array.isArray(where) && typeof to === 'string' ? to : name;
            Object.defineProperty(where, called, {
              // A copy, because a later change may reach into this value and add the value to itself.
              value: structuredClone(to),
              enumerable: true,
              configurable: true,
              writable: true,
            });
          }
          return {
            apiVersion: 'external-secrets.io/v1',
            kind: 'ExternalSecret',
            metadata: { name: `es-${index}`, namespace: 'apps' },
            spec: made,
          };
        });
        await imported(VAULT, ...objects);
      }),
      { numRuns: 100 },
    );
  });
});
