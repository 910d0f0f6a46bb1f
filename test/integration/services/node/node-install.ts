import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildGoPrograms, versionIn } from '../go-build.ts';
import { installed } from '../install.ts';
import { kubernetesPrograms, kubernetesVersions } from '../kubernetes-install.ts';
import { findOrInstall, type Machine, thisMachine } from '../requirements.ts';
import { writeBusyboxImage } from './busybox-image.ts';

const DNS_MODULE = join(import.meta.dirname, '../dns');

export interface NodePrograms {
  readonly kubelet: string;
  readonly kubeProxy: string;
  readonly coreDns: string;
  /** An archive with the image of `busybox-image.ts`. */
  readonly busyboxImage: string;
}

/** The commands that a node needs, and their Debian packages. */
const COMMANDS = [
  { command: 'ip', args: ['-V'], package: 'iproute2' },
  { command: 'containerd', args: ['--version'], package: 'containerd' },
  { command: 'runc', args: ['--version'], package: 'runc' },
  { command: 'iptables', args: ['--version'], package: 'iptables' },
  { command: '/usr/lib/cni/host-local', args: [], package: 'containernetworking-plugins' },
  { command: '/bin/busybox', args: ['true'], package: 'busybox-static' },
] as const;

/** Returns why this machine cannot run a node. Undefined if it can. */
export async function whyNoNode(machine: Machine = thisMachine): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'pods need Linux on x86-64';
  if (!machine.isRoot) return 'pods need root';
  const namespaces = ['--mount', '--net', '--pid', '--uts', '--ipc', '--fork', '--mount-proc'];
  if ((await machine.run('unshare', [...namespaces, 'mount', '--make-rshared', '/'])).status !== 0)
    return 'pods need a machine that allows namespaces and mounts';
  if ((await machine.run('sh', ['-c', CAN_CREATE_CGROUPS])).status !== 0)
    return 'pods need a machine that allows cgroups';
  if ((await machine.run('apt-get', ['--version'])).status !== 0 && (await hasCommands(machine)) === false)
    return `pods need the programs ${COMMANDS.map(({ command }) => command).join(', ')}`;
  return undefined;
}

const CAN_CREATE_CGROUPS = `
for root in /sys/fs/cgroup /sys/fs/cgroup/memory; do
  [ -e $root/cgroup.procs ] && mkdir $root/secretbridge-try-$$ && rmdir $root/secretbridge-try-$$ && exit 0
done
exit 1`;

async function hasCommands(machine: Machine): Promise<boolean> {
  for (const { command, args } of COMMANDS)
    if ((await machine.run(command, args)).status === undefined) return false;
  return true;
}

/** Installs the Debian packages and builds the programs of a node. Only tests of `npm run test:long` ask for them. */
export async function installNode(report: (line: string) => void): Promise<NodePrograms> {
  for (const { command, args, package: name } of COMMANDS)
    await findOrInstall(
      {
        missing: `The program ${command} is missing.`,
        package: name,
        duration: 'about 20 seconds',
        find: async (machine) =>
          (await machine.run(command, args)).status === undefined ? undefined : command,
      },
      report,
    );
  const { kubernetes } = kubernetesVersions();
  const coreDns = versionIn(readFileSync(join(DNS_MODULE, 'go.mod'), 'utf8'), 'github.com/coredns/coredns');
  const folder = await installed(
    `kubernetes-node-${kubernetes}-coredns-${coreDns}`,
    report,
    async (draft, run, progress) => {
      report(`Building kubelet ${kubernetes} and CoreDNS ${coreDns} (about 4 minutes, once) …`);
      await buildGoPrograms({ draft, report, run, progress }, [
        kubernetesPrograms(['kubelet', 'kube-proxy']),
        { folder: DNS_MODULE, programs: { dns: 'secretbridge.test/dns' } },
      ]);
      await writeBusyboxImage(join(draft, 'busybox.tar'), join(draft, 'work'), run);
    },
    { seconds: 240 },
  );
  return {
    kubelet: join(folder, 'kubelet'),
    kubeProxy: join(folder, 'kube-proxy'),
    coreDns: join(folder, 'dns'),
    busyboxImage: join(folder, 'busybox.tar'),
  };
}
