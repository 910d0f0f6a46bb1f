import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildGoPrograms, type GoModule, versionIn } from './go-build.ts';
import { installed } from './install.ts';

const MODULE = fileURLToPath(new URL('go.mod', import.meta.url));
const KWOK_MODULE = fileURLToPath(new URL('kwok/go.mod', import.meta.url));
const ETCD = 'go.etcd.io/etcd/server/v3';

export interface Programs {
  apiServer: string;
  etcd: string;
}

export interface ControllerPrograms {
  controllerManager: string;
  scheduler: string;
  /** Plays the kubelets of nodes. */
  kwok: string;
}

/** The versions in go.mod. No other file defines them. */
export function kubernetesVersions(): { kubernetes: string; etcd: string } {
  const text = readFileSync(MODULE, 'utf8');
  return { kubernetes: versionIn(text, 'k8s.io/kubernetes'), etcd: versionIn(text, ETCD) };
}

/** Programs of Kubernetes, such as `kube-apiserver`, and of modules that the same go.mod requires. */
export function kubernetesPrograms(
  names: readonly string[],
  others: Readonly<Record<string, string>> = {},
): GoModule {
  const { kubernetes } = kubernetesVersions();
  const [major, minor] = kubernetes.split('.');
  // Without these flags, the programs report v0.0.0, and the API server refuses to start.
  const version = { gitVersion: `v${kubernetes}`, gitMajor: major, gitMinor: minor };
  return {
    folder: dirname(MODULE),
    programs: {
      ...Object.fromEntries(names.map((name) => [name, `k8s.io/kubernetes/cmd/${name}`])),
      ...others,
    },
    linkerFlags: Object.entries(version).map(
      ([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`,
    ),
  };
}

export async function installKubernetes(report: (line: string) => void): Promise<Programs> {
  const { kubernetes, etcd } = kubernetesVersions();
  const folder = await installed(
    `kubernetes-${kubernetes}-etcd-${etcd}`,
    report,
    async (draft, run, progress) => {
      report(`Building kube-apiserver ${kubernetes} and etcd ${etcd} (about 5 minutes, once) …`);
      await buildGoPrograms({ draft, report, run, progress }, [
        kubernetesPrograms(['kube-apiserver'], { etcd: ETCD }),
      ]);
    },
    { seconds: 300 },
  );
  return { apiServer: join(folder, 'kube-apiserver'), etcd: join(folder, 'etcd') };
}

/** Only tests of `npm run test:long` ask for these programs. */
export async function installControllers(report: (line: string) => void): Promise<ControllerPrograms> {
  const { kubernetes } = kubernetesVersions();
  const kwok = versionIn(readFileSync(KWOK_MODULE, 'utf8'), 'sigs.k8s.io/kwok');
  const folder = await installed(
    `kubernetes-controllers-${kubernetes}-kwok-${kwok}`,
    report,
    async (draft, run, progress) => {
      report(
        `Building the controllers of Kubernetes ${kubernetes} and kwok ${kwok} (about 5 minutes, once) …`,
      );
      await buildGoPrograms({ draft, report, run, progress }, [
        kubernetesPrograms(['kube-controller-manager', 'kube-scheduler']),
        { folder: dirname(KWOK_MODULE), programs: { kwok: 'sigs.k8s.io/kwok/cmd/kwok' } },
      ]);
    },
    { seconds: 300 },
  );
  return {
    controllerManager: join(folder, 'kube-controller-manager'),
    scheduler: join(folder, 'kube-scheduler'),
    kwok: join(folder, 'kwok'),
  };
}
