import { describe } from 'vitest';
import { describeCluster } from '../../conformance/cluster.ts';
import { CONFORMANCE_SECRETS } from '../../conformance/cluster-harness.ts';
import { describeLists } from '../../conformance/cluster-lists.ts';
import { describeMergeLaw } from '../../conformance/cluster-merge-law.ts';
import { describeWatch } from '../../conformance/cluster-watch.ts';
import { describeNamespaceWatch } from '../../conformance/cluster-watch-namespaces.ts';
import { openReal } from './harness.ts';

describeCluster('the cluster over a real API server', () => openReal());

// By a selector, and with the wider scope: `list` cannot be limited to names.
describeLists('the cluster over a real API server', () => {
  const selected = CONFORMANCE_SECRETS.map((secret) => ({ secret, deletes: true }));
  return openReal({
    scope: 'namespace',
    targets: [],
    selected: [...selected, { secret: 'foreign', merges: true }],
  });
});

describe('the cluster over a real API server', () =>
  describeMergeLaw(() => openReal(), { runs: 40, seesReverts: true }));

describeWatch('a watch of one name over a real API server', () => openReal({ watch: true }), {
  scope: 'name',
  tellsEach: true,
  notesWriters: true,
});

describeWatch(
  'a watch of a namespace over a real API server',
  () => openReal({ watch: true, scope: 'namespace' }),
  { scope: 'namespace', tellsEach: true, notesWriters: true },
);

describeNamespaceWatch('the cluster over a real API server', () =>
  openReal({ watch: true, targets: [], selected: [{ secret: 'app' }, { secret: 'foreign', merges: true }] }),
);
