import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  binaryMarker,
  countForms,
  filesBelow,
  findLeaks,
  type Marker,
  type Place,
  textMarker,
} from '../../leak-search.ts';
import { kubernetes } from '../services/inject.ts';
import { type Bench, openBench, type Raw } from './bench.ts';
import type { RunningProgram } from './program.ts';

const VALUES = {
  plain: textMarker('a plain value'),
  awkward: textMarker('an awkward value', (core) => `"q" \\ 'x'\n${core}\t ü✓𝄞 %20 <&>`),
  member: textMarker('a member of an object'),
  binary: binaryMarker('bytes'),
};
const LOGIN = { roleId: textMarker('the role id'), secretId: textMarker('the secret id') };
const text = ({ bytes }: Marker) => bytes.toString('utf8');

async function openMarked(): Promise<Bench> {
  const bench = await openBench({
    login: { roleId: text(LOGIN.roleId), secretId: text(LOGIN.secretId) },
    mappings: ({ prefix, namespace }) => `  - name: all
    target: { namespace: ${namespace} }
    data:
      PLAIN:   { store: vault, key: ${prefix}/app, property: plain }
      AWKWARD: { store: vault, key: ${prefix}/app, property: awkward }
      MEMBER:  { store: vault, key: ${prefix}/app, property: object.inner }
      BINARY:  { store: vault, key: ${prefix}/app, property: binary, decode: base64 }
  - name: spread
    target: { namespace: ${namespace} }
    dataFrom: [ { store: vault, key: ${prefix}/app } ]
  - name: adopted
    target: { namespace: ${namespace} }
    onConflict: adopt
    data: { A: { store: vault, key: ${prefix}/app } }
  - name: refused
    target: { namespace: ${namespace} }
    data: { A: { store: vault, key: ${prefix}/app } }
  - name: rejected
    target: { namespace: ${namespace}, labels: { team: x } }
    data: { A: { store: vault, key: ${prefix}/app, property: plain } }
  - name: wrong
    target: { namespace: ${namespace}, type: kubernetes.io/tls }
    data:
      tls.crt: { store: vault, key: ${prefix}/app, property: plain }
      tls.key: { store: vault, key: ${prefix}/app, property: awkward }
`,
  });
  await bench.vault.put('app', {
    plain: text(VALUES.plain),
    awkward: text(VALUES.awkward),
    object: { inner: text(VALUES.member) },
    binary: VALUES.binary.bytes.toString('base64'),
  });
  for (const name of ['adopted', 'refused'])
    await bench.put(name, { metadata: { name }, data: { OLD: 'eA==' } });
  return bench;
}

/** Collects the arguments of a process while it runs. */
function watchArguments({ child, result }: RunningProgram): Promise<Place> {
  const seen = new Set<string>();
  const readArguments = () => {
    const path = `/proc/${child.pid}/cmdline`;
    if (existsSync(path)) seen.add(readFileSync(path, 'latin1'));
  };
  readArguments();
  const timer = setInterval(readArguments, 20);
  return result.then(() => {
    clearInterval(timer);
    return { name: 'process arguments', bytes: [...seen].join('\n') };
  });
}

/** A Secret without its `data`, the only place that may hold the values. */
function withoutData({ data: _, ...secret }: Raw): Place {
  return { name: `Secret ${secret.metadata.name} without its data`, bytes: JSON.stringify(secret) };
}

/** Deletes a Secret, and sets a quota so that the API server refuses to create it again. */
async function forbidCreation({ namespace }: Bench, secret: string): Promise<void> {
  const { request } = kubernetes();
  await request('DELETE', `/api/v1/namespaces/${namespace}/secrets/${secret}`);
  const path = `/api/v1/namespaces/${namespace}/resourcequotas`;
  const hard = { 'count/secrets': '1' };
  await request('POST', path, { metadata: { name: 'few' }, spec: { hard } });
  // No controller counts usage here, so the test writes the status.
  const headers = { 'content-type': 'application/merge-patch+json' };
  await request('PATCH', `${path}/few/status`, { status: { hard, used: hard } }, headers);
}

describe('markers on real servers', () => {
  it('occur only in the data of the Secrets', async () => {
    await using bench = await openMarked();
    const config = parse(await readFile(bench.kubeconfig, 'utf8')) as {
      users: { user: { token: string } }[];
    };
    const token = Buffer.from(config.users[0]?.user.token ?? '');
    const tokenMarker: Marker = {
      name: 'the service account token',
      bytes: token,
      core: token.subarray(-40),
    };
    const markers = [...Object.values(VALUES), ...Object.values(LOGIN), tokenMarker];

    const places: Place[] = [];
    const commands = [
      ['plan', '--all'],
      ['sync'],
      // From here on, the API server refuses one target.
      ['sync', '--output', 'json'],
      ['plan', '--output', 'yaml'],
      ['doctor', '--output', 'json'],
      ['rbac'],
      ['audit', 'list', '--output', 'json', '--limit', '500'],
      ['audit', 'show', '2'],
    ];
    for (const [index, command] of commands.entries()) {
      if (index === 2) await forbidCreation(bench, 'rejected');
      const running = bench.start(...command, '--log-level', 'debug');
      const [{ stdout, stderr }, args] = await Promise.all([running.result, watchArguments(running)]);
      const name = command.join(' ');
      places.push(
        { name: `stdout of ${name}`, bytes: stdout },
        { name: `stderr of ${name}`, bytes: stderr },
        args,
      );
      expect(args.bytes).toContain('main.ts');
    }
    const secrets = await bench.secrets();
    expect(secrets.map(({ metadata }) => metadata.name)).toEqual(expect.arrayContaining(['all', 'spread']));
    places.push(...secrets.map(withoutData));
    places.push(...(await filesBelow(bench.folder, (path) => path.endsWith('fingerprint.key'))));
    expect(places.map(({ name }) => name)).toContain('state/audit.db');

    expect((await bench.records()).map(({ code }) => code)).toContain('CLUSTER_REFUSED');
    expect(findLeaks(places, markers)).toEqual([]);
    const whole = secrets.map((secret) => ({ name: 'data', bytes: JSON.stringify(secret) }));
    for (const marker of Object.values(VALUES))
      expect(findLeaks(whole, [marker]), marker.name).not.toEqual([]);
    console.log(
      `${markers.length} markers in ${countForms(markers)} forms, searched in ${places.length} places`,
    );
  });
});
