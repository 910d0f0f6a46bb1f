import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import {
  clusterOf,
  contextOf,
  type Kubeconfig,
  type KubeconfigOptions,
  loadKubeconfig,
  POD_CONTEXT,
  userOf,
} from '../../src/cluster/kubeconfig/kubeconfig.ts';
import { kubeconfigText } from './api-server.ts';

async function folder() {
  const path = await mkdtemp(join(tmpdir(), 'secretbridge-kubeconfig-'));
  return {
    path,
    async write(name: string, text: string) {
      const file = join(path, name);
      await mkdir(join(file, '..'), { recursive: true });
      await writeFile(file, text);
      return file;
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}

function load(options: Partial<KubeconfigOptions>): Kubeconfig {
  return loadKubeconfig({ env: {}, podIdentity: '/not/there', ...options });
}

const at = (server: string, context = {}) => kubeconfigText({ server }, { token: 't' }, context);
const serverOf = (options: Partial<KubeconfigOptions>) => clusterOf(load(options))?.server;
const invalid = (detail: RegExp) =>
  expect.objectContaining({ code: 'CONFIG_INVALID', detail: expect.stringMatching(detail) });

describe('the kubeconfig', () => {
  it('uses the identity, namespace and CA of the pod if the program runs in a pod', async () => {
    await using f = await folder();
    await f.write('pod/token', 't');
    await f.write('pod/namespace', 'bridge\n');
    const KUBECONFIG = await f.write('config', at('https://other'));
    const env = { KUBECONFIG, KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
    const config = load({ env, podIdentity: join(f.path, 'pod') });
    expect(clusterOf(config)).toMatchObject({
      server: 'https://[fd00::1]:6443',
      caFile: join(f.path, 'pod/ca.crt'),
    });
    expect(config.currentContext).toBe(POD_CONTEXT);
    expect(contextOf(config)?.namespace).toBe('bridge');
    expect(userOf(config)?.authProvider.config).toEqual({ tokenFile: join(f.path, 'pod/token') });
  });

  it('prefers the configured file to the pod identity', async () => {
    await using f = await folder();
    await f.write('pod/token', 't');
    const kubeconfig = await f.write('config', at('https://named'));
    const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
    expect(serverOf({ kubeconfig, env, podIdentity: join(f.path, 'pod') })).toBe('https://named');
  });

  it('prefers the configured context to the pod identity', async () => {
    await using f = await folder();
    await f.write('pod/token', 't');
    const KUBECONFIG = await f.write('config', at('https://named'));
    const env = { KUBECONFIG, KUBERNETES_SERVICE_HOST: '10.0.0.1' };
    expect(serverOf({ context: 'x', env, podIdentity: join(f.path, 'pod') })).toBe('https://named');
  });

  it('reads the kubeconfig from the home folder if KUBECONFIG is not set', async () => {
    await using f = await folder();
    await f.write('.kube/config', at('https://home'));
    const KUBECONFIG = await f.write('config', at('https://env'));
    expect(serverOf({ env: { KUBECONFIG, HOME: f.path } })).toBe('https://env');
    expect(serverOf({ env: { KUBECONFIG: '', HOME: f.path } })).toBe('https://home');
  });

  it('merges the files of KUBECONFIG as in kubectl: the first entry with a name applies, and missing files are skipped', async () => {
    await using f = await folder();
    const first = await f.write('first', at('https://first', { namespace: 'one' }));
    const second = await f.write(
      'second',
      at('https://second', { namespace: 'two' }).replaceAll('name: x', 'name: y'),
    );
    const KUBECONFIG = [join(f.path, 'missing'), first, second].join(delimiter);
    expect(serverOf({ env: { KUBECONFIG } })).toBe('https://first');
    const config = load({ env: { KUBECONFIG }, context: 'y' });
    expect(contextOf(config)?.namespace).toBe('two');
    expect(clusterOf(config)?.server).toBe('https://first');
  });
});

describe('a kubeconfig that kubectl accepts', () => {
  it.each([
    ['a context without its cluster', { contexts: [{ name: 'z', context: { user: 'u', cluster: '' } }] }],
    ['a cluster without its server', { clusters: [{ name: 'z', cluster: { server: '' } }] }],
    ['a user without anything', { users: [{ name: 'z', user: null }] }],
  ])('accepts %s, and still reads all valid entries', async (_, more: Record<string, unknown[]>) => {
    await using f = await folder();
    const config = parse(at('https://x')) as Record<string, unknown[]>;
    for (const [list, entries] of Object.entries(more)) config[list]?.unshift(...entries);
    const kubeconfig = await f.write('config', stringify(config));
    expect(serverOf({ kubeconfig })).toBe('https://x');
  });

  it('accepts an empty file, which has no entries', async () => {
    await using f = await folder();
    const files = [await f.write('empty', '\n'), await f.write('config', at('https://x'))];
    expect(serverOf({ env: { KUBECONFIG: files.join(delimiter) } })).toBe('https://x');
  });

  it('treats an empty path or proxy as unset', async () => {
    await using f = await folder();
    const cluster = { server: 'https://x', 'certificate-authority': '', 'proxy-url': '' };
    const user = { token: 't', tokenFile: '', 'client-certificate': '', 'client-key': '' };
    const config = load({ kubeconfig: await f.write('config', kubeconfigText(cluster, user)) });
    expect(clusterOf(config)).not.toHaveProperty('caFile');
    expect(userOf(config)).toMatchObject({ token: 't' });
    expect(userOf(config)).not.toHaveProperty('certFile');
  });
});

describe('an invalid kubeconfig', () => {
  it.each([
    ['no configuration anywhere', () => load({}), /no pod identity, no KUBECONFIG and no ~\/.kube\/config/],
    [
      'a missing file',
      () => load({ kubeconfig: '/not/there/config' }),
      /^kubeconfig \/not\/there\/config does not exist$/,
    ],
    [
      'a missing file of KUBECONFIG',
      () => load({ env: { KUBECONFIG: '/not/there', HOME: '/' } }),
      /\/not\/there does not exist/,
    ],
    [
      'files of KUBECONFIG that are all missing',
      () => load({ env: { KUBECONFIG: ['/not/there', '/nor/here'].join(delimiter), HOME: '/' } }),
      /^none of the files in KUBECONFIG exists$/,
    ],
  ])('reports CONFIG_INVALID with the location for %s', (_, act, detail) => {
    expect(act).toThrow(invalid(detail));
  });

  it.each([
    ['empty', ''],
    ['not YAML', 'clusters: ['],
    ['a list', '- a'],
    ['a cluster without a server', 'clusters: [{ name: c, cluster: {} }]'],
    ['binary', '\0\u0001'],
  ])('reports CONFIG_INVALID if the kubeconfig is %s', async (_, text) => {
    await using f = await folder();
    const kubeconfig = await f.write('config', text);
    expect(() => load({ kubeconfig })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  it('reports CONFIG_INVALID if the context is missing or not set', async () => {
    await using f = await folder();
    const kubeconfig = await f.write('config', at('https://x'));
    expect(() => load({ kubeconfig, context: 'other' })).toThrow(invalid(/has no context other/));
    const none = await f.write('none', at('https://x').replace(/current-context.*/, ''));
    expect(() => load({ kubeconfig: none })).toThrow(invalid(/has no current context/));
  });

  it('reports CONFIG_INVALID if the user is missing, because requests would be anonymous', async () => {
    await using f = await folder();
    const kubeconfig = await f.write('config', at('https://x', { user: 'gone' }));
    expect(() => load({ kubeconfig })).toThrow(invalid(/has no user gone, which its context x names$/));
  });

  it.each([
    ['a certificate without its key', { 'client-certificate-data': 'eA==' }, /certificate without its key/],
    ['groups to impersonate, without a user', { token: 't', 'as-groups': ['a'] }, /set `as`$/],
    ['a uid to impersonate, without a user', { token: 't', 'as-uid': '1' }, /set `as`$/],
    [
      'a user to impersonate with a line break',
      { token: 't', as: 'bob\n' },
      /`Impersonate-User` .* line breaks$/,
    ],
    [
      'a group with a line break',
      { token: 't', as: 'b', 'as-groups': ['a\0'] },
      /`Impersonate-Group` .* line breaks$/,
    ],
  ])('reports CONFIG_INVALID for a user with %s', async (_, user, detail) => {
    await using f = await folder();
    const kubeconfig = await f.write('config', kubeconfigText({ server: 'https://x' }, user));
    expect(() => load({ kubeconfig })).toThrow(invalid(detail));
  });

  it.each(['http://ann:100%@127.0.0.1:1', 'http://%ff:x@127.0.0.1:1'])(
    'reports CONFIG_INVALID for the proxy %s, whose credentials are not percent-encoded',
    async (proxy) => {
      await using f = await folder();
      const text = kubeconfigText({ server: 'https://x', 'proxy-url': proxy }, { token: 't' });
      const kubeconfig = await f.write('config', text);
      expect(() => load({ kubeconfig })).toThrow(invalid(/is written `%25`$/));
    },
  );

  it.each(['socks5://127.0.0.1:1', 'http://', 'proxy.example:3128'])(
    'reports CONFIG_INVALID for the proxy %s',
    async (proxy) => {
      await using f = await folder();
      const text = kubeconfigText({ server: 'https://x', 'proxy-url': proxy }, { token: 't' });
      const kubeconfig = await f.write('config', text);
      expect(() => load({ kubeconfig })).toThrow(invalid(/only http and https proxies are supported$/));
    },
  );

  it('does not advise `validate` in the error, because `validate` does not check clusters', () => {
    expect(() => load({ env: { HOME: '/not/there' } })).toThrow(
      expect.objectContaining({ remedy: expect.stringContaining('`KUBECONFIG` or `cluster.kubeconfig`') }),
    );
  });

  it('reports CONFIG_INVALID if the kubeconfig is unreadable', async (context) => {
    context.skip(process.getuid?.() === 0, 'root may read and write everything');
    await using f = await folder();
    const kubeconfig = await f.write('config', at('https://x'));
    await chmod(kubeconfig, 0);
    expect(() => load({ kubeconfig })).toThrow(invalid(/EACCES/));
  });

  it.each(['http://api.example.com', 'ftp://127.0.0.1', 'nonsense', 'http://127.0.0.1.example.com'])(
    'reports CONFIG_INVALID for the address %s, to which a token would be sent in clear text',
    async (server) => {
      await using f = await folder();
      const kubeconfig = await f.write('config', at(server));
      expect(() => load({ kubeconfig })).toThrow(invalid(/must use https/));
    },
  );

  it.each(['http://127.0.0.1:8001', 'http://localhost:8001', 'http://[::1]:8001'])(
    'accepts the plain http address %s, where kubectl proxy listens',
    async (server) => {
      await using f = await folder();
      expect(serverOf({ kubeconfig: await f.write('config', at(server)) })).toBe(server);
    },
  );

  it.each([
    ['cut off', 'users: [{ name: u, user: { token: s3cret }'],
    ['with an unknown tag', 'users: [{ name: u, user: { token: !vault s3cret } }]'],
    ['with a map for a key', 'users: [{ name: u, user: { { token: s3cret }: x } }]'],
  ])('quotes nothing in the error for a file %s, because the file contains tokens', async (_, text) => {
    await using f = await folder();
    const kubeconfig = await f.write('config', `${at('https://x')}\n${text.replace('users', 'more')}\n`);
    using warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    try {
      load({ kubeconfig });
      expect.unreachable();
    } catch (error) {
      expect(error).toEqual(invalid(/is not a valid kubeconfig$/));
      expect(inspect(error, { depth: 5 })).not.toContain('s3cret');
    }
    expect(warned).not.toHaveBeenCalled();
  });
});
