import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { RunTool } from '../install.ts';

export interface ImageParts {
  /** The name with the tag, for example `docker.io/library/python:3.13-slim`. */
  readonly name: string;
  /** The path of a tar archive with all files. It is moved. */
  readonly files: string;
  /** The `config` of the image, as in the OCI specification. */
  readonly config: object;
}

/** Writes a Docker archive with one image of one layer. No image tool is necessary. */
export async function writeImageArchive(
  archive: string,
  work: string,
  { name, files, config }: ImageParts,
  run: RunTool,
): Promise<void> {
  const image = join(work, 'image');
  await mkdir(image, { recursive: true });
  const hash = createHash('sha256');
  await pipeline(createReadStream(files), hash);
  await rename(files, join(image, 'layer.tar'));
  const text = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: [`sha256:${hash.digest('hex')}`] },
  });
  await writeFile(join(image, 'config.json'), text);
  const manifest = [{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }];
  await writeFile(join(image, 'manifest.json'), JSON.stringify(manifest));
  await run(tar(archive, image));
  await rm(image, { recursive: true });
}

/** A command that packs the content of a folder, with root as the owner. */
export function tar(archive: string, folder: string) {
  const args = ['--create', '--file', archive, '--directory', folder, '--owner=0', '--group=0', '.'];
  return { name: 'tar', command: 'tar', args, env: process.env };
}
