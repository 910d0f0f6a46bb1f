import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Architecture, BaseImages } from '../../../scripts/image/build.ts';
import { installed, type RunTool } from '../services/install.ts';
import { findOrInstall, thisMachine } from '../services/requirements.ts';
import { findSkipReason, ROOT } from './image-root.ts';

/** `slim` has the packages of a small Debian. `distroless` has only the libraries that Node needs, and no shell. */
export type Base = 'slim' | 'distroless';

/** The programs that build and run an image without a daemon. Each is a Debian package of the same name. */
const TOOLS = ['buildah', 'skopeo', 'umoci', 'runc', 'mmdebstrap'] as const;
const BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
/** Debian's own slim image omits these files too. */
const OMITTED = ['doc', 'man', 'locale', 'info', 'lintian', 'linda', 'groff'];
const VERSION = 2;

/** Returns why this machine cannot build and run images. Undefined if it can. */
export async function findImageSkipReason(): Promise<string | undefined> {
  const reason = await findSkipReason();
  if (reason !== undefined) return reason;
  if (process.arch !== 'x64') return 'the base images of the tests are for x86-64';
  if ((await thisMachine.run('apt-get', ['--version'])).status !== 0) return 'the tools are Debian packages';
  return undefined;
}

export async function installImageTools(report: (line: string) => void): Promise<void> {
  for (const tool of TOOLS)
    await findOrInstall(
      {
        missing: `${tool} is missing.`,
        package: tool,
        duration: 'about a minute',
        find: async ({ run }) => ((await run(tool, ['--version'])).status === 0 ? tool : undefined),
      },
      report,
    );
}

/** Returns references to base images. They are relative to the folder of `installBaseImages`. */
export function baseImages(architecture: Architecture, base: Base): BaseImages {
  return {
    build: 'oci:node-amd64',
    node: `oci:node-${architecture}`,
    base: `oci:${base}-${architecture}`,
  };
}

/**
 * Returns the folder of images that stand for the published ones in the Dockerfile. They come from Debian's packages
 * and from npm, because the tests use no registry of images.
 */
export async function installBaseImages(report: (line: string) => void): Promise<string> {
  const node = /NODE_IMAGE=node:([\d.]+)-/.exec(await readFile(join(ROOT, 'Dockerfile'), 'utf8'))?.[1];
  return installed(
    `image-bases-${VERSION}-node-${node}`,
    report,
    async (draft, run) => {
      report('Creating base images from Debian packages (150 MB, once) …');
      const work = join(draft, 'work');
      const steps = new BaseSteps(draft, work, run);
      await steps.npmPackages(['npm@11', ...['x64', 'arm64'].map((arch) => `node-linux-${arch}@${node}`)]);
      await steps.debian('slim-amd64', 'amd64', ['--variant=minbase']);
      for (const architecture of ['amd64', 'arm64'] as const) {
        // This variant extracts packages without running anything, so it works for foreign architectures.
        const extract = ['--variant=extract', '--include=libstdc++6'];
        await steps.debian(`distroless-${architecture}`, architecture, extract);
        await steps.node(architecture);
      }
    },
    { seconds: 180 },
  );
}

/** The steps that create image layouts with one image each. */
class BaseSteps {
  readonly #folder: string;
  readonly #work: string;
  readonly #run: RunTool;

  constructor(folder: string, work: string, run: RunTool) {
    this.#folder = folder;
    this.#work = work;
    this.#run = run;
  }

  async npmPackages(packages: readonly string[]): Promise<void> {
    const options = ['--no-save', '--force', '--ignore-scripts', '--no-audit', '--no-fund'];
    await this.#exec('npm', ['install', '--prefix', this.#work, ...options, ...packages]);
  }

  async debian(name: string, architecture: Architecture, options: readonly string[]): Promise<void> {
    const layer = join(this.#work, `${name}.tar`);
    const omit = OMITTED.map((path) => `--dpkgopt=path-exclude=/usr/share/${path}/*`);
    const keep = '--dpkgopt=path-include=/usr/share/doc/*/copyright';
    await this.#exec('mmdebstrap', [
      ...[`--architectures=${architecture}`, ...options, ...omit, keep, 'bookworm', layer],
    ]);
    await this.#image(name, architecture, [layer]);
  }

  /** Creates the image with Node. The image for the build machine also has npm and a shell. */
  async node(architecture: Architecture): Promise<void> {
    const root = join(this.#work, `node-${architecture}`);
    const modules = join(this.#work, 'node_modules');
    await mkdir(join(root, 'usr/local/bin'), { recursive: true });
    await mkdir(join(root, 'usr/local/lib/node_modules'), { recursive: true });
    const binary = join(modules, `node-linux-${architecture === 'amd64' ? 'x64' : 'arm64'}/bin/node`);
    await this.#exec('cp', [binary, join(root, 'usr/local/bin/node')]);
    const env: string[] = [];
    if (architecture === 'amd64') {
      await this.#exec('cp', ['-r', join(modules, 'npm'), join(root, 'usr/local/lib/node_modules/npm')]);
      const target = '../lib/node_modules/npm/bin/npm-cli.js';
      await this.#exec('ln', ['-s', target, join(root, 'usr/local/bin/npm')]);
      env.push(...(await this.#useRegistryOfThisMachine(root)));
    }
    const layer = `${root}.tar`;
    await this.#exec('tar', ['-C', root, '--owner=0', '--group=0', '-cf', layer, '.']);
    const base = architecture === 'amd64' ? 'slim' : 'distroless';
    await this.#image(
      `node-${architecture}`,
      architecture,
      [join(this.#work, `${base}-${architecture}.tar`), layer],
      env,
    );
  }

  /** The build in the container uses the same registry and the same certificate authorities as this machine. */
  async #useRegistryOfThisMachine(root: string): Promise<readonly string[]> {
    const { output } = await thisMachine.run('npm', ['config', 'get', 'registry']);
    const env = [`npm_config_registry=${output.trim()}`];
    if (!existsSync(BUNDLE)) return env;
    await mkdir(join(root, dirname(BUNDLE)), { recursive: true });
    await this.#exec('cp', ['-L', BUNDLE, join(root, BUNDLE)]);
    return [...env, `NODE_EXTRA_CA_CERTS=${BUNDLE}`];
  }

  async #image(
    name: string,
    architecture: Architecture,
    layers: readonly string[],
    env: readonly string[] = [],
  ) {
    const layout = join(this.#folder, name);
    const image = `${layout}:latest`;
    await this.#exec('umoci', ['init', '--layout', layout]);
    await this.#exec('umoci', ['new', '--image', image]);
    for (const layer of layers) await this.#exec('umoci', ['raw', 'add-layer', '--image', image, layer]);
    const settings = env.flatMap((variable) => ['--config.env', variable]);
    await this.#exec('umoci', ['config', '--image', image, '--architecture', architecture, ...settings]);
    await this.#exec('umoci', ['gc', '--layout', layout]);
  }

  #exec(command: string, args: readonly string[]): Promise<void> {
    return this.#run({ name: command, command, args, env: process.env, cwd: this.#work });
  }
}
