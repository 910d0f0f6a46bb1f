import { createLogin, TENANT } from '../../test/fakes/azure-server/login.ts';
import { createObjects } from '../../test/fakes/azure-server/objects.ts';
import { answerVault, failure } from '../../test/fakes/azure-server/vault.ts';
import type { FakeStore } from './fake-store.ts';

export const AZURE = { tenant: TENANT, client: '22222222-2222-4222-8222-222222222222' } as const;
const SECRET = 'of-the-double';
/**
 * The age that the fake reports for stored objects. The age must be large, because Key Vault reports times in whole
 * seconds. A client reads a very new object twice, because the object could have changed again within the same second.
 */
const AGE_MS = 3_600_000;

/** Creates a fake Azure Key Vault that lists 25 secrets per page. The same server is also the login authority. */
export function fakeAzure(): FakeStore {
  const old = () => Date.now() - AGE_MS;
  const contents = {
    secrets: createObjects<string>(old),
    keys: createObjects<string>(old),
    certificates: createObjects<Uint8Array>(old),
  };
  const login = createLogin(() => Date.now());
  login.applications.set(AZURE.client, { secret: SECRET });
  return {
    put: (key, value) => void contents.secrets.put(key, value),
    answer({ method, url, headers, body }, address) {
      if (url.pathname.startsWith(`/${TENANT}/`) || url.pathname.startsWith('/common/')) {
        const reply = login.answerAuthority(address, method, url, body);
        return { operation: 'login', ...reply, headers: JSON_TYPE };
      }
      const token = /^Bearer (.+)$/.exec(String(headers.authorization))?.[1] ?? '';
      if (!login.accepts(token)) {
        const challenge = `Bearer authorization="${address}/${TENANT}", resource="https://vault.azure.net"`;
        const refused = failure(401, 'Unauthorized');
        return {
          operation: 'challenge',
          ...refused,
          headers: { ...JSON_TYPE, 'www-authenticate': challenge },
        };
      }
      const operation = /^\/secrets\/?$/.test(url.pathname) ? 'GetSecrets' : 'GetSecret';
      return { operation, ...answerVault(contents, { address }, url), headers: JSON_TYPE };
    },
    env: (address) => ({ BENCH_CLIENT_SECRET: SECRET, AZURE_AUTHORITY_HOST: address }),
  };
}

const JSON_TYPE = { 'content-type': 'application/json' };
