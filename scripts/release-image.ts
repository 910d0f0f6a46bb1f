// npm run release:image [-- options]: builds the image, the chart and their documents into state/release.
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Architecture } from './image/build.ts';
import { ReleaseError, stopCommands } from './release/commands.ts';
import { release } from './release/release.ts';

const ROOT = join(import.meta.dirname, '..');
const ARCHITECTURES: readonly Architecture[] = ['amd64', 'arm64'];
const HELP = `Usage: npm run release:image [-- options]

Builds the image for amd64 and arm64 as one archive, a bill of materials of each, the chart with the digest of the image,
and the provenance. Needs buildah, skopeo, git and helm, and on Linux the user root.

  --output FOLDER       where the files go (state/release)
  --repository NAME     the name of the image in your registry, for the chart
  --architecture NAME   build only amd64 or arm64
  --key FILE            sign SHA256SUMS with this private key (PEM, ECDSA on P-256)
  --node-image IMAGE    replaces NODE_IMAGE of the Dockerfile. Needs a tag with the version, and a digest
  --base-image IMAGE    replaces BASE_IMAGE of the Dockerfile. Needs a digest
  --builder URI         who builds, for the provenance
  --plain-http          the registry of these images has no TLS
  --help                this text
`;

async function main(): Promise<number> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      ...{ output: { type: 'string', default: join(ROOT, 'state/release') }, repository: text },
      ...{ architecture: text, key: text, 'node-image': text, 'base-image': text, builder: text },
      ...{ 'plain-http': { type: 'boolean' }, help: { type: 'boolean', short: 'h', default: false } },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const architectures = ARCHITECTURES.filter((name) => (values.architecture ?? name) === name);
  if (architectures.length === 0) throw new ReleaseError(`--architecture is ${ARCHITECTURES.join(' or ')}.`);
  const { repository, key, builder } = values;
  const output = resolve(values.output);
  const { 'node-image': node, 'base-image': base, 'plain-http': isPlainHttp } = values;
  const digest = await release(
    {
      ...{ source: ROOT, output, architectures },
      references: { ...(node && { node }), ...(base && { base }) },
      ...(isPlainHttp && { isPlainHttp }),
      ...(repository && { repository }),
      ...(key && { key }),
      ...(builder && { builder }),
    },
    (line) => process.stderr.write(`${line}\n`),
  );
  process.stdout.write(`${output}: image ${digest}\n`);
  return 0;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stopCommands);
try {
  process.exitCode = await main();
} catch (error) {
  const isUsage =
    error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  if (!isUsage && !(error instanceof ReleaseError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = isUsage ? 64 : 1;
}
