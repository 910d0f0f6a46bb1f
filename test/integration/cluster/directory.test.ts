import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createDirectoryCluster } from '../../../src/cluster/directory/directory.ts';
import { change, dataAsText, manifest, readNow } from '../../conformance/cluster-harness.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { admin, openReal } from './harness.ts';

it('writes manifests that kubectl can apply, for new and for changed Secrets', async () => {
  await using h = await openReal();
  const path = await mkdtemp(join(tmpdir(), 'secretbridge-directory-'));
  const directory = createDirectoryCluster({ path, clock: { now: () => 0 } });
  const id = { namespace: h.namespace, secret: 'app' };
  // `kubectl apply --server-side -f` sends the text of the file.
  const apply = async (query = '') => {
    const headers = { 'content-type': 'application/apply-patch+yaml' };
    const text = await readFile(join(path, h.namespace, 'app.yaml'), 'utf8');
    return admin()(
      'PATCH',
      `/api/v1/namespaces/${h.namespace}/secrets/app?fieldManager=kubectl${query}`,
      text,
      headers,
    );
  };
  await directory.create(id, manifest());
  assertStatus(await apply(), 201, 'apply');
  await directory.replace(await readNow(directory, id), change({ labels: { team: 'other' } }));
  assertStatus(await apply(), 200, 'apply');
  const live = await readNow(h.cluster, id);
  expect(live.labels).toMatchObject({ team: 'other' });
  expect(dataAsText(live.data)).toEqual(dataAsText((await readNow(directory, id)).data));
  await rm(path, { recursive: true });
});
