import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Architecture, buildImage, DEFAULT_EPOCH } from '../image/build.ts';
import type { Descriptor } from '../image/layout.ts';
import { type BaseReferences, readBaseReferences, resolveBases } from './bases.ts';
import { createBill } from './bill.ts';
import { packageChart } from './chart.ts';
import { sha256Of, signFile, writeChecksums } from './checksums.ts';
import { ReleaseError, runCommand } from './commands.ts';
import { provenanceOf } from './provenance.ts';

export interface ReleaseOptions {
  /** The checkout that is released. */
  readonly source: string;
  /** The folder of the results. It must be empty or missing. */
  readonly output: string;
  readonly architectures: readonly Architecture[];
  /** Replacements of the images in the Dockerfile. */
  readonly references?: Partial<BaseReferences>;
  /** Whether the registry of the images in the Dockerfile has no TLS. */
  readonly isPlainHttp?: boolean;
  /** The name of the image in the registry, for the chart. */
  readonly repository?: string;
  /** The path of a private key for the signature. */
  readonly key?: string;
  /** The command of Helm. */
  readonly helm?: string;
  /** A URI that names who builds. */
  readonly builder?: string;
}

/** Only this architecture runs in the tests. */
const TESTED: Architecture = 'amd64';
const BUILDER = 'https://secretbridge.dev/build/checkout';

/** Builds all files of a release. After a failure, no file is left. Returns the digest of the image. */
export async function release(options: ReleaseOptions, report: (line: string) => void): Promise<string> {
  const { source, output, key } = options;
  const isChanged = (await git(source, 'status', '--porcelain')) !== '';
  if (isChanged && key !== undefined)
    throw new ReleaseError('The checkout has uncommitted changes. Commit them before you sign a release.');
  await requireEmpty(output);
  await mkdir(dirname(output), { recursive: true });
  const work = await mkdtemp(`${output}.new-`);
  try {
    const files = join(work, 'files');
    await mkdir(files);
    const digest = await writeFiles({ ...options, output: files }, { work, isChanged }, report);
    await rename(files, output);
    return digest;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function writeFiles(
  options: ReleaseOptions,
  { work, isChanged }: { readonly work: string; readonly isChanged: boolean },
  report: (line: string) => void,
): Promise<string> {
  const startedOn = new Date();
  const { source, output, architectures, key, repository, helm = 'helm', builder = BUILDER } = options;
  const manifest = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as { version: string };
  const { version } = manifest;
  const path = (ending: string): string => join(output, `secretbridge-${version}${ending}`);
  const references = { ...(await readBaseReferences(source)), ...options.references };
  const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? DEFAULT_EPOCH);
  const tools = await versionsOfTools(helm);

  report(`Building secretbridge ${version} for ${architectures.join(' and ')} …`);
  const archive = path('.oci.tar');
  const { index, images } = await buildAll(options, { references, archive, work, version, epoch });
  report('Writing the bills of materials, the chart and the provenance …');
  const bills = await writeBills(index, { archive, work, references, architectures, path });
  const place = { work, output, digest: index.digest, helm, epoch };
  const chart = await packageChart(source, { ...place, ...(repository && { repository }) });
  const files = [archive, ...bills, chart];
  const subjects = await Promise.all(
    files.map(async (file) => ({ name: basename(file), digest: { sha256: await sha256Of(file) } })),
  );
  const image = { name: 'image', digest: { sha256: index.digest.replace('sha256:', '') } };
  const statement = provenanceOf({
    ...{ subjects: [image, ...subjects], images, version, epoch, isChanged, startedOn },
    ...{ architectures, builder, tools },
    commit: (await git(source, 'rev-parse', 'HEAD')).trim(),
    lockFileSha256: await sha256Of(join(source, 'package-lock.json')),
    finishedOn: new Date(),
  });
  const provenance = path('.provenance.json');
  await writeFile(provenance, statement);
  const sums = await writeChecksums(output, [...files, provenance]);
  if (key !== undefined) await signFile(sums, key);
  return index.digest;
}

interface BillOptions {
  readonly archive: string;
  readonly work: string;
  readonly references: BaseReferences;
  readonly architectures: readonly Architecture[];
  readonly path: (ending: string) => string;
}

async function writeBills(
  index: Descriptor,
  { archive, work, references, architectures, path }: BillOptions,
): Promise<readonly string[]> {
  const layout = join(work, 'layout');
  await mkdir(layout);
  await runCommand('tar', ['-xf', archive, '-C', layout]);
  const nodeVersion = /:(\d+\.\d+\.\d+)/.exec(references.node)?.[1] ?? 'unknown';
  const bills: string[] = [];
  for (const architecture of architectures) {
    const bill = path(`-${architecture}.cdx.json`);
    await writeFile(bill, await createBill(layout, index, { architecture, nodeVersion, work }));
    bills.push(bill);
  }
  return bills;
}

async function buildAll(
  { source, architectures, isPlainHttp = false }: ReleaseOptions,
  {
    references,
    archive,
    work,
    ...build
  }: { references: BaseReferences; archive: string; work: string; version: string; epoch: number },
) {
  const resolved = await Promise.all(
    architectures.map((architecture) => resolveBases(references, architecture, isPlainHttp)),
  );
  const platforms = architectures.map((architecture, position) => {
    const images = resolved[position]?.images;
    if (images === undefined) throw new Error(`no images for ${architecture}`);
    const note = { 'dev.secretbridge.tested': `${architecture === TESTED}` };
    return { architecture, images, annotations: note };
  });
  const index = await buildImage(
    {
      ...{ context: source, work: join(work, 'build'), epoch: build.epoch, platforms, archive },
      ...{ name: `secretbridge:${build.version}`, isPlainHttp },
    },
    runCommand,
  );
  return { index, images: resolved.flatMap((one) => one.resolved) };
}

const git = (source: string, ...args: readonly string[]): Promise<string> =>
  runCommand('git', ['-C', source, ...args]);

async function requireEmpty(output: string): Promise<void> {
  if (existsSync(output) && (await readdir(output)).length > 0)
    throw new ReleaseError(`${output} is not empty. Remove it, or name another folder with --output.`);
}

async function versionsOfTools(command: string): Promise<Readonly<Record<string, string>>> {
  const buildah = await runCommand('buildah', ['--version']);
  const helm = await runCommand(command, ['version', '--short']);
  return { buildah: buildah.trim(), helm: helm.trim(), node: process.version };
}
