// npm run quickstart: demonstrates a complete sync from a real OpenBao server to a folder, which replaces the cluster.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { styleText } from 'node:util';
import { createRequest, type Request } from '../test/integration/services/http.ts';
import { startOpenBao } from '../test/integration/services/openbao.ts';
import { runScript, ServiceError } from '../test/integration/services/service.ts';
import { FOREIGN_SECRET, LEGACY_MAPPING, nextSteps, quickstartConfig } from './setup/quickstart-texts.ts';

const HELP = `Usage: npm run quickstart [-- --keep]

Shows what secretbridge does, in about ten seconds. It starts a real OpenBao, writes a small configuration, plans and
syncs. Then it rotates a secret, refuses a Secret of somebody else and lists the audit. A folder of manifests stands in
for the cluster.

  --keep   leave OpenBao and the folder in place until Ctrl-C, to try things by hand
`;

const BIN = resolve(import.meta.dirname, '../bin');
const PROGRAM = join(BIN, 'secretbridge.js');

function say(text: string): void {
  process.stdout.write(`\n${styleText('cyan', text)}\n`);
}

/** Prints a command as a user would type it, and runs the command. */
async function run(
  folder: string,
  env: NodeJS.ProcessEnv,
  args: readonly string[],
  expected: number,
): Promise<void> {
  process.stdout.write(`\n${styleText('bold', `$ secretbridge ${args.join(' ')}`)}\n`);
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd: folder, env, stdio: 'inherit' });
  const code = await new Promise<number>((done, fail) => {
    child.on('error', fail);
    child.on('close', (status) => done(status ?? 1));
  });
  if (code !== expected)
    throw new ServiceError(`The command ended with exit code ${code}. Expected: ${expected}.`);
  if (code !== 0) process.stdout.write(`${styleText('dim', `(exit code ${code})`)}\n`);
}

async function put(openbao: Request, path: string, data: Readonly<Record<string, string>>): Promise<void> {
  const { status } = await openbao('POST', `/v1/secret/data/${path}`, { data });
  if (status !== 200) throw new ServiceError(`OpenBao answered ${status} to the write of ${path}.`);
}

async function show(
  folder: string,
  address: string,
  openbao: Request,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const config = quickstartConfig(address);
  const secretbridge = (args: readonly string[], expected = 0) => run(folder, env, args, expected);
  await mkdir(join(folder, 'files'));
  await mkdir(join(folder, 'config'));
  await writeFile(join(folder, 'files', 'features.yaml'), 'new_checkout: "on"\nmax_items: 250\n');
  await writeFile(join(folder, 'config', 'secretbridge.yaml'), config);
  await put(openbao, 'payments/db', { username: 'payments', password: 'first-password' });

  say('1. The configuration: two stores, and which of their values become which Secret.');
  process.stdout.write(config);
  await secretbridge(['validate']);

  say(
    '2. What would change? The plan shows fingerprints and never values. Equal fingerprints mean equal values.',
  );
  await secretbridge(['plan'], 2);

  say('3. Apply the plan.');
  await secretbridge(['sync']);

  say(
    '4. Somebody rotates the password in OpenBao. The plan has one change, and the sync writes one Secret.',
  );
  await put(openbao, 'payments/db', { username: 'payments', password: 'second-password' });
  await secretbridge(['plan'], 2);
  await secretbridge(['sync']);

  say(
    '5. A new mapping targets a Secret that somebody else owns. The sync refuses it and leaves it untouched.',
  );
  await mkdir(join(folder, 'cluster', 'shop'), { recursive: true, mode: 0o700 });
  await writeFile(join(folder, 'cluster', 'shop', 'legacy.yaml'), FOREIGN_SECRET, { mode: 0o600 });
  await writeFile(join(folder, 'config', 'legacy.yaml'), LEGACY_MAPPING);
  process.stdout.write(LEGACY_MAPPING);
  await secretbridge(['sync'], 4);

  say('6. Who did what, when, and from which version? The audit lists it, newest first.');
  await secretbridge(['audit', 'list', '--limit', '12']);
}

async function main(args: readonly string[]): Promise<number> {
  const keep = args.includes('--keep');
  const unknown = args.find((arg) => arg !== '--keep');
  if (unknown !== undefined) {
    process.stdout.write(HELP);
    return unknown === '--help' || unknown === '-h' ? 0 : 64;
  }
  const stopped = new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => done());
  });
  say('Starting OpenBao, which has the API of HashiCorp Vault, in its development mode …');
  await using server = await startOpenBao({
    borrow: false,
    report: (line) => process.stdout.write(`${line}\n`),
  });
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-quickstart-'));
  try {
    const openbao = createRequest({
      address: server.address,
      headers: { 'x-vault-token': server.rootToken },
    });
    const env = {
      ...process.env,
      SECRETBRIDGE_CONFIG: join(folder, 'config'),
      QUICKSTART_TOKEN: server.rootToken,
    };
    await show(folder, server.address, openbao, env);
    process.stdout.write(nextSteps(BIN));
    if (keep) {
      process.stdout.write(`
Kept until Ctrl-C. In another shell:
  cd ${folder}
  export SECRETBRIDGE_CONFIG=${env.SECRETBRIDGE_CONFIG} QUICKSTART_TOKEN=${server.rootToken}
  export VAULT_ADDR=${server.address} VAULT_TOKEN=${server.rootToken} PATH="${BIN}:$PATH"
  secretbridge plan
`);
      await stopped;
    }
    return 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await runScript(() => main(process.argv.slice(2)));
