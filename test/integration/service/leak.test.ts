import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startFaultProxy } from '../../fakes/fault-proxy.ts';
import {
  binaryMarker,
  filesBelow,
  findLeaks,
  type Marker,
  type Place,
  textMarker,
} from '../../leak-search.ts';
import { openbao } from '../services/inject.ts';
import { within } from './service-process.ts';
import { openWorld, type WorldOptions } from './world.ts';

const VALUES = {
  first: textMarker('a value'),
  second: textMarker('a rotated value', (core) => `"q" \\ 'x'\n${core}\t ü✓𝄞 %20 <&>`),
  binary: binaryMarker('bytes'),
  byHand: textMarker('what somebody put in by hand'),
};
const text = ({ bytes }: Marker) => bytes.toString('utf8');

const config: WorldOptions['config'] = ({ prefix, ns }) => `defaults: { refresh: 2s }
absence: { readings: 2, over: 1s }
mappings:
  - name: all
    target: { namespace: ${ns('apps')} }
    data:
      A: { store: vault, key: ${prefix}/app, property: a }
      B: { store: vault, key: ${prefix}/app, property: b, decode: base64 }
  - name: refused
    target: { namespace: ${ns('apps')} }
    data: { A: { store: vault, key: ${prefix}/app, property: a } }
  - name: wrong
    target: { namespace: ${ns('apps')}, type: kubernetes.io/tls }
    data:
      tls.crt: { store: vault, key: ${prefix}/app, property: a }
      tls.key: { store: vault, key: ${prefix}/app, property: a }
`;

it('leaks values only into the data of the Secrets', async () => {
  await using proxy = await startFaultProxy(openbao().address);
  await using world = await openWorld({ config, scope: 'namespace', vaultAddress: proxy.address });
  const put = (value: Marker) =>
    world.vault.put('app', { a: text(value), b: VALUES.binary.bytes.toString('base64') });
  await put(VALUES.first);
  await world.put('refused', { data: { OLD: 'eA==' } });
  await using served = await world.serve('--log-level', 'debug');
  const expectValue = (value: Marker) => async () =>
    expect((await world.secret('all'))?.data?.A).toBe(value.bytes.toString('base64'));
  await within(15_000, expectValue(VALUES.first));

  const places: Place[] = [];
  const collectAnswers = async () => {
    for (const path of [
      'api/v1/status',
      'api/v1/mappings',
      'api/v1/mappings/all',
      'api/v1/held',
      'api/v1/audit/records?limit=500',
      'api/v1/audit/records/3',
      'api/v1/audit/verify',
      'api/openapi.json',
      'metrics',
      'livez',
      'readyz',
    ]) {
      const { status, text: body, headers } = await served.get(`/${path}`);
      expect(status, path).toBe(200);
      places.push({ name: `answer of ${path}`, bytes: `${JSON.stringify(headers)}\n${body}` });
    }
    const sync = await served.send('POST', '/api/v1/mappings/all/sync');
    places.push({ name: 'answer of sync', bytes: sync.text });
    const cli = await world.cli('status', '--all');
    places.push({ name: 'the command status', bytes: cli.stdout + cli.stderr });
  };
  await collectAnswers();
  await put(VALUES.second);
  await within(10_000, expectValue(VALUES.second));
  await world.patch('all', { data: { A: VALUES.byHand.bytes.toString('base64') } });
  await within(5_000, expectValue(VALUES.second));
  for (const fault of ['server error', 'another JSON', 'cut', 'connection reset in the body'] as const) {
    proxy.set(fault, /\/data\//);
    await served.send('POST', '/api/v1/mappings/all/sync');
  }
  await collectAnswers();
  proxy.set(undefined);
  await within(20_000, async () => expect((await served.target('all'))?.state).toBe('synced'));
  await world.vault.remove('app');
  await within(20_000, async () =>
    expect(await served.target('all')).toMatchObject({ code: 'SOURCE_ABSENT' }),
  );
  await collectAnswers();
  const proc = `/proc/${served.pid}`;
  for (const file of ['cmdline', 'environ'])
    if (existsSync(`${proc}/${file}`)) places.push({ name: file, bytes: readFileSync(`${proc}/${file}`) });
  const { code, stdout, stderr } = await served.stop();
  expect(code).toBe(0);
  places.push({ name: 'stdout', bytes: stdout }, { name: 'the log', bytes: stderr });
  places.push(...(await filesBelow(world.folder, (path) => path.endsWith('fingerprint.key'))));
  expect(places.map(({ name }) => name)).toContain('state/audit.db');
  expect(stderr.length).toBeGreaterThan(2_000);

  expect(findLeaks(places, Object.values(VALUES))).toEqual([]);
  const tokens = Object.entries(world.tokens).map(([name, token]): Marker => {
    const bytes = Buffer.from(token);
    return { name: `the token of ${name}`, bytes, core: bytes };
  });
  const mayHoldToken = (name: string) => name === 'environ' || name.endsWith('.token');
  expect(
    findLeaks(
      places.filter(({ name }) => !mayHoldToken(name)),
      tokens,
    ),
  ).toEqual([]);
  const data = JSON.stringify(await world.secret('all'));
  expect(findLeaks([{ name: 'data', bytes: data }], [VALUES.second])).not.toEqual([]);
  console.log(`searched in ${places.length} places, ${stderr.split('\n').length} lines of log`);
});
