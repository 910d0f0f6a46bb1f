import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Exit, type GuardedProcess, openTemporaryGuard } from '../services/guarded.ts';
import type { RunResult } from './image-root.ts';

/** A running container of the image. The network is the network of this machine. */
export interface Container extends AsyncDisposable {
  /** The folder that is mounted at `/var/lib/secretbridge`. */
  readonly state: string;
  /** The settings of the container, as runc reads them. */
  readonly config: string;
  /** Runs a command in the container, like `kubectl exec`. */
  exec(command: readonly string[]): Promise<RunResult>;
  /** Returns the memory limit and the highest use so far, in bytes. */
  memory(): Promise<{ readonly limit: number; readonly max: number }>;
  /** Sends a signal to the program. */
  kill(signal: string): Promise<void>;
  readonly ended: Promise<Exit>;
  logs(): Promise<string>;
}

export interface ContainerOptions {
  /** The unpacked image. */
  readonly bundle: string;
  /** Files below `/etc/secretbridge`. */
  readonly files: Readonly<Record<string, string>>;
  readonly memoryBytes: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** The parts of a runtime configuration that the tests read or change. */
interface RuntimeConfig {
  readonly process: { readonly user: { readonly uid: number; readonly gid: number }; readonly env: string[] };
  readonly mounts: readonly object[];
  readonly linux: { readonly namespaces: readonly { readonly type: string }[] };
}

interface Statistics {
  readonly data: { readonly memory: { readonly usage: { readonly limit: number; readonly max: number } } };
}

const NO_CAPABILITIES = { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] };

/** Starts the image with its own command, and with the restrictions of the chart. */
export async function startContainer(options: ContainerOptions): Promise<Container> {
  const guard = await openTemporaryGuard('container');
  try {
    const { folder } = guard;
    const [state, etc] = [join(folder, 'state'), join(folder, 'etc')];
    for (const path of [state, etc, join(etc, 'store')]) await mkdir(path);
    for (const [name, text] of Object.entries(options.files)) await writeFile(join(etc, name), text);
    const id = `secretbridge-${randomUUID()}`;
    const config = await restrict(options, id, { state, etc });
    await writeFile(join(folder, 'config.json'), config.text);
    await chown(state, config.uid, config.gid);
    const runc = ['--root', join(folder, 'runc')];
    const child: GuardedProcess = guard.start({
      ...{ name: 'runc', command: 'runc', args: [...runc, 'run', '--bundle', folder, id], env: process.env },
      ends: true,
    });
    return {
      ...{ state, config: config.text, ended: child.ended, logs: () => child.output() },
      exec: (command) => runToEnd([...runc, 'exec', id, ...command]),
      async memory() {
        const { stdout } = await runToEnd([...runc, 'events', '--stats', id]);
        return (JSON.parse(stdout) as Statistics).data.memory.usage;
      },
      kill: async (signal) => void (await runToEnd([...runc, 'kill', id, signal])),
      async [Symbol.asyncDispose]() {
        await runToEnd([...runc, 'delete', '--force', id]);
        await child.ended;
        await guard.close();
      },
    };
  } catch (error) {
    await guard.close();
    throw error;
  }
}

async function restrict(
  { bundle, memoryBytes, env = {} }: ContainerOptions,
  id: string,
  { state, etc }: { readonly state: string; readonly etc: string },
) {
  const image = JSON.parse(await readFile(join(bundle, 'config.json'), 'utf8')) as RuntimeConfig;
  const bind = (source: string, destination: string, mode: string) => ({
    ...{ source, destination, type: 'bind', options: ['rbind', mode, 'nosuid', 'nodev'] },
  });
  const { uid, gid } = image.process.user;
  const config = {
    ...image,
    process: {
      ...image.process,
      ...{ terminal: false, capabilities: NO_CAPABILITIES, noNewPrivileges: true },
      env: [...image.process.env, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
    },
    root: { path: join(bundle, 'rootfs'), readonly: true },
    mounts: [
      ...image.mounts,
      bind(etc, '/etc/secretbridge', 'ro'),
      bind(state, '/var/lib/secretbridge', 'rw'),
    ],
    linux: {
      ...image.linux,
      cgroupsPath: `/${id}`,
      namespaces: image.linux.namespaces.filter(({ type }) => type !== 'network' && type !== 'user'),
      uidMappings: [],
      gidMappings: [],
      resources: { memory: { limit: memoryBytes, swap: memoryBytes } },
    },
  };
  return { text: JSON.stringify(config), uid, gid };
}

function runToEnd(args: readonly string[]): Promise<RunResult> {
  return new Promise((resolve) => {
    execFile('runc', [...args], { timeout: 60_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
      resolve({ code, stdout, stderr });
    });
  });
}
