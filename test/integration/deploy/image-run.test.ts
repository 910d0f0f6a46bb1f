import { readdirSync, readFileSync, statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Index, type Manifest, readBlob, readIndex } from '../../../scripts/image/layout.ts';
import { findLeaks, type Marker, type Place, textMarker } from '../../leak-search.ts';
import { freePort } from '../services/free-port.ts';
import { openTemporaryGuard } from '../services/guarded.ts';
import { thisMachine } from '../services/requirements.ts';
import { until } from '../services/service.ts';
import { CHART } from './chart.ts';
import { type Container, startContainer } from './container.ts';
import { type BuiltImage, installImage } from './image-archive.ts';
import { type Base, findImageSkipReason } from './image-bases.ts';
import { readDockerfile } from './image-root.ts';

const skipReason = await findImageSkipReason();
const note = skipReason === undefined ? '' : ` (skipped: ${skipReason})`;
const BASES: readonly Base[] = ['slim', 'distroless'];
const INSTALL_MS = 900_000;
/** The program with its packages and Node, without the base image. */
const MAX_ADDED_BYTES = 180e6;

const configure = (port: number) => `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: /var/lib/secretbridge/cluster }
audit: { store: { kind: sqlite, path: /var/lib/secretbridge/audit.db } }
http: { listen: '127.0.0.1:${port}', tokens: [ { name: ops, role: operator, token: { env: SECRETBRIDGE_TOKEN } } ] }
stores: [ { name: local, kind: files, path: /etc/secretbridge/store } ]
mappings:
  - { name: db, target: { namespace: apps }, data: { PASSWORD: { store: local, key: db.json, property: password } } }
`;

/** Returns the memory limit of the chart in bytes. */
async function memoryLimit(): Promise<number> {
  const values = parse(await readFile(join(CHART, 'values.yaml'), 'utf8')) as {
    readonly resources: { readonly limits: { readonly memory: string } };
  };
  const { memory } = values.resources.limits;
  const [, amount, unit] = /^(\d+)(Mi|Gi)$/.exec(memory) ?? [];
  expect(unit, memory).toBeDefined();
  return Number(amount) * (unit === 'Gi' ? 2 ** 30 : 2 ** 20);
}

async function start(image: BuiltImage, marker: Marker): Promise<{ container: Container; port: number }> {
  const port = await freePort();
  const container = await startContainer({
    bundle: image.bundle,
    memoryBytes: await memoryLimit(),
    env: { SECRETBRIDGE_TOKEN: 'a-token-of-the-test-with-32-chars' },
    files: {
      'secretbridge.yaml': configure(port),
      'store/db.json': JSON.stringify({ password: marker.bytes.toString() }),
    },
  });
  return { container, port };
}

