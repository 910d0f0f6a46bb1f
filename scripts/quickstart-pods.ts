// npm run quickstart:pods: demonstrates a rotation from a real OpenBao to pods on a real kubelet. It starts from nothing:
// it builds the image, starts a cluster and installs the chart.
import { styleText } from 'node:util';
import { installImage } from '../test/integration/deploy/image-archive.ts';
import { applicationWith } from '../test/integration/pods/application.ts';
import { isReady, noPods, type PodCluster, startPodCluster } from '../test/integration/pods/pod-cluster.ts';
import { createVolume, openRelease, type Release, secretValue } from '../test/integration/pods/release.ts';
import { AUDIENCE, openPodStore, type PodStore } from '../test/integration/pods/store.ts';
import { createRequest } from '../test/integration/services/http.ts';
import { NODE_NAME } from '../test/integration/services/node/node.ts';
import { startOpenBao } from '../test/integration/services/openbao.ts';
import { runScript, ServiceError, until } from '../test/integration/services/service.ts';

const HELP = `Usage: npm run quickstart:pods

Shows a rotation from the store to the pods of an application, with everything real: an image built from the Dockerfile,
an API server with controllers and a scheduler, a node with kubelet and containerd, OpenBao, and the chart. It needs
root on Linux. The first run builds the programs of the cluster, which takes about 15 minutes on two cores.
`;

const started = performance.now();
const seconds = (since: number) => ((performance.now() - since) / 1000).toFixed(1);

function say(text: string): void {
  process.stdout.write(`${styleText('dim', `${seconds(started).padStart(6)} s`)}  ${text}\n`);
}

async function main(args: readonly string[]): Promise<number> {
  if (args.length > 0) {
    process.stdout.write(HELP);
    return args[0] === '--help' ? 0 : 64;
  }
  if (noPods !== undefined) throw new ServiceError(`This machine cannot run the demonstration: ${noPods}.`);
  const { archive } = await installImage('slim', say);
  say('the image of the Dockerfile is there');
  say('starting etcd, API server, controllers, scheduler and a node with kubelet and containerd …');
  await using pods = await startPodCluster(say);
  say(
    (await pods.kubectl('get', 'nodes', '--output', 'wide', '--no-headers')).trim().replace(/ {2,}/g, '  '),
  );
  await pods.node.importImages(archive);
  say('starting OpenBao …');
  await using openbao = await startOpenBao({ borrow: false, report: say });
  const headers = { 'x-vault-token': openbao.rootToken };
  const request = createRequest({ address: openbao.address, headers });

  const release = await openRelease(pods, 'secretbridge', 'bridge');
  const accounts = { namespaces: [release.namespace], names: [release.fullname] };
  const store = await openPodStore(pods, { address: openbao.address, request }, accounts);
  await store.put('db', { password: 'first' });
  await install(pods, release, store);
  await rotate(pods, store);
  const verified = await release.secretbridge('audit', 'verify', '--config', '/etc/secretbridge/');
  say(`secretbridge audit verify: ${verified.split('\n')[0]}`);
  say(`done in ${seconds(started)} s`);
  return 0;
}

async function install(pods: PodCluster, release: Release, store: PodStore): Promise<void> {
  await pods.createNamespace('shop');
  await pods.apply('shop', applicationWith('by-file', 'db'), applicationWith('by-variable', 'db'));
  await createVolume(pods, release, NODE_NAME);
  say('helm install …');
  await release.upgrade({
    identity: { vaultAudience: AUDIENCE },
    config: {
      defaults: { refresh: '2s' },
      stores: [store.store],
      mappings: [
        {
          name: 'db',
          target: { namespace: 'shop' },
          data: { KEY: { store: 'team', key: `${store.prefix}/db`, property: 'password' } },
          restart: [{ kind: 'Deployment', name: 'by-variable' }],
        },
      ],
    },
  });
  say('secretbridge is ready');
  await until('The first Secret', 60_000, async () => (await value(pods)) === 'first');
  say('the Secret shop/db exists');
  await until('The start of the application', 90_000, async () => (await readyPods(pods)).length === 4);
  say('the four pods of the application, which waited for the Secret, are ready');
}

async function rotate(pods: PodCluster, store: PodStore): Promise<void> {
  const [byFile] = await pods.pods('shop', 'app=by-file');
  const name = byFile?.metadata.name ?? '';
  const old = new Set((await pods.pods('shop', 'app=by-variable')).map(({ metadata }) => metadata.uid));
  say('rotating the secret in OpenBao');
  const start = performance.now();
  await store.put('db', { password: 'second' });
  await until('The new Secret', 60_000, async () => (await value(pods)) === 'second');
  say(`after ${seconds(start)} s: the Secret shop/db has the new value`);
  const file = onceASecond(async () => (await pods.exec('shop', name, 'cat', '/etc/app/KEY')) === 'second');
  const rolled = async () => {
    const ready = (await pods.pods('shop', 'app=by-variable')).filter(isReady);
    return ready.length === 2 && ready.every(({ metadata }) => !old.has(metadata.uid));
  };
  await Promise.all([
    until('The rollout', 120_000, rolled).then(() =>
      say(`after ${seconds(start)} s: the Deployment by-variable has new pods only`),
    ),
    until('The new file', 120_000, file).then(() =>
      say(`after ${seconds(start)} s: the file in the running pod ${name} has the new value`),
    ),
  ]);
}

/** Runs a check at most once a second, because it starts a process. */
function onceASecond(check: () => Promise<boolean>): () => Promise<boolean> {
  let next = 0;
  return async () => {
    if (performance.now() < next) return false;
    next = performance.now() + 1000;
    return check();
  };
}

const value = (pods: PodCluster) => secretValue(pods, 'shop', 'db', 'KEY');

async function readyPods(pods: PodCluster) {
  const both = await Promise.all(['by-file', 'by-variable'].map((app) => pods.pods('shop', `app=${app}`)));
  return both.flat().filter(isReady);
}

await runScript(() => main(process.argv.slice(2)));
