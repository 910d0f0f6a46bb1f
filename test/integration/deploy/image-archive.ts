import { createHash } from 'node:crypto';
import { globSync, readFileSync, statSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { buildImage, DEFAULT_EPOCH, type RunCommand } from '../../../scripts/image/build.ts';
import { installed } from '../services/install.ts';
import { reportToStderr } from '../services/service.ts';
import { type Base, baseImages, installBaseImages, installImageTools } from './image-bases.ts';
import { contextNames, ROOT } from './image-root.ts';

export const IMAGE_NAME = 'secretbridge:test';
const BASES: readonly Base[] = ['slim', 'distroless'];
const KEPT_MS = 24 * 60 * 60_000;

/** The built image of one base. */
export interface BuiltImage {
  /** An archive in the OCI format. containerd imports it as `docker.io/library/secretbridge:test`. */
  readonly archive: string;
  /** The unpacked image for runc: `rootfs` and `config.json`. The tests of a machine share it, so never write to it. */
  readonly bundle: string;
}

/**
 * Builds the Dockerfile of the repository on a base image. Needs root. A second call for the same sources returns the
 * same files at once.
 */
export async function installImage(
  base: Base,
  report: (line: string) => void = reportToStderr,
): Promise<BuiltImage> {
  await installImageTools(report);
  const cwd = await installBaseImages(report);
  const folder = await installed(
    `image-${await hashOfContext(basename(cwd))}`,
    report,
    async (draft, runTool) => {
      report('Building the image (about 2 minutes, once for each version of the sources) …');
      const work = join(draft, 'work');
      const run: RunCommand = async (command, args) => {
        const tool = { name: `${command} ${args.join(' ')}`, command, args, env: process.env, cwd };
        // The output of other commands goes to the log of the installation.
        if (!args.includes('inspect')) return void (await runTool(tool));
        const log = join(work, 'output');
        await rm(log, { force: true });
        await runTool({ ...tool, log });
        return readFileSync(log, 'utf8');
      };
      for (const each of BASES) {
        const archive = join(draft, `${each}.tar`);
        const platforms = [{ architecture: 'amd64', images: baseImages('amd64', each) }] as const;
        const build = { context: ROOT, name: IMAGE_NAME, epoch: DEFAULT_EPOCH, work: join(work, 'build') };
        await buildImage({ ...build, platforms, archive }, run);
        const layout = join(work, each);
        await run('skopeo', ['copy', '--insecure-policy', `oci-archive:${archive}`, `oci:${layout}:latest`]);
        await run('umoci', ['unpack', '--image', `${layout}:latest`, join(draft, each)]);
      }
    },
    { seconds: 180 },
  );
  await removeOldImages(folder);
  return { archive: join(folder, `${base}.tar`), bundle: join(folder, base) };
}

/** Hashes everything that enters the image. */
async function hashOfContext(bases: string): Promise<string> {
  const hash = createHash('sha256').update(bases);
  const files = (await contextNames()).flatMap((name) =>
    statSync(join(ROOT, name)).isDirectory() ? globSync(`${name}/**`, { cwd: ROOT }) : [name],
  );
  for (const file of ['Dockerfile', ...files.toSorted()]) {
    const path = join(ROOT, file);
    if (statSync(path).isFile()) hash.update(`${file}\0`).update(readFileSync(path)).update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}

/** Removes images of earlier sources. */
async function removeOldImages(current: string): Promise<void> {
  const cache = dirname(current);
  for (const name of await readdir(cache)) {
    const path = join(cache, name);
    if (!/^image-[0-9a-f]{16}$/.test(name) || path === current) continue;
    if (Date.now() - (await stat(path)).mtimeMs > KEPT_MS) await rm(path, { recursive: true, force: true });
  }
}
