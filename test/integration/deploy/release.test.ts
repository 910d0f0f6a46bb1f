import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Architecture, DEFAULT_EPOCH } from '../../../scripts/image/build.ts';
import { isPackageLeftOut } from '../../../scripts/image/excluded.ts';
import { type Index, type Manifest, readBlob, readIndex } from '../../../scripts/image/layout.ts';
import { packageChart } from '../../../scripts/release/chart.ts';
import { type ReleaseOptions, release } from '../../../scripts/release/release.ts';
import { replaceAllOf } from '../docs/page-blocks.ts';
import { installFromLayer } from '../services/kubectl-layer.ts';
import { thisMachine } from '../services/requirements.ts';
import { reportToStderr, type Service } from '../services/service.ts';
import { installImage } from './image-archive.ts';
import { findImageSkipReason, installBaseImages } from './image-bases.ts';
import { contextNames, ROOT } from './image-root.ts';
import { startRegistry } from './registry.ts';

const skipReason = await findImageSkipReason();
const note = skipReason === undefined ? '' : ` (skipped: ${skipReason})`;
const INDEX = 'application/vnd.oci.image.index.v1+json';
const ARCHITECTURES: readonly Architecture[] = ['amd64', 'arm64'];
/** The fields `e_machine` of programs in the ELF format. */
const MACHINES = { amd64: 62, arm64: 183 } as const;
const execute = promisify(execFile);

async function run(command: string, ...args: readonly string[]): Promise<string> {
  return (await execute(command, [...args], { maxBuffer: 64 * 1024 * 1024 })).stdout;
}

const PAGE = 'docs/how-to/publish.md';

/** Runs the block ```` ```sh MARK ```` of the page in a folder. Returns what it prints. */
async function runBlock(
  mark: string,
  cwd: string,
  changes: Readonly<Record<string, string>> = {},
): Promise<string> {
  const text = await readFile(join(ROOT, PAGE), 'utf8');
  const script = new RegExp(`^\`\`\`sh ${mark}\\n([^]*?)^\`\`\``, 'm').exec(text)?.[1] ?? '';
  const { stdout } = await execute('sh', ['-ec', replaceAllOf(script, changes)], { cwd });
  return stdout;
}

interface Bill {
  readonly components: readonly { readonly name: string; readonly version: string; readonly purl: string }[];
}

