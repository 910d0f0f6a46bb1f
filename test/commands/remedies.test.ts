import { describe, expect, it } from 'vitest';
import { type Bench, HEAD, openBench } from '../cli/harness.ts';
import { loadText } from '../config/memory-fs.ts';
import { MISTAKES } from '../config/typical-mistakes.ts';
import { startVaultServer } from '../fakes/vault-server.ts';

// Carries out what a remedy or a suggestion says, and expects that the error is gone.

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

async function doctor(bench: Bench, env: Readonly<Record<string, string>> = {}): Promise<readonly Failure[]> {
  const { json } = await bench.runWith({ env }, 'doctor', '--output', 'json');
  return (json as { checks: readonly (Failure & { ok: boolean })[] }).checks.filter(({ ok }) => !ok);
}

/** Returns the name in `did you mean …`. */
function meant(text: string | undefined): string {
  const name = /did you mean (?:the \w+ )?`([^`]+)`/i.exec(text ?? '')?.[1];
  if (name === undefined) throw new Error(`no suggestion in: ${text}`);
  return name;
}

const mapping = (source: string) => `mappings:
  - { name: db, target: { namespace: apps }, data: { DB: { store: local, ${source} } } }
`;

describe('the remedy of an error', () => {
  it.each([
    ['in its name', 'db.jsn'],
    ['in its folder', 'flag/live.json'],
  ])('`doctor` names the nearest key for a mistake %s, and this key works', async (_, wrong) => {
    await using bench = await openBench(HEAD + mapping(`key: ${wrong}`));
    await bench.write('store/flags/live.json', '{}');
    const [failure] = await doctor(bench);
    expect(failure?.code).toBe('SOURCE_ABSENT');
    await bench.write('secretbridge.yaml', HEAD + mapping(`key: ${meant(failure?.remedy)}`));
    expect(await doctor(bench)).toEqual([]);
  });

  it('`doctor` names no key that the mapping may not read', async () => {
    const access = 'access: [ { namespaces: [apps], stores: [local], keys: [db.jsn, "other/**"] } ]\n';
    await using bench = await openBench(HEAD + access + mapping('key: db.jsn'));
    const [failure] = await doctor(bench);
    expect(failure).toMatchObject({ code: 'SOURCE_ABSENT', remedy: expect.not.stringContaining('db.json') });
  });

  it('a missing property is answered with the nearest one, which works, and without any value', async () => {
    await using bench = await openBench(HEAD + mapping('key: db.json, property: pasword'));
    const { code, json, stdout } = await bench.run('sync', '--output', 'json');
    const { targets } = json as { targets: readonly Failure[] };
    expect([code, targets[0]?.code]).toEqual([4, 'PROPERTY_MISSING']);
    expect(stdout).not.toMatch(/ann|first/);
    await bench.write(
      'secretbridge.yaml',
      HEAD + mapping(`key: db.json, property: ${meant(targets[0]?.remedy)}`),
    );
    expect(await bench.run('sync')).toMatchObject({ code: 0 });
  });

  it('a name that may be a value is not suggested as a property', async () => {
    const token = `ghp_${'aB3'.repeat(12)}`;
    await using bench = await openBench(HEAD + mapping(`key: db.json, property: ${token.slice(0, -1)}`));
    await bench.write('store/db.json', JSON.stringify({ [token]: 'x' }));
    const { stdout } = await bench.run('sync', '--output', 'json');
    expect(stdout).toContain('PROPERTY_MISSING');
    expect(stdout).not.toContain(token);
  });
});

async function openVaultBench(store: string, key: string) {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startVaultServer());
  server.put('secret', 'payments/db', '{"user":"ann"}');
  const textOf = (fields: string, name: string) =>
    HEAD.replace(
      /stores.*\n/,
      `stores: [ { name: local, kind: vault, address: '${server.address}', ${fields} auth: { method: token, token: { env: TOKEN } } } ]\n`,
    ) + mapping(`key: ${name}, property: user`);
  const bench = stack.use(await openBench(textOf(store, key)));
  bench.clock.set(Date.now());
  const resources = stack.move();
  return {
    server,
    failures: () => doctor(bench, { TOKEN: server.rootToken }),
    change: (fields: string, name: string) => bench.write('secretbridge.yaml', textOf(fields, name)),
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

describe('the remedy of an error of Vault', () => {
  it('a denied key is answered with its path and the nearest key, which works', async () => {
    await using scene = await openVaultBench('', 'payment/db');
    scene.server.deny(/data\/payment\//);
    const [failure] = await scene.failures();
    expect(failure).toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringContaining('(or the path or mount is wrong; asked for secret/data/payment/db)'),
      remedy: expect.stringContaining('capability `read` on `secret/data/payment/db`'),
    });
    await scene.change('', meant(failure?.remedy));
    expect(await scene.failures()).toEqual([]);
  });

  it('a denied key needs the policy that the remedy names', async () => {
    await using scene = await openVaultBench('', 'payments/db');
    scene.server.deny(/data\/payments\//);
    const [failure] = await scene.failures();
    expect(failure?.remedy).toContain('`secret/data/payments/db`');
    expect(failure?.remedy).not.toContain('Did you mean');
    scene.server.deny(/^$/);
    expect(await scene.failures()).toEqual([]);
  });

  it('a missing mount is answered with the nearest mount, which works', async () => {
    await using scene = await openVaultBench('mount: secrets,', 'payments/db');
    const [failure] = await scene.failures();
    expect(failure?.message).toContain('if the mount secrets does not exist');
    await scene.change(`mount: ${meant(failure?.remedy)},`, 'payments/db');
    expect(await scene.failures()).toEqual([]);
  });
});

describe('the suggestion of a configuration problem', () => {
  it('each suggested name and each suggested indentation removes its problem', async () => {
    let carriedOut = 0;
    for (const [name, text] of MISTAKES)
      for (const { line, column, message, suggestion } of (await loadText(text)).problems) {
        const lines = text.split('\n');
        const before = lines[line - 1] ?? '';
        const indent = /wrong indentation: .*expected (\d+)/.exec(message)?.[1];
        if (indent !== undefined) lines[line - 1] = ' '.repeat(Number(indent)) + before.trimStart();
        else if (/did you mean `[\w.@/-]+`\?/.test(suggestion ?? '') && !message.includes('template'))
          lines[line - 1] =
            before.slice(0, column - 1) +
            before.slice(column - 1).replace(/^[\w./-]+(?: \w+)?(?=[:,\s]|$)/, meant(suggestion));
        else continue;
        carriedOut += 1;
        const after = await loadText(lines.join('\n'));
        const same = after.problems.filter((problem) => problem.line === line && problem.message === message);
        expect(same, name).toEqual([]);
      }
    expect(carriedOut).toBeGreaterThanOrEqual(20);
  });
});
