import { Agent, request } from 'undici';
import { AZURE } from '../fake-stores/azure.ts';
import type { RunningFakeStore } from '../fake-stores/start.ts';

/** Logs in at the fake authority with a client secret and returns the token. */
export async function azureToken({ address, ca, env }: RunningFakeStore): Promise<string> {
  const dispatcher = new Agent({ allowH2: false, connect: { ca } });
  const form = new URLSearchParams({
    client_id: AZURE.client,
    client_secret: env.BENCH_CLIENT_SECRET ?? '',
    grant_type: 'client_credentials',
    scope: 'https://vault.azure.net/.default',
  });
  const url = `${address}/${AZURE.tenant}/oauth2/v2.0/token`;
  const answer = await request(url, { dispatcher, method: 'POST', body: form.toString() });
  const { access_token: token } = (await answer.body.json()) as { access_token: string };
  await dispatcher.close();
  return token;
}
