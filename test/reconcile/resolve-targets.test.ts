import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import {
  desiredByAny,
  desiredIndex,
  namespacesOf,
  resolveTargets,
  unresolvedTargets,
} from '../../src/reconcile/targets.ts';
import { mapping } from '../sync/sample.ts';

const selecting = (name: string, team: string) =>
  mapping({ name, target: { namespaces: [], secret: 's', namespaceSelector: { matchLabels: { team } } } });
const fixed = mapping({ name: 'fixed', target: { namespaces: ['b', 'a', 'b'], secret: 's' } });
const names = (targets: Awaited<ReturnType<typeof resolveTargets>>) =>
  targets.map(({ id, mapping: { name }, error }) =>
    [id.namespace, name, error?.code].filter(Boolean).join(' '),
  );

function cluster(found: readonly string[] | AppError) {
  const queries: unknown[] = [];
  return {
    queries,
    async namespaces(labels: Readonly<Record<string, string>>) {
      queries.push(labels);
      if (found instanceof AppError) throw found;
      return found;
    },
  };
}

describe('targets in namespaces chosen by a selector', () => {
  it('namespaces for a selector are queried once for each set of labels, and the namespace of secretbridge itself is excluded', async () => {
    const port = cluster(['a', 'bridge', 'c']);
    const targets = await resolveTargets([selecting('y', '1'), selecting('x', '1'), fixed], port, 'bridge');
    expect(names(targets)).toEqual(['a fixed', 'a x', 'a y', 'b fixed', 'c x', 'c y']);
    expect(port.queries).toEqual([{ matchLabels: { team: '1' } }]);
  });

  it('namespaces are not queried if no mapping has a selector', async () => {
    const port = cluster([]);
    expect(names(await resolveTargets([fixed], port, undefined))).toEqual(['a fixed', 'b fixed']);
    expect(port.queries).toEqual([]);
  });

  it('targets chosen by a selector may be in any namespace if the namespaces cannot be listed, so no Secret with their name is an orphan', async () => {
    const targets = await resolveTargets(
      [selecting('x', '1'), fixed],
      cluster(new AppError('CLUSTER_FORBIDDEN')),
      undefined,
    );
    expect(names(targets)).toEqual(['* x CLUSTER_FORBIDDEN', 'a fixed', 'b fixed']);
    expect(namespacesOf(targets)).toEqual(['a', 'b']);
    for (const known of [targets, unresolvedTargets([selecting('x', '1'), fixed])]) {
      expect(desiredByAny(known)({ namespace: 'anywhere', secret: 's' })).toBe(true);
      expect(desiredByAny(known)({ namespace: 'anywhere', secret: 'other' })).toBe(false);
      expect(desiredIndex(known)('x', { namespace: 'anywhere', secret: 's' })).toBe(true);
      expect(desiredIndex(known)('fixed', { namespace: 'anywhere', secret: 's' })).toBe(false);
    }
  });
});
