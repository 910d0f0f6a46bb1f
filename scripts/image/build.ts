import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Descriptor, joinPlatforms, type TaggedImage } from './layout.ts';

/** Runs a command until it exits. Returns its standard output. Only `inspect` needs it. Throws if the command fails. */
export type RunCommand = (command: string, args: readonly string[]) => Promise<string | undefined>;

export type Architecture = 'amd64' | 'arm64';

/** The images that the Dockerfile starts from, such as `docker://NAME@sha256:…` or `oci:FOLDER`. */
export interface BaseImages {
  /** The image with Node and npm for the architecture of the build machine. */
  readonly build: string;
  /** The image whose `/usr/local/bin/node` enters the result. */
  readonly node: string;
  readonly base: string;
}

/** One platform of the image. */
export interface PlatformBuild {
  readonly architecture: Architecture;
  readonly images: BaseImages;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ImageBuild {
  /** The folder of the Dockerfile. */
  readonly context: string;
  /** A folder for the layers of builds. Builds with the same folder share them. */
  readonly work: string;
  /** The name and tag of the image. Example: `secretbridge:0.1.0`. */
  readonly name: string;
  /** The time of all files and of the image, in seconds since 1970. */
  readonly epoch: number;
  readonly platforms: readonly PlatformBuild[];
  /** The path of the result, an archive in the OCI format. */
  readonly archive: string;
  /** Whether the registry of the base images has no TLS. */
  readonly isPlainHttp?: boolean;
}

export const BUILD_ARCHITECTURE: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
/** The time of the files in the image, unless `SOURCE_DATE_EPOCH` is set. In seconds since 1970. */
export const DEFAULT_EPOCH = 1_767_225_600;

/** Builds the Dockerfile with buildah, without a daemon. Returns the descriptor of the image with all platforms. */
export async function buildImage(build: ImageBuild, run: RunCommand): Promise<Descriptor> {
  const { work, name, epoch, platforms, archive } = build;
  await mkdir(work, { recursive: true });
  const policy = join(work, 'policy.json');
  // The references have digests, so the origin of an image needs no other check.
  await writeFile(policy, '{"default":[{"type":"insecureAcceptAnything"}]}');
  const layout = await mkdtemp(join(work, 'layout-'));
  const storage = ['--root', join(work, 'storage'), '--runroot', join(work, 'run')];
  // buildah leaves mounts behind. In a mount namespace of its own, they end with the process.
  const buildah = (command: string, ...args: readonly string[]) =>
    run('unshare', ['--mount', 'buildah', ...storage, command, ...args]);
  const tagged: TaggedImage[] = [];
  for (const platform of platforms) {
    const tag = `${name.replace(':', '-')}:${platform.architecture}`;
    const trust = ['--signature-policy', policy, `--tls-verify=${build.isPlainHttp !== true}`];
    await buildah('bud', ...trust, '--tag', tag, ...buildOptions(platform, epoch), build.context);
    await buildah('push', '--quiet', ...trust, tag, `oci:${layout}:${platform.architecture}`);
    const inspected = JSON.parse((await buildah('inspect', '--type', 'image', tag)) ?? '') as {
      readonly Docker: { readonly config: { readonly Healthcheck?: unknown } };
    };
    const healthcheck = inspected.Docker.config.Healthcheck;
    const { architecture, annotations } = platform;
    tagged.push({ architecture, tag: architecture, healthcheck, ...(annotations && { annotations }) });
  }
  const index = await joinPlatforms(layout, tagged, name);
  await run('tar', [
    ...['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX'],
    ...[`--mtime=@${epoch}`, '--format=ustar', '-C', layout, '-cf', archive],
    ...['oci-layout', 'index.json', 'blobs'],
  ]);
  return index;
}

function buildOptions({ architecture, images }: PlatformBuild, epoch: number): readonly string[] {
  const values = {
    BUILDPLATFORM: `linux/${BUILD_ARCHITECTURE}`,
    BUILD_IMAGE: images.build,
    NODE_IMAGE: images.node,
    BASE_IMAGE: images.base,
  };
  return [
    ...['--isolation', 'chroot', '--network', 'host', '--platform', `linux/${architecture}`],
    // Only the Docker format has the health check.
    ...['--format', 'docker', '--layers', '--timestamp', `${epoch}`, '--identity-label=false'],
    ...Object.entries(values).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
  ];
}