describe.skipIf(skipReason !== undefined)(`npm run release:image${note}`, () => {
  let folder: string;
  let registry: Service;
  let options: ReleaseOptions;
  let digest: string;
  const result = (name: string) => join(folder, 'release', name);
  const source = () => join(folder, 'source');
  const git = (...args: readonly string[]) => run('git', '-C', source(), ...args);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secretbridge-release-test-'));
    registry = await startRegistry();
    // The built image installs the tools too.
    await installImage('slim');
    const bases = await installBaseImages(reportToStderr);
    const publish = (name: string, images: Readonly<Record<Architecture, string>>) =>
      publishIndex(registry.address, name, bases, images);
    await copySource();
    await runBlock('key', folder);
    options = {
      ...{ source: source(), output: join(folder, 'release'), architectures: ARCHITECTURES },
      references: {
        node: await publish('node:24.21.0-bookworm-slim', { amd64: 'node-amd64', arm64: 'node-arm64' }),
        base: await publish('debian:bookworm', { amd64: 'slim-amd64', arm64: 'distroless-arm64' }),
      },
      ...{ isPlainHttp: true, repository: `${registry.address}/secretbridge` },
      ...{ key: join(folder, 'release.key'), helm: await installFromLayer('helm') },
    };
    digest = await release(options, reportToStderr);
  }, 1_500_000);

  afterAll(async () => {
    await registry?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  async function copySource(): Promise<void> {
    for (const name of [...(await contextNames()), 'Dockerfile', '.dockerignore', 'deploy/chart'])
      await cp(join(ROOT, name), join(source(), name), { recursive: true });
    await git('init', '--quiet');
    await git('add', '--all');
    const author = ['-c', 'user.name=test', '-c', 'user.email=test@example.com'];
    await git(...author, 'commit', '--quiet', '--message', 'Release');
  }

  it('the files are complete, and their checksums and signature are correct', async () => {
    expect((await readdir(options.output)).toSorted()).toEqual([
      ...['SHA256SUMS', 'SHA256SUMS.sig', 'secretbridge-0.1.0-amd64.cdx.json'],
      ...['secretbridge-0.1.0-arm64.cdx.json', 'secretbridge-0.1.0.oci.tar'],
      ...['secretbridge-0.1.0.provenance.json', 'secretbridge-0.1.0.tgz'],
    ]);
    await cp(join(folder, 'release.pub'), result('release.pub'));
    const verified = await runBlock('verify', options.output);
    expect(verified).toContain('Verified OK');
    expect(verified.match(/: OK$/gm)).toHaveLength(5);
    // cosign is no Debian package, so only machines that have it run this command.
    if ((await thisMachine.run('cosign', ['version'])).status === 0) await runBlock('cosign', options.output);
  });

  it('the archive has the same program for both architectures, each with its own Node', async () => {
    const layout = join(folder, 'layout');
    await mkdir(layout);
    await run('tar', '-xf', result('secretbridge-0.1.0.oci.tar'), '-C', layout);
    const [index] = (await readIndex(layout)).manifests;
    if (index === undefined) throw new Error('the archive is empty');
    expect(index.digest).toBe(digest);
    const { manifests } = await readBlob<Index>(layout, index);
    expect(manifests).toMatchObject([
      {
        platform: { architecture: 'amd64', os: 'linux' },
        annotations: { 'dev.secretbridge.tested': 'true' },
      },
      {
        platform: { architecture: 'arm64', os: 'linux' },
        annotations: { 'dev.secretbridge.tested': 'false' },
      },
    ]);
    const images = await Promise.all(manifests.map((one) => readBlob<Manifest>(layout, one)));
    // The layers of the Dockerfile are Node, the program and the state folder.
    const [amd64 = [], arm64 = []] = images.map(({ layers }) =>
      layers.slice(-3).map((layer) => layer.digest),
    );
    expect(amd64[1]).toBe(arm64[1]);
    expect(amd64[0]).not.toBe(arm64[0]);

    for (const architecture of ARCHITECTURES) {
      const one = join(folder, architecture);
      const from = `oci-archive:${result('secretbridge-0.1.0.oci.tar')}`;
      const platform = ['--override-os', 'linux', '--override-arch', architecture];
      await run('skopeo', ...platform, 'copy', '--quiet', '--insecure-policy', from, `oci:${one}:latest`);
      await run('umoci', 'unpack', '--image', `${one}:latest`, `${one}-bundle`);
      expect(await machineOf(join(`${one}-bundle`, 'rootfs/usr/local/bin/node'))).toBe(
        MACHINES[architecture],
      );
    }

    // Another build of the same sources, from base images with other names, has the same layers.
    const other = join(folder, 'other');
    await mkdir(other);
    await run('tar', '-xf', (await installImage('slim')).archive, '-C', other);
    const [otherIndex] = (await readIndex(other)).manifests;
    const [otherImage] = otherIndex === undefined ? [] : (await readBlob<Index>(other, otherIndex)).manifests;
    if (otherImage === undefined) throw new Error('the other archive is empty');
    const { layers } = await readBlob<Manifest>(other, otherImage);
    expect(layers.slice(-3).map((layer) => layer.digest)).toEqual(amd64);
  });

  it('the bills of materials name what is in the image', async () => {
    const bill = async (architecture: Architecture) =>
      JSON.parse(await readFile(result(`secretbridge-0.1.0-${architecture}.cdx.json`), 'utf8')) as Bill;
    const [amd64, arm64] = await Promise.all(ARCHITECTURES.map(bill));
    const names = (one: Bill | undefined, prefix: string) =>
      new Set((one?.components ?? []).filter(({ purl }) => purl.startsWith(prefix)).map(({ purl }) => purl));
    expect(names(arm64, 'pkg:npm/')).toEqual(names(amd64, 'pkg:npm/'));
    expect(names(amd64, 'pkg:generic/')).toEqual(new Set(['pkg:generic/node@24.21.0']));
    expect(
      [...names(amd64, 'pkg:deb/debian/')].some((purl) => purl.startsWith('pkg:deb/debian/libc6@')),
    ).toBe(true);

    // npm itself lists the same packages. With `--omit dev` it also omits packages that both the program and a
    // development package need.
    const sbom = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'];
    const list = async (...args: readonly string[]) => {
      const { stdout } = await execute('npm', [...sbom, ...args], {
        cwd: source(),
        maxBuffer: 64 * 1024 * 1024,
      });
      return (JSON.parse(stdout) as Bill).components.map(({ purl }) => purl);
    };
    const ours = names(amd64, 'pkg:npm/');
    const all = new Set(await list());
    expect([...ours].filter((purl) => !all.has(purl))).toEqual([]);
    const isOmitted = (purl: string) =>
      isPackageLeftOut(
        `node_modules/${decodeURIComponent(purl.replace('pkg:npm/', '').replace(/@[^@]*$/, ''))}`,
      );
    const missing = (await list('--omit', 'dev')).filter((purl) => !ours.has(purl) && !isOmitted(purl));
    expect(missing).toEqual([]);
  });

  it('the provenance names the sources, the images and the results', async () => {
    const statement = JSON.parse(await readFile(result('secretbridge-0.1.0.provenance.json'), 'utf8')) as {
      readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
      readonly predicate: {
        readonly buildDefinition: { readonly resolvedDependencies: readonly { readonly digest: object }[] };
      };
    };
    expect(statement).toMatchObject({
      ...{ _type: 'https://in-toto.io/Statement/v1', predicateType: 'https://slsa.dev/provenance/v1' },
      predicate: { buildDefinition: { externalParameters: { version: '0.1.0', uncommittedChanges: false } } },
    });
    const [image, ...files] = statement.subject;
    expect(`sha256:${image?.digest.sha256}`).toBe(digest);
    for (const file of files) {
      const hash = createHash('sha256').update(await readFile(result(file.name)));
      expect(hash.digest('hex'), file.name).toBe(file.digest.sha256);
    }
    const dependencies = statement.predicate.buildDefinition.resolvedDependencies;
    expect(dependencies[0]?.digest).toEqual({ gitCommit: (await git('rev-parse', 'HEAD')).trim() });
    // The image with Node and the base image, each for two architectures.
    expect(dependencies).toHaveLength(2 + 4);
  });

  it('the image and the chart can be published, and the chart names the published image', async () => {
    const work = join(folder, 'chart');
    await mkdir(work);
    const place = { work, output: work, digest, epoch: DEFAULT_EPOCH };
    const { helm = 'helm', repository = '' } = options;
    const again = await packageChart(source(), { ...place, helm, repository });
    expect(await readFile(again)).toEqual(await readFile(result('secretbridge-0.1.0.tgz')));
    await runBlock('publish', folder, {
      'cd state/release': `cd ${options.output}`,
      'registry.internal': registry.address,
      'skopeo copy': 'skopeo copy --dest-tls-verify=false',
      'helm push': `${helm} push --plain-http`,
    });
    const published = await fetch(`http://${registry.address}/v2/secretbridge/manifests/0.1.0`, {
      headers: { accept: INDEX },
    });
    expect(published.headers.get('docker-content-digest')).toBe(digest);

    const chart = [`oci://${registry.address}/charts/secretbridge`, '--version', '0.1.0', '--plain-http'];
    const rendered = await run(helm, 'template', 'bridge', ...chart);
    const used = new Set(
      [...rendered.matchAll(/^\s*image: (.+)$/gm)].map(([, name]) => name?.replaceAll('"', '')),
    );
    expect([...used]).toEqual([`${options.repository}@${digest}`]);
  });
});

