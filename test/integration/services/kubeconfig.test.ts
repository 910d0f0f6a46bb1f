import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { readKubeconfig, writeKubeconfig } from './kubeconfig.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'secretbridge-kubeconfig-'));
  await writeFile(join(folder, 'ca.crt'), 'CA');
  await writeFile(join(folder, 'token'), 'from-file\n');
});
afterAll(() => rm(folder, { recursive: true }));

const base64 = (text: string) => Buffer.from(text).toString('base64');
const SERVER = 'https://127.0.0.1:6443';

async function read(
  user: object,
  cluster: object = { 'certificate-authority-data': base64('CA') },
  current = 'one',
) {
  const path = join(folder, 'config');
  const content = {
    'current-context': current,
    contexts: [{ name: 'one', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: SERVER, ...cluster } }],
    users: [{ name: 'u', user }],
  };
  await writeFile(path, stringify(content));
  return readKubeconfig(path);
}

describe('readKubeconfig', () => {
  it('reads a file from writeKubeconfig', async () => {
    const path = join(folder, 'written');
    await writeKubeconfig(path, { address: SERVER, ca: 'CA', user: 'ann', token: 't', namespace: 'n' });
    expect(await readKubeconfig(path)).toEqual({
      address: SERVER,
      ca: 'CA',
      headers: { authorization: 'Bearer t' },
    });
  });

  it('reads the files that a kubeconfig refers to', async () => {
    expect(await read({ tokenFile: 'token' }, { 'certificate-authority': 'ca.crt' })).toMatchObject({
      ca: 'CA',
      headers: { authorization: 'Bearer from-file' },
    });
  });

  it('reads a client certificate', async () => {
    const user = { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') };
    expect(await read(user)).toMatchObject({ clientCertificate: { cert: 'CERT', key: 'KEY' } });
  });

  it('rejects a kubeconfig without usable credentials, CA or context', async () => {
    await expect(read({ exec: { command: 'x' } })).rejects.toThrow(
      'neither a token nor a client certificate',
    );
    await expect(read({ token: 't' }, {})).rejects.toThrow('names no certificate-authority');
    await expect(read({ token: 't' }, {}, 'other')).rejects.toThrow('no usable current context');
  });
});
