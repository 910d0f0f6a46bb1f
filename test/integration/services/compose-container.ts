import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ComposeService } from './compose-spec.ts';
import { assertStarting, startGuarded } from './guarded.ts';
import { type Lifetime, until } from './service.ts';

/** What an image adds to the settings of its service in docker-compose.yml. */
export interface ImagePart {
  /** The words before the command of the service. */
  readonly entrypoint?: readonly string[];
  /** The folders of the programs. */
  readonly path: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** The files and folders of this machine to mount. The keys are their paths in the container. */
  readonly mounts?: Readonly<Record<string, string>>;
}

/** The real program of a service. It has a network of its own, so its ports are those of the image. */
export interface Container extends Lifetime {
  /** Runs a program in the network of the service, with the environment of the service. Returns its exit code. */
  run(words: readonly string[], more?: Readonly<Record<string, string>>): Promise<Ended>;
}

export interface Ended {
  readonly code: number;
  readonly output: string;
}

/** Mounts onto overlays of the parent folders, so that this machine gets no mount points. */
const START = `set -e
pid_file=$1 work=$2
shift 2
ip link set lo up
mount -t tmpfs tmpfs "$work"
while [ "$1" != -- ]; do
  parent=$(dirname "$2") layer=$(mktemp -d -p "$work")
  mkdir "$layer/upper" "$layer/work"
  mount -t overlay overlay -o "lowerdir=$parent,upperdir=$layer/upper,workdir=$layer/work" "$parent"
  if [ -d "$1" ]; then mkdir -p "$2"; else : > "$2"; fi
  mount --bind "$1" "$2"
  shift 2
done
shift
echo $$ > "$pid_file"
exec "$@"
`;

/** The reason why this machine cannot start a container. Undefined when it can. */
export async function whyNoContainer(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'only root may give a process its own network and mounts';
  const words = [
    'sh',
    '-c',
    START,
    'sh',
    '/dev/null',
    '/mnt',
    '/etc/hostname',
    '/etc/hostname',
    '--',
    'true',
  ];
  const { code, output } = await runWords(['unshare', '--net', '--mount', ...words], process.env);
  return code === 0 ? undefined : `a process cannot have its own network and mounts here: ${output.trim()}`;
}

export async function startContainer(service: ComposeService, image: ImagePart): Promise<Container> {
  const environment = {
    PATH: [...image.path, process.env.PATH].join(':'),
    ...image.environment,
    ...service.environment,
  };
  return startGuarded('compose', async (guard) => {
    const [pidFile, work] = [join(guard.folder, 'pid'), join(guard.folder, 'work')];
    await mkdir(work);
    const mounts = Object.entries(image.mounts ?? {}).flatMap(([inside, outside]) => [outside, inside]);
    const words = [...(image.entrypoint ?? []), ...(service.command ?? [])];
    const started = guard.start({
      name: 'service',
      command: 'unshare',
      args: ['--net', '--mount', 'sh', '-c', START, 'sh', pidFile, work, ...mounts, '--', ...words],
      env: { HOME: guard.folder, ...environment },
    });
    await until('The start of the service', 20_000, async () => {
      await assertStarting(started);
      return existsSync(pidFile) && (await readFile(pidFile, 'utf8')).endsWith('\n');
    });
    const enter = ['nsenter', '--target', (await readFile(pidFile, 'utf8')).trim(), '--net', '--mount'];
    return { run: (words, more = {}) => runWords([...enter, ...words], { ...environment, ...more }) };
  });
}

/** Returns the command of a healthcheck in the form `[CMD, …]`. */
export function healthcheckOf({ healthcheck }: ComposeService): readonly string[] {
  const [kind, ...words] = healthcheck?.test ?? [];
  if (kind !== 'CMD') throw new Error(`a healthcheck of the form CMD was expected, not ${kind}`);
  return words;
}

export function runWords([command = '', ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(command, args, { env, timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: `${stdout}${stderr}` });
    });
  });
}