const isReady = async (port: number): Promise<boolean> => {
  try {
    return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
};

/** Returns all regular files below a folder. */
function filesBelow(folder: string): readonly string[] {
  // With file types, this call does not follow links to folders.
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

describe.skipIf(skipReason !== undefined).each(BASES)(`the built image on a %s base${note}`, (base) => {
  it(
    'the service runs with the restrictions of the chart, and its commands work',
    async () => {
      const image = await installImage(base);
      const dockerfile = await readDockerfile();
      const marker = textMarker('password');
      const began = performance.now();
      const { container, port } = await start(image, marker);
      await using _ = container;
      await until('The readiness', 60_000, () => isReady(port));
      process.stderr.write(`Ready on ${base} after ${Math.round(performance.now() - began)} ms\n`);

      // The restrictions are those of a running process, not only of a setting.
      const script = `const { readFileSync, writeFileSync } = require('node:fs');
      const status = readFileSync('/proc/1/status', 'utf8');
      const field = (name) => status.split('\\n').find((line) => line.startsWith(name + ':')).split(/\\s+/)[1];
      let write = 'possible';
      try { writeFileSync('/app/x', ''); } catch ({ code }) { write = code; }
      console.log(JSON.stringify([['Uid', 'Gid', 'CapEff', 'CapBnd', 'NoNewPrivs'].map(field), write]));`;
      const restrictions = await container.exec(['/usr/local/bin/node', '-e', script]);
      const none = '0000000000000000';
      expect(restrictions).toMatchObject({ code: 0, stderr: '' });
      expect(JSON.parse(restrictions.stdout)).toEqual([['10001', '10001', none, none, '1'], 'EROFS']);
      expect(dockerfile.user).toBe('10001:10001');

      const healthcheck = dockerfile.healthcheck.map((word) => word.replace(':8080', `:${port}`));
      expect(await container.exec(healthcheck)).toMatchObject({ code: 0 });
      const config = ['--config', '/etc/secretbridge/'];
      for (const command of [
        ['--version'],
        ['validate', ...config],
        ['doctor', ...config],
        ['status', ...config],
        ['plan', ...config],
        ['audit', 'verify', ...config],
      ])
        expect(await container.exec(['secretbridge', ...command]), command.join(' ')).toMatchObject({
          code: 0,
          stderr: '',
        });

      const { limit, max } = await container.memory();
      expect(limit).toBe(await memoryLimit());
      process.stderr.write(`${base}: at most ${Math.round(max / 2 ** 20)} MiB of memory\n`);

      await container.kill('SIGTERM');
      expect(await container.ended).toMatchObject({ status: 0, signal: null });

      // The value is only in the Secret, which this configuration writes to a folder.
      const target = 'cluster/apps/db.yaml';
      expect(await readdir(join(container.state, 'cluster/apps'))).toEqual(['db.yaml']);
      expect(findLeaks([placeAt(container.state, target)], [marker])).not.toEqual([]);
      const state = filesBelow(container.state).filter((path) => path !== target);
      expect(state).toContain('audit.db');
      const places: readonly Place[] = [
        ...state.map((path) => placeAt(container.state, path)),
        { name: 'logs', bytes: await container.logs() },
        { name: 'the settings of the container', bytes: container.config },
      ];
      expect(findLeaks(places, [marker])).toEqual([]);
    },
    INSTALL_MS,
  );

  it(
    'the image has the settings of the Dockerfile, a bounded size and no files of this machine',
    async () => {
      const { archive, bundle } = await installImage(base);
      const dockerfile = await readDockerfile();
      const guard = await openTemporaryGuard('image-layout');
      try {
        await thisMachine.run('tar', ['-xf', archive, '-C', guard.folder]);
        const [index] = (await readIndex(guard.folder)).manifests;
        if (index === undefined) throw new Error('the archive is empty');
        const [descriptor] = (await readBlob<Index>(guard.folder, index)).manifests;
        if (descriptor === undefined) throw new Error('the image has no platform');
        const manifest = await readBlob<Manifest>(guard.folder, descriptor);
        const { config, created } = await readBlob<{ config: object; created: string }>(
          guard.folder,
          manifest.config,
        );
        expect(created).toBe('2026-01-01T00:00:00Z');
        expect(config).toMatchObject({
          ...{ User: dockerfile.user, Entrypoint: dockerfile.entrypoint, Cmd: dockerfile.command },
          ...{ Volumes: { [dockerfile.volume]: {} }, ExposedPorts: { '8080/tcp': {}, '9090/tcp': {} } },
          Healthcheck: { Test: ['CMD', ...dockerfile.healthcheck], Interval: 10e9, Retries: 3 },
        });
      } finally {
        await guard.close();
      }

      const root = join(bundle, 'rootfs');
      const added = ['app', 'usr/local'].flatMap((part) =>
        filesBelow(join(root, part)).map((path) => join(root, part, path)),
      );
      const bytes = added.reduce((sum, path) => sum + statSync(path).size, 0);
      process.stderr.write(
        `${base}: ${added.length} added files, ${Math.round(bytes / 1e6)} MB; archive ${Math.round(statSync(archive).size / 1e6)} MB\n`,
      );
      expect(bytes).toBeLessThan(MAX_ADDED_BYTES);
      const names = filesBelow(root);
      expect(names.filter((path) => /(^|\/)(\.npmrc|\.git|\.env|id_rsa|.*\.key|.*\.db)$/.test(path))).toEqual(
        [],
      );
      const shells = names.filter((path) => /(^|\/)bin\/(sh|bash|dash|env|npm)$/.test(path));
      expect(shells.length > 0).toBe(base === 'slim');
      expect(readFileSync(join(root, 'app/bin/secretbridge.js'), 'utf8')).toMatch(
        /^#!\/usr\/local\/bin\/node/,
      );
    },
    INSTALL_MS,
  );
});

function placeAt(folder: string, path: string): Place {
  return { name: path, bytes: readFileSync(join(folder, path)) };
}
