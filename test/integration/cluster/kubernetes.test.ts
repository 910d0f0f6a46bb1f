import { describeCluster } from '../../conformance/cluster.ts';
import { openReal } from './harness.ts';

describeCluster('the cluster over a real API server', () => openReal());
