import { createServer } from 'node:http';
import { join } from 'node:path';
import { systemClock } from '../src/core/clock.ts';
import { type Bench, openBench } from './cli/harness.ts';
import { closeServer, listen } from './fakes/loopback.ts';
import {
  binaryMarker,
  filesBelow,
  findLeaks,
  type Marker,
  type Place,
  textMarker,
  withoutData,
} from './leak-search.ts';

export const VALUES = {
  plain: textMarker('a plain value'),
  awkward: textMarker('an awkward value', (core) => `"q" \\ 'x'\n${core}\t ü✓𝄞 %20 <&> {{ ${core} }}`),
  member: textMarker('a member of an object'),
  binary: binaryMarker('bytes'),
  file: textMarker('a file'),
  fileBytes: binaryMarker('a binary file'),
};
export const CREDENTIALS = {
  roleId: textMarker('the role id'),
  secretId: textMarker('the secret id'),
  token: textMarker('a token', (core) => `hvs.${core}`),
};
export const MARKERS: readonly Marker[] = [...Object.values(VALUES), ...Object.values(CREDENTIALS)];
export const text = ({ bytes }: Marker) => bytes.toString('utf8');

export const config = (address: string, login: string) => `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
stores:
  - { name: local, kind: files, path: ./store }
  - name: vault
    kind: vault
    address: ${address}
    auth: ${login}
    limits: { timeout: 100ms }
mappings:
  - name: all
    target: { namespace: apps, labels: { team: payments } }
    data:
      PLAIN:   { store: vault, key: app, property: plain }
      AWKWARD: { store: vault, key: app, property: awkward }
      MEMBER:  { store: vault, key: app, property: object.inner }
      OBJECT:  { store: vault, key: app, property: object }
      BINARY:  { store: vault, key: app, property: binary, decode: base64 }
      FILE:    { store: local, key: file.txt }
      BYTES:   { store: local, key: file.bin }
  - name: whole
    target: { namespace: apps }
    data: { ALL: { store: vault, key: app } }
  - name: spread
    target: { namespace: apps }
    dataFrom: [ { store: vault, key: app, rename: { case: upper } } ]
`;
export const APP_ROLE = '{ method: appRole, roleId: { env: ROLE_ID }, secretId: { env: SECRET_ID } }';
export const TOKEN = '{ method: token, token: { env: TOKEN } }';
export const ENV = {
  ROLE_ID: text(CREDENTIALS.roleId),
  SECRET_ID: text(CREDENTIALS.secretId),
  TOKEN: text(CREDENTIALS.token),
};

/** Mappings with every kind of error. Each mapping reads a secret value, and the error must not show the value. */
export const FAILING_MAPPINGS = `
  - name: no-property
    target: { namespace: apps }
    data: { A: { store: vault, key: app, property: nothing.here } }
  - name: no-object
    target: { namespace: apps }
    data: { A: { store: local, key: file.txt, property: a } }
  - name: no-object-in-bytes
    target: { namespace: apps }
    data: { A: { store: local, key: file.bin, property: a } }
  - name: broken-json
    target: { namespace: apps }
    data: { A: { store: local, key: broken.json, property: a } }
  - name: broken-yaml
    target: { namespace: apps }
    data: { A: { store: local, key: broken.yaml, property: a } }
  - name: double
    target: { namespace: apps }
    data: { A: { store: local, key: double.json, property: a } }
  - name: no-base64
    target: { namespace: apps }
    data: { A: { store: vault, key: app, property: awkward, decode: base64 } }
  - name: no-tls
    target: { namespace: apps, type: kubernetes.io/tls }
    data: { tls.crt: { store: vault, key: app, property: plain }, tls.key: { store: vault, key: app, property: awkward } }
  - name: no-docker
    target: { namespace: apps, type: kubernetes.io/dockerconfigjson }
    data: { .dockerconfigjson: { store: vault, key: app, property: plain } }
  - name: too-large
    target: { namespace: apps }
    data: { A: { store: local, key: large.txt } }
  - name: collision
    target: { namespace: apps }
    data: { plain: { store: vault, key: app, property: awkward } }
    dataFrom: [ { store: vault, key: app } ]
  - name: gone
    target: { namespace: apps }
    data: { A: { store: vault, key: app, property: plain, version: '99' } }
  - name: theirs
    target: { namespace: apps }
    data: { A: { store: vault, key: app, property: plain } }
`;

