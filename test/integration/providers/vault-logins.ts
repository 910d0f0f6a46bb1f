import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { kubernetes } from '../services/inject.ts';
import { startLdap } from '../services/ldap.ts';
import { call, createAppRole, type VaultAccess } from './vault-harness.ts';

/** A login method that is configured on the server, with correct and wrong credentials. */
export interface LoginSetup extends AsyncDisposable {
  readonly auth: Readonly<Record<string, unknown>>;
  readonly mountPath: string;
  /** The credentials. The keys are the variable names that `auth` uses. */
  readonly env: Record<string, string>;
  readonly wrongEnv: Readonly<Record<string, string>>;
}

export type Enable = (server: VaultAccess, policy: string) => Promise<LoginSetup>;

/** The token settings of every role: a lifetime of 30 seconds, renewable for one hour. */
export const TOKEN = { token_ttl: '30s', token_max_ttl: '1h' };

/** Configures each login method on a server. `policy` is the policy text of the issued tokens. */
export const LOGIN_METHODS: Readonly<Record<string, Enable>> = {
  async appRole(server, policy) {
    const role = await createAppRole(server, policy, TOKEN);
    return {
      auth: { method: 'appRole', roleId: role.roleId, secretId: { env: 'SECRET_ID' } },
      mountPath: role.mountPath,
      env: { SECRET_ID: await role.newSecretId() },
      wrongEnv: { SECRET_ID: randomUUID() },
      async [Symbol.asyncDispose]() {},
    };
  },

  async 'appRole, wrapped'(server, policy) {
    const role = await createAppRole(server, policy, TOKEN);
    const auth = { method: 'appRole', roleId: role.roleId, secretId: { env: 'SECRET_ID' } };
    return {
      auth: { ...auth, secretIdWrapped: true },
      mountPath: role.mountPath,
      env: { SECRET_ID: await role.newWrappedSecretId() },
      wrongEnv: { SECRET_ID: 's.nothing' },
      async [Symbol.asyncDispose]() {},
    };
  },

  async userpass(server, policy) {
    const method = await enable(server, 'userpass', policy);
    // The server accepts only letters, digits, `.`, `_` and `-` in names.
    await call(server, 'POST', `auth/${method.mountPath}/users/ann.o-neil`, {
      password: 'p "ä',
      ...method.token,
    });
    return {
      auth: { method: 'userpass', username: 'ann.o-neil', password: { env: 'PASSWORD' } },
      mountPath: method.mountPath,
      env: { PASSWORD: 'p "ä' },
      wrongEnv: { PASSWORD: 'wr0ng-one' },
      async [Symbol.asyncDispose]() {},
    };
  },

  async jwt(server, policy) {
    const method = await enable(server, 'jwt', policy);
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = publicKey.export({ type: 'spki', format: 'pem' });
    await call(server, 'POST', `auth/${method.mountPath}/config`, { jwt_validation_pubkeys: [pem] });
    const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: ['bao'], ...method.token };
    await call(server, 'POST', `auth/${method.mountPath}/role/ci`, role);
    return {
      auth: { method: 'jwt', role: 'ci', jwt: { env: 'JWT' } },
      mountPath: method.mountPath,
      env: { JWT: jwtFor(privateKey, 'bao') },
      wrongEnv: { JWT: jwtFor(privateKey, 'elsewhere') },
      async [Symbol.asyncDispose]() {},
    };
  },
};

/** Configures the LDAP login with a directory of its own. */
export const enableLdap: Enable = async (server, policy) => {
  const [user, password] = ['ann.o-neil', 'p "ä'];
  const ldap = await startLdap(user, password);
  const method = await enable(server, 'ldap', policy);
  await call(server, 'POST', `auth/${method.mountPath}/config`, { ...ldap.settings, ...method.token });
  return {
    auth: { method: 'ldap', username: user, password: { env: 'PASSWORD' } },
    mountPath: method.mountPath,
    env: { PASSWORD: password },
    wrongEnv: { PASSWORD: 'wr0ng-one' },
    [Symbol.asyncDispose]: ldap.stop,
  };
};

/** Configures the Kubernetes login, which verifies tokens by TokenReview on a real API server. */
export async function enableKubernetes(server: VaultAccess, policy: string) {
  const cluster = kubernetes();
  const namespace = `login-${randomUUID()}`;
  const reviewer = await cluster.serviceAccountToken({ namespace, name: 'reviewer' });
  const binding = await cluster.request('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:auth-delegator' },
    subjects: [{ kind: 'ServiceAccount', name: 'reviewer', namespace }],
  });
  if (binding.status !== 201) throw new Error(`the binding was answered with ${binding.status}`);
  const method = await enable(server, 'kubernetes', policy);
  await call(server, 'POST', `auth/${method.mountPath}/config`, {
    kubernetes_host: cluster.address,
    kubernetes_ca_cert: await readFile(cluster.caFile, 'utf8'),
    token_reviewer_jwt: reviewer,
    disable_local_ca_jwt: true,
  });
  await call(server, 'POST', `auth/${method.mountPath}/role/bridge`, {
    bound_service_account_names: 'bridge',
    bound_service_account_namespaces: namespace,
    ...method.token,
  });
  return {
    mountPath: method.mountPath,
    tokenOf: (name: string) => cluster.serviceAccountToken({ namespace, name }),
    remove: (name: string) =>
      cluster.request('DELETE', `/api/v1/namespaces/${namespace}/serviceaccounts/${name}`),
  };
}

/** Enables a login method at a new mount. Returns the mount path and the token settings. */
export async function enable(server: VaultAccess, type: string, policy: string) {
  const name = `${type}-${randomUUID()}`;
  const mountPath = `team/${name}`;
  await call(server, 'POST', `sys/auth/${mountPath}`, { type });
  await call(server, 'PUT', `sys/policies/acl/${name}`, { policy });
  return { mountPath, token: { token_policies: name, ...TOKEN } };
}

/** Starts an OpenID Connect issuer that serves its keys over HTTP. */
export async function startIssuer() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256', use: 'sig' }];
  const server = createServer(({ url = '' }, outgoing) => {
    if (issuer.answers === 'cut') return outgoing.destroy();
    outgoing.writeHead(issuer.answers === 'busy' ? 503 : 200, { 'content-type': 'application/json' });
    const body = url.includes('/.well-known/')
      ? {
          issuer: issuer.url,
          jwks_uri: `${issuer.url}/keys`,
          id_token_signing_alg_values_supported: ['ES256'],
        }
      : { keys };
    return outgoing.end(JSON.stringify(issuer.answers === 'busy' ? {} : body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const issuer = {
    url,
    jwt: jwtFor(privateKey, 'bao', { header: { kid: 'one' }, claims: { iss: url } }),
    answers: 'well' as 'well' | 'busy' | 'cut',
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return issuer;
}

/** Signs a JWT (RFC 7519) with ES256 (RFC 7518, section 3.4). */
function jwtFor(
  key: KeyObject,
  audience: string,
  more: { readonly header?: object; readonly claims?: object } = {},
): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: 'bridge', aud: audience, iat: now, exp: now + 600, ...more.claims };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${part({ alg: 'ES256', typ: 'JWT', ...more.header })}.${part(claims)}`;
  return `${body}.${sign('sha256', Buffer.from(body), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}
