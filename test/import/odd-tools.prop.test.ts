import fc from 'fast-check';
import { describe, it } from 'vitest';
import { FIELD_TABLES } from './fields/tables.ts';
import { importedWith } from './harness.ts';

/** Values that API servers reject, or that other formats would read differently. */
const odd = fc.constantFrom<unknown>(
  ...['', ' a', '/a/', '..', '__proto__', 'constructor', 'é', 'x'.repeat(300), '{{ .a }}', `\${A}`],
  ...['[', 'a: b', '- a', '# c', '\u0000', '\u2028', '\ud800', '^(', '<%= x %>', '{% x %}', '*'],
  ...[null, true, 0, -1, 1.5, [], {}, ['a'], { a: 'b' }, [{ a: 'b' }]],
);

/** Returns every field of an object, together with its parent. */
function fieldsOf(value: object): [object, string][] {
  return Object.entries(value).flatMap(([name, member]): [object, string][] => [
    [value, name],
    ...(typeof member === 'object' && member !== null ? fieldsOf(member as object) : []),
  ]);
}

describe.each(FIELD_TABLES.map((table) => [table.tool.name, table] as const))(
  'an arbitrary value in an object of %s',
  (_, { tool, groups }) => {
    const examples = groups.flatMap(({ cases }) => cases.map(({ objects }) => objects));

    it('the object is either imported or reported as not converted, and the output is valid', async () => {
      const change = fc.record({ at: fc.nat(), to: odd });
      await fc.assert(
        fc.asyncProperty(
          fc.nat(examples.length - 1),
          fc.array(change, { minLength: 1, maxLength: 3 }),
          async (index, changes) => {
            const objects = structuredClone(examples[index] ?? []) as { spec?: object }[];
            for (const { at, to } of changes) {
              const fields = objects.flatMap(({ spec = {} }) => fieldsOf(spec));
              const [where, name] = fields[at % fields.length] ?? [{}, 'x'];
              Object.defineProperty(where, name, {
                value: structuredClone(to),
                enumerable: true,
                configurable: true,
                writable: true,
              });
            }
            await importedWith(tool, objects);
          },
        ),
        { numRuns: 100 },
      );
    });
  },
);
