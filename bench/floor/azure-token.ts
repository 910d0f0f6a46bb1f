import { Agent, request } from 'undici';
import { AZURE } from '../doubles/azure.ts';
import type { RunningDouble } from '../doubles/start.ts';

/** A token of the double's authority, by client secret. */
export async function azureToken({ address, ca, env }: RunningDouble): Promise<string> {
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
