import { cp, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ReleaseError, runCommand } from './commands.ts';

interface ChartPlace {
  readonly work: string;
  readonly output: string;
  /** The digest of the image. */
  readonly digest: string;
  /** The name of the image in its registry, without tag. Undefined keeps the name in the chart. */
  readonly repository?: string;
  readonly helm: string;
  /** The time of all files, in seconds since 1970. */
  readonly epoch: number;
}

/**
 * Packages the chart with the digest of the image, so that an installation uses exactly this image.
 *
 * @returns The path of the package.
 */
export async function packageChart(
  source: string,
  { work, output, digest, repository, helm, epoch }: ChartPlace,
): Promise<string> {
  const chart = join(work, 'secretbridge');
  await cp(join(source, 'deploy/chart'), chart, { recursive: true });
  const path = join(chart, 'values.yaml');
  const values = await readFile(path, 'utf8');
  const filled = fill(
    fill(values, "digest: ''", `digest: '${digest}'`),
    'repository: secretbridge',
    repository && `repository: ${repository}`,
  );
  await writeFile(path, filled);
  // Helm writes the times of the files into the package.
  for (const name of await readdir(chart, { recursive: true })) await utimes(join(chart, name), epoch, epoch);
  const printed = await runCommand(helm, ['package', chart, '--destination', output]);
  const packaged = /saved it to: (.+)$/m.exec(printed)?.[1];
  if (packaged === undefined) throw new ReleaseError(`helm package printed no path: ${printed}`);
  return packaged;
}

/** Replaces a line of the values. Keeps the comments, which a YAML library would move. */
function fill(values: string, line: string, replacement: string | undefined): string {
  if (replacement === undefined) return values;
  const parts = values.split(`\n  ${line}\n`);
  if (parts.length !== 2) throw new ReleaseError(`The values of the chart have no single line "${line}".`);
  return parts.join(`\n  ${replacement}\n`);
}
