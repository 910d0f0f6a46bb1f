import { it } from 'vitest';
import { watching } from '../../conformance/cluster-watch-log.ts';
import { openReal } from './harness.ts';
it('bookmarks', { timeout: 300_000 }, async () => {
  await using h = await openReal({ watch: true, scope: 'namespace' });
  await using a = watching(h.cluster, { namespace: h.namespace });
  await using b = watching(h.cluster, { namespace: h.namespace, secret: 'app' });
  const start = Date.now();
  let na = 0, nb = 0;
  while (Date.now() - start < 200_000) {
    await new Promise((r) => setTimeout(r, 500));
    if (a.progressed() !== na) console.log('A', Math.round((Date.now() - start) / 1000), (na = a.progressed()));
    if (b.progressed() !== nb) console.log('B', Math.round((Date.now() - start) / 1000), (nb = b.progressed()));
  }
  console.log(a.errors.length, b.errors.length, a.lists(), b.lists());
});