export const secretJson = () =>
  JSON.stringify({
    plain: text(VALUES.plain),
    awkward: text(VALUES.awkward),
    object: { inner: text(VALUES.member) },
    binary: VALUES.binary.bytes.toString('base64'),
  });

export interface Scene extends AsyncDisposable {
  readonly bench: Bench;
  /** Runs a command once in each of the three output formats, with the log level `debug`. Keeps the output. */
  run(...args: readonly string[]): Promise<void>;
  /** Returns all output so far, and all files except the files that may contain values. */
  places(): Promise<readonly Place[]>;
}

export async function openScene(text: string): Promise<Scene> {
  const bench = await openBench(text);
  await bench.write('store/file.txt', VALUES.file.bytes.toString('utf8'));
  await bench.write('store/file.bin', VALUES.fileBytes.bytes);
  await bench.write('store/broken.json', `{"a":"${VALUES.plain.core}", ${VALUES.file.core}`);
  await bench.write('store/broken.yaml', `a: "${VALUES.plain.core}\nb: [${VALUES.file.core}`);
  await bench.write('store/double.json', `{"a":"${VALUES.plain.core}","a":"${VALUES.file.core}"}`);
  await bench.write('store/large.txt', `${VALUES.file.core}`.repeat(40_000));
  const printed: Place[] = [];
  return {
    bench,
    async run(...args) {
      for (const format of ['human', 'json', 'yaml']) {
        const words = [...args, '--log-level', 'debug', '--output', format];
        const { stdout, stderr } = await bench.runWith(
          { env: ENV, color: format === 'human', clock: systemClock },
          ...words,
        );
        const name = words.join(' ');
        printed.push(
          { name: `stdout of ${name}`, bytes: stdout },
          { name: `stderr of ${name}`, bytes: stderr },
        );
      }
    },
    async places() {
      const mayHoldValues = (path: string) =>
        /^(store|cluster)\//.test(path) || path.endsWith('fingerprint.key');
      const manifests = await filesBelow(join(bench.folder, 'cluster'));
      return [
        ...printed,
        ...(await filesBelow(bench.folder, mayHoldValues)),
        ...manifests.map(({ name, bytes }) => ({
          name,
          bytes: name.endsWith('.yaml') ? withoutData(String(bytes)) : bytes,
        })),
      ];
    },
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

export async function leaksOfSync({ bench, places }: Scene, name: string): Promise<readonly string[]> {
  const printed: Place[] = [];
  for (const command of ['doctor', 'sync']) {
    const args = [command, '--log-level', 'debug', '--output', 'json'];
    const { code, stdout, stderr } = await bench.runWith({ env: ENV, clock: systemClock }, ...args);
    if (code === 0) throw new Error(`${name}: ${command} succeeded`);
    printed.push({ name: 'stdout', bytes: stdout }, { name: 'stderr', bytes: stderr });
  }
  return findLeaks([...printed, ...(await places())], MARKERS).map((leak) => `${name}: ${leak}`);
}

/** Starts a server whose answers contain the request, a secret and a token, as JSON or HTML. */
export async function startEchoServer(
  status: number,
): Promise<AsyncDisposable & { readonly address: string }> {
  let requestCount = 0;
  const server = createServer(async (request, response) => {
    requestCount += 1;
    const body = (await Array.fromAsync<Buffer>(request)).join('');
    const content = `${secretJson()} ${JSON.stringify(request.headers)} ${body} ${ENV.TOKEN}`;
    response.writeHead(status, {
      'content-type': requestCount % 2 === 0 ? 'text/html' : 'application/json',
      warning: ENV.TOKEN,
      location: `/v1/${ENV.TOKEN}`,
    });
    response.end(
      status === 204
        ? ''
        : JSON.stringify({ errors: [content], warnings: [content], data: content, auth: content }),
    );
  });
  const port = await listen(server);
  return {
    address: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}