/** Publishes image layouts as one image for several architectures. Returns its reference with the digest. */
async function publishIndex(
  address: string,
  image: string,
  bases: string,
  layouts: Readonly<Record<Architecture, string>>,
): Promise<string> {
  const [name, tag] = image.split(':');
  const manifests = [];
  for (const architecture of ARCHITECTURES) {
    const target = `docker://${address}/${name}:${architecture}`;
    const from = `oci:${join(bases, layouts[architecture])}:latest`;
    await run('skopeo', 'copy', '--quiet', '--insecure-policy', '--dest-tls-verify=false', from, target);
    const raw = await run('skopeo', 'inspect', '--raw', '--tls-verify=false', target);
    const { mediaType } = JSON.parse(raw) as { mediaType?: string };
    manifests.push({
      mediaType: mediaType ?? 'application/vnd.oci.image.manifest.v1+json',
      digest: `sha256:${createHash('sha256').update(raw).digest('hex')}`,
      size: Buffer.byteLength(raw),
      platform: { architecture, os: 'linux' },
    });
  }
  const body = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
  const url = `http://${address}/v2/${name}/manifests/${tag}`;
  const { status } = await fetch(url, { method: 'PUT', headers: { 'content-type': INDEX }, body });
  expect(status).toBe(201);
  return `${address}/${image}@sha256:${createHash('sha256').update(body).digest('hex')}`;
}

async function machineOf(path: string): Promise<number> {
  await using file = await open(path);
  const { buffer } = await file.read(Buffer.alloc(20), 0, 20, 0);
  return buffer.readUInt16LE(18);
}
