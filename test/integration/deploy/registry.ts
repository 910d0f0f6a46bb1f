import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, retryOnPortClash } from '../services/free-port.ts';
import { assertStarting, startGuarded } from '../services/guarded.ts';
import { installed } from '../services/install.ts';
import { thisMachine } from '../services/requirements.ts';
import { reportToStderr, type Service, until } from '../services/service.ts';

/** Returns the path of the registry server of the CNCF, from its Debian package. */
async function installRegistry(report: (line: string) => void): Promise<string> {
  const folder = await installed('registry-debian', report, async (draft, run) => {
    report('Fetching a registry of images (10 MB, once) …');
    const cwd = join(draft, 'work');
    const { env } = process;
    const apt = (name: string, ...args: string[]) =>
      run({ name: `apt-get ${name}`, command: 'apt-get', args: ['-qq', name, ...args], env, cwd });
    // apt-get finds packages only after `apt-get update`.
    if (thisMachine.isRoot) await apt('update');
    // Unpacks the package without installing it, because the package would start a server.
    await apt('download', 'docker-registry');
    const unpack = 'dpkg -x ./docker-registry_*.deb .';
    await run({ name: unpack, command: 'sh', args: ['-c', unpack], env, cwd });
    await rename(join(cwd, 'usr/bin/docker-registry'), join(draft, 'docker-registry'));
  });
  return join(folder, 'docker-registry');
}

/** Starts an empty registry without TLS and without logins. The address has no scheme, as in names of images. */
export async function startRegistry(report: (line: string) => void = reportToStderr): Promise<Service> {
  const command = await installRegistry(report);
  return retryOnPortClash(() =>
    startGuarded('registry', async (guard) => {
      const address = `127.0.0.1:${await freePort()}`;
      const config = join(guard.folder, 'config.yml');
      const storage = { filesystem: { rootdirectory: join(guard.folder, 'images') } };
      await writeFile(config, JSON.stringify({ version: '0.1', storage, http: { addr: address } }));
      const server = guard.start({ name: 'registry', command, args: ['serve', config], env: {} });
      await until('The start of the registry', 30_000, async () => {
        await assertStarting(server);
        try {
          return (await fetch(`http://${address}/v2/`)).ok;
        } catch (error) {
          if (error instanceof TypeError) return false;
          throw error;
        }
      });
      return { name: 'registry', address };
    }),
  );
}
