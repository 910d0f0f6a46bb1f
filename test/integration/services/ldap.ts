import { join } from 'node:path';
import { freePort, retryOnPortClash } from './free-port.ts';
import { type GoPrograms, installGoProgram } from './go-program.ts';
import { assertStarting, startGuarded } from './guarded.ts';
import { type Service, until } from './service.ts';

const DIRECTORY: GoPrograms = {
  module: 'ldap',
  versionOf: 'github.com/jimlambrt/gldap',
  title: 'an LDAP directory',
  seconds: 30,
  programs: { ldap: '.' },
};

/** An LDAP directory with one user. */
export interface Ldap extends Service {
  readonly port: number;
  /** The settings for the login method `ldap` of Vault. */
  readonly settings: Readonly<Record<string, string>>;
}

export async function startLdap(user: string, password: string, port?: number): Promise<Ldap> {
  const program = join(await installGoProgram(DIRECTORY), 'ldap');
  if (port !== undefined) return launch(program, [String(port), user], password);
  return retryOnPortClash(async () => launch(program, [String(await freePort()), user], password));
}

async function launch(
  program: string,
  [port, user]: readonly [string, string],
  password: string,
): Promise<Ldap> {
  return startGuarded('ldap', async (guard) => {
    const env = { PASSWORD: password };
    const process = guard.start({ name: 'LDAP', command: program, args: [port, user, 'PASSWORD'], env });
    await until('The start of the LDAP directory', 20_000, async () => {
      await assertStarting(process);
      // The file with the output appears a moment after the start.
      return (await process.output().catch(() => '')).includes('ready');
    });
    const address = `ldap://127.0.0.1:${port}`;
    const settings = { url: address, userdn: 'ou=people,dc=example,dc=org', userattr: 'name' };
    return { name: 'LDAP', address, port: Number(port), settings };
  });
}
