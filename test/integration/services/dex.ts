import { join } from 'node:path';
import { freePort, retryOnPortClash } from './free-port.ts';
import { type GoPrograms, installGoProgram } from './go-program.ts';
import { assertStarting, startGuarded } from './guarded.ts';
import { type Service, until } from './service.ts';

const DEX: GoPrograms = {
  module: 'dex',
  versionOf: 'github.com/dexidp/dex',
  title: 'the OIDC provider Dex',
  seconds: 180,
  programs: { dex: '.' },
};

/** The OIDC provider Dex, with people who sign in by their email addresses. */
export interface Dex extends Service {
  readonly issuer: string;
  readonly password: string;
}

export interface DexOptions {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly redirectUri: string;
  readonly people: readonly {
    readonly email: string;
    readonly name: string;
    readonly groups: readonly string[];
  }[];
}

const PASSWORD = 'the-password-of-all-people';

export async function startDex(options: DexOptions): Promise<Dex> {
  const program = join(await installGoProgram(DEX), 'dex');
  return retryOnPortClash(async () => launch(program, await freePort(), options));
}

function launch(
  program: string,
  port: number,
  { clientId, clientSecret, redirectUri, people }: DexOptions,
): Promise<Dex> {
  return startGuarded('dex', async (guard) => {
    const env = { CLIENT_SECRET: clientSecret, PASSWORD, PEOPLE: JSON.stringify(people) };
    const args = [String(port), clientId, redirectUri];
    const process = guard.start({ name: 'Dex', command: program, args, env });
    await until('The start of Dex', 20_000, async () => {
      await assertStarting(process);
      // The file with the output appears a moment after the start.
      return (await process.output().catch(() => '')).includes('ready');
    });
    const address = `http://127.0.0.1:${port}`;
    return { name: 'Dex', address, issuer: `${address}/dex`, password: PASSWORD };
  });
}
