// Increments a counter in a Secret until this process is killed. Prints each number after the write.
import { createDirectoryCluster } from '../../src/cluster/directory/directory.ts';
import { SecretValue } from '../../src/core/secret-value.ts';

const cluster = createDirectoryCluster({ path: process.argv[2] ?? '', clock: { now: () => 0 } });
const id = { namespace: 'team', secret: 'app' };
for (;;) {
  const live = await cluster.read(id);
  if (live === undefined) throw new Error('the Secret is not there');
  const { type, immutable, labels, annotations, data } = live;
  const n = Number(Buffer.from(data.get('n')?.reveal() ?? []).toString()) + 1;
  const change = {
    type,
    immutable,
    labels,
    annotations,
    data: new Map([['n', SecretValue.fromText(`${n}`)]]),
  };
  const result = await cluster.replace(live, {
    ...change,
    dropLabels: [],
    dropAnnotations: [],
    dropOwners: false,
  });
  if (result.kind === 'written') process.stdout.write(`${n}\n`);
}
