import { describe } from 'vitest';
import { describeCluster } from '../../conformance/cluster.ts';
import { CONFORMANCE_SECRETS } from '../../conformance/cluster-harness.ts';
import { describeLists } from '../../conformance/cluster-lists.ts';
import { describeMergeLaw } from '../../conformance/cluster-merge-law.ts';
import { describeWatch } from '../../conformance/cluster-watch.ts';
import { describeNamespaceWatch } from '../../conformance/cluster-watch-namespaces.ts';
import { openReal } from './harness.ts';

describeCluster('the cluster on a real API server', () => openReal());

// Uses a selector and scope `namespace`, because RBAC cannot limit `list` to names.
describeLists('the cluster on a real API server', () => {
  const selected = CONFORMANCE_SECRETS.map((secret) => ({ secret, deletes: true }));
  return openReal({
    scope: 'namespace',
    targets: [],
    selected: [...selected, { secret: 'foreign', merges: true }],
  });
});

describe('the cluster on a real API server', () =>
  describeMergeLaw(() => openReal(), { runs: 40, seesReverts: true }));

describeWatch('a watch of one name on a real API server', () => openReal({ watch: true }), {
  scope: 'name',
  reportsEveryVersion: true,
  recordsManagers: true,
});

describeWatch(
  'a watch of a namespace on a real API server',
  () => openReal({ watch: true, scope: 'namespace' }),
  { scope: 'namespace', reportsEveryVersion: true, recordsManagers: true },
);

describeNamespaceWatch('the cluster on a real API server', () =>
  openReal({ watch: true, targets: [], selected: [{ secret: 'app' }, { secret: 'foreign', merges: true }] }),
);
