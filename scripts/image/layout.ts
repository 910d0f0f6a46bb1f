import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A reference to a blob of an image layout (OCI image specification). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  /** The size of the blob in bytes. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly architecture: string; readonly os: string };
}

export interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface Index {
  readonly manifests: readonly Descriptor[];
}

/** The image of one architecture. The tag names the image in `index.json` of the layout. */
export interface TaggedImage {
  readonly architecture: string;
  readonly tag: string;
  /** The health check of the Dockerfile. An image in the OCI format loses this field when it is pushed. */
  readonly healthcheck: unknown;
  readonly annotations?: Descriptor['annotations'];
}

const INDEX = 'application/vnd.oci.image.index.v1+json';
const TAG = 'org.opencontainers.image.ref.name';

export const blobPath = (layout: string, digest: string): string =>
  join(layout, 'blobs', digest.replace(':', '/'));

export async function readBlob<Content>(layout: string, { digest }: Descriptor): Promise<Content> {
  return JSON.parse(await readFile(blobPath(layout, digest), 'utf8')) as Content;
}

async function writeBlob(layout: string, mediaType: string, content: unknown): Promise<Descriptor> {
  const text = JSON.stringify(content);
  const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  await writeFile(blobPath(layout, digest), text);
  return { mediaType, digest, size: Buffer.byteLength(text) };
}

export async function readIndex(layout: string): Promise<Index> {
  return JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as Index;
}

/**
 * Joins the tagged images of a layout to one image for several platforms, which becomes the only image of the layout.
 *
 * @param name The name and tag for programs that import the layout. Example: `secretbridge:0.1.0`.
 * @returns The descriptor of the index. Its digest is the digest of the image.
 */
export async function joinPlatforms(
  layout: string,
  images: readonly TaggedImage[],
  name: string,
): Promise<Descriptor> {
  const { manifests: pushed } = await readIndex(layout);
  const manifests: Descriptor[] = [];
  for (const image of images) {
    const descriptor = pushed.find(({ annotations }) => annotations?.[TAG] === image.tag);
    if (descriptor === undefined) throw new Error(`the layout has no image ${image.tag}`);
    manifests.push(await addHealthcheck(layout, descriptor, image));
  }
  const index = await writeBlob(layout, INDEX, { schemaVersion: 2, mediaType: INDEX, manifests });
  const annotations = {
    [TAG]: name.slice(name.indexOf(':') + 1),
    // containerd imports an archive under this name.
    'io.containerd.image.name': `docker.io/library/${name}`,
  };
  const content = { schemaVersion: 2, mediaType: INDEX, manifests: [{ ...index, annotations }] };
  await writeFile(join(layout, 'index.json'), JSON.stringify(content));
  return index;
}

/** Replaces the configuration and the manifest of an image by copies with the health check. */
async function addHealthcheck(
  layout: string,
  from: Descriptor,
  { architecture, healthcheck, annotations }: TaggedImage,
): Promise<Descriptor> {
  const manifest = await readBlob<Manifest>(layout, from);
  const { config, ...others } = await readBlob<{ readonly config: object }>(layout, manifest.config);
  const changed = { ...others, config: { ...config, Healthcheck: healthcheck } };
  const newConfig = await writeBlob(layout, manifest.config.mediaType, changed);
  const newManifest = await writeBlob(layout, from.mediaType, { ...manifest, config: newConfig });
  for (const { digest } of [from, manifest.config]) await rm(blobPath(layout, digest));
  return {
    ...newManifest,
    platform: { architecture, os: 'linux' },
    ...(annotations === undefined ? {} : { annotations }),
  };
}
