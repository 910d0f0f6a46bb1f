import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compareTargets, type TargetId } from '../../src/core/target.ts';
import { LIST_QUERY, pageOf } from '../../src/http/paging.ts';

const name = fc.stringMatching(/^[a-b][-.a-b]{0,3}[a-b]$/);
const ids = fc.uniqueArray(fc.record({ namespace: name, secret: name }), {
  selector: ({ namespace, secret }) => `${namespace}/${secret}`,
});
const namesOf = ({ namespace, secret }: TargetId) => [namespace, secret];

it('the pages of a list contain each item once, sorted by namespace and name', () => {
  fc.assert(
    fc.property(ids, fc.integer({ min: 1, max: 5 }), (items, limit) => {
      const seen: TargetId[] = [];
      let cursor: string | undefined;
      do {
        const page = pageOf(items, namesOf, { limit, ...(cursor === undefined ? {} : { cursor }) });
        expect(page.items.length).toBeLessThanOrEqual(limit);
        seen.push(...page.items);
        cursor = page.next;
        if (cursor !== undefined) expect(cursor).toMatch(new RegExp(LIST_QUERY.properties.cursor.pattern));
      } while (cursor !== undefined);
      expect(seen).toEqual([...items].sort(compareTargets));
    }),
  );
});
