// This runs as a separate process, because Node reads NODE_EXTRA_CA_CERTS only at its start.
import { createKubernetesCluster } from '../../../src/cluster/kubernetes.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { toAppError } from '../../../src/core/errors.ts';

await using cluster = await createKubernetesCluster({
  kubeconfig: process.argv[2],
  env: {},
  clock: systemClock,
});
try {
  await cluster.ping();
  process.stdout.write('answers');
} catch (thrown) {
  process.stdout.write(toAppError(thrown).code);
}
