import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Architecture, type BaseImages, BUILD_ARCHITECTURE } from '../image/build.ts';
import type { Index } from '../image/layout.ts';
import { ReleaseError, runCommand } from './commands.ts';

/** The images in the Dockerfile, or their replacements. A reference is a name with a digest. */
export interface BaseReferences {
  readonly node: string;
  readonly base: string;
}

/** An image of one architecture that entered the result. */
export interface ResolvedImage {
  /** The name without tag and digest. Example: `docker.io/library/node`. */
  readonly name: string;
  readonly architecture: Architecture;
  readonly digest: string;
}

export async function readBaseReferences(source: string): Promise<BaseReferences> {
  const text = await readFile(join(source, 'Dockerfile'), 'utf8');
  const value = (name: string): string => new RegExp(`^ARG ${name}=(\\S+)$`, 'm').exec(text)?.[1] ?? '';
  return { node: value('NODE_IMAGE'), base: value('BASE_IMAGE') };
}

/**
 * Finds the digest of an image for an architecture. buildah keeps images by their reference, so it would mix up two
 * architectures of the same reference.
 *
 * @throws ReleaseError if the reference has no digest, or the registry has no such image
 */
export async function resolveImage(
  reference: string,
  architecture: Architecture,
  isPlainHttp: boolean,
): Promise<ResolvedImage> {
  const [tagged = '', digest] = reference.split('@');
  if (digest === undefined)
    throw new ReleaseError(`${reference} has no digest. A release names each image as NAME@sha256:…`);
  const name = qualify(tagged.replace(/:[^/:]+$/, ''));
  const tls = isPlainHttp ? ['--tls-verify=false'] : [];
  const raw = await runCommand('skopeo', ['inspect', ...tls, '--raw', `docker://${name}@${digest}`]);
  const found = `sha256:${createHash('sha256').update(raw).digest('hex')}`;
  if (found !== digest) throw new ReleaseError(`The registry answers ${found} for ${name}@${digest}.`);
  const { manifests } = JSON.parse(raw) as Partial<Index>;
  if (manifests === undefined) return { name, architecture, digest };
  const manifest = manifests.find(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
  );
  if (manifest === undefined) throw new ReleaseError(`${reference} has no image for linux/${architecture}.`);
  return { name, architecture, digest: manifest.digest };
}

/** Adds what Docker leaves out of a name. */
function qualify(name: string): string {
  const [first = ''] = name.split('/');
  if (name.includes('/') && /[.:]|^localhost$/.test(first)) return name;
  return name.includes('/') ? `docker.io/${name}` : `docker.io/library/${name}`;
}

/** Resolves all images for a build. The images are also the dependencies in the provenance. */
export async function resolveBases(
  { node, base }: BaseReferences,
  architecture: Architecture,
  isPlainHttp: boolean,
): Promise<{ readonly images: BaseImages; readonly resolved: readonly ResolvedImage[] }> {
  const resolved = {
    build: await resolveImage(node, BUILD_ARCHITECTURE, isPlainHttp),
    node: await resolveImage(node, architecture, isPlainHttp),
    base: await resolveImage(base, architecture, isPlainHttp),
  };
  const image = ({ name, digest }: ResolvedImage): string => `docker://${name}@${digest}`;
  const images = { build: image(resolved.build), node: image(resolved.node), base: image(resolved.base) };
  return { images, resolved: Object.values(resolved) };
}
