import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';

export const ROOT = resolve(import.meta.dirname, '../../..');
const run = promisify(execFile);

/** The runtime settings in the Dockerfile. */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
  /** The numeric user and group, as `uid:gid`. */
  readonly user: string;
  readonly env: Readonly<Record<string, string>>;
  readonly volume: string;
}

export async function readDockerfile(): Promise<ImageConfig> {
  const whole = (await readFile(join(ROOT, 'Dockerfile'), 'utf8')).replace(/\\\n/g, ' ');
  const file = whole.slice(whole.lastIndexOf('\nFROM '));
  const word = (pattern: RegExp): string => pattern.exec(file)?.[1] ?? '';
  const words = (pattern: RegExp): readonly string[] => JSON.parse(word(pattern)) as string[];
  return {
    entrypoint: words(/^ENTRYPOINT (\[.*\])$/m),
    command: words(/^CMD (\[.*\])$/m),
    healthcheck: words(/^HEALTHCHECK [^[]*CMD (\[.*\])$/m),
    user: word(/^USER (.*)$/m),
    env: Object.fromEntries(
      [...file.matchAll(/^ENV (\w+)=(\S+)$/gm)].map(([, name, value]) => [name, value]),
    ),
    volume: word(/^VOLUME (.*)$/m),
  };
}

export interface RunResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The file system of a container: the files of the image, plus Node and its libraries. */
export interface ImageRoot extends AsyncDisposable {
  readonly folder: string;
  /** The folder that is mounted as the state volume. */
  readonly state: string;
  readonly image: ImageConfig;
  /** Starts a program as the image's user, with only these environment variables. Only the state folder is writable. */
  start(command: readonly string[], env?: Readonly<Record<string, string>>): ChildProcess;
  run(command: readonly string[], env?: Readonly<Record<string, string>>): Promise<RunResult>;
}

/** The reason why this machine cannot run the image. Undefined when it can. */
export async function findSkipReason(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'only Linux has per-process mounts';
  if (process.getuid?.() !== 0) return 'only root may mount and change the user';
  try {
    await run('unshare', ['--mount', 'sh', '-c', 'mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp']);
    return undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return 'this machine does not allow mounts';
    throw error;
  }
}

const MOUNT = `set -e
root=$1 state=$2 user=$3
shift 3
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$state" "$root/var/lib/secretbridge"
mount --bind /proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot --userspec="$user" "$root" "$@"
`;

/** Runs the build steps of the Dockerfile below the folder `root`. Returns their output. */
export async function assembleImage(
  folder: string,
  { umask = '022', root = ROOT }: { readonly umask?: string; readonly root?: string } = {},
): Promise<string> {
  const args = [join(root, 'scripts/image-files.ts'), folder];
  const command = `umask ${umask}; exec "$@"`;
  // Runs in another folder, because the build must not depend on the current folder.
  const { stdout } = await run('sh', ['-c', command, 'sh', process.execPath, ...args], { cwd: tmpdir() });
  return stdout;
}

/** Returns the files and folders of the build context, respecting `.dockerignore`. */
export async function contextNames(): Promise<readonly string[]> {
  const [all, ...exceptions] = (await readFile(join(ROOT, '.dockerignore'), 'utf8'))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (all !== '*') throw new Error('.dockerignore must begin with * and list what to include');
  return exceptions.map((line) => line.replace(/^!/, ''));
}

/** Copies the build context like Docker. Links the local packages that `npm ci` would install. */
export async function copyContext(folder: string): Promise<void> {
  for (const name of await contextNames())
    await cp(join(ROOT, name), join(folder, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
}

/** Creates the file system of a container. `prepare` can add files before the start. */
export async function openImageRoot(
  prepare: (folder: string) => Promise<void> = async () => {},
): Promise<ImageRoot> {
  await using stack = new AsyncDisposableStack();
  const base = await mkdtemp(join(tmpdir(), 'secretbridge-root-'));
  stack.defer(() => rm(base, { recursive: true, force: true }));
  await chmod(base, 0o755);
  const [folder, state] = [join(base, 'root'), join(base, 'state')];
  const image = await readDockerfile();
  await assembleImage(folder);
  await copyNode(folder);
  for (const path of ['proc', 'dev', 'etc/secretbridge', image.volume])
    await mkdir(join(folder, path), { recursive: true });
  await mkdir(state);
  const [uid, gid] = image.user.split(':').map(Number);
  await chown(state, uid ?? 0, gid ?? 0);
  await prepare(folder);

  const start: ImageRoot['start'] = (command, env = {}) =>
    spawn('unshare', ['--mount', 'sh', '-c', MOUNT, 'sh', folder, state, image.user, ...command], {
      // The home folder that Docker sets for a user without an entry in /etc/passwd.
      env: {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: '/',
        ...image.env,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const resources = stack.move();
  return {
    ...{ folder, state, image, start },
    async run(command, env) {
      const child = start(command, env);
      const [stdout, stderr, [code]] = await Promise.all([
        child.stdout === null ? '' : text(child.stdout),
        child.stderr === null ? '' : text(child.stderr),
        once(child, 'close') as Promise<[number | null]>,
      ]);
      return { code, stdout, stderr };
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Copies Node to its path in the image, with the libraries that the base image provides. */
async function copyNode(folder: string): Promise<void> {
  const { stdout } = await run('ldd', [process.execPath]);
  const libraries = [...stdout.matchAll(/(\/\S+\.so\S*) \(/g)].map(([, path]) => path ?? '');
  for (const [from, to] of [
    [process.execPath, '/usr/local/bin/node'],
    ...libraries.map((path) => [path, path]),
  ] as [string, string][]) {
    await mkdir(join(folder, dirname(to)), { recursive: true });
    await cp(from, join(folder, to), { dereference: true });
  }
}
