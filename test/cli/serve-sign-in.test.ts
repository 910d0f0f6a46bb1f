import { expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { startOidcIssuer } from '../fakes/oidc-issuer.ts';
import { createBrowser } from '../sign-in/browser.ts';
import { CLIENT_ID, CLIENT_SECRET } from '../sign-in/oidc-provider.ts';
import { waitUntil } from '../wait-until.ts';
import { Collector, DB, HEAD, openBench } from './harness.ts';

const withOidc = (issuer: string) => `${HEAD}http:
  listen: '127.0.0.1:0'
  oidc:
    issuer: ${issuer}
    clientId: ${CLIENT_ID}
    clientSecret: { env: OIDC_SECRET }
    roles: [ { group: sre, role: operator } ]
${DB}`;

it('the service signs a person in, lets the person sync, and records both under one subject', async () => {
  await using issuer = await startOidcIssuer(CLIENT_ID);
  issuer.claims = { groups: ['sre'], email: 'ann@example.com', email_verified: true };
  await using bench = await openBench(withOidc(issuer.issuer));
  const stop = new AbortController();
  const log = new Collector();
  const context = {
    env: { OIDC_SECRET: CLIENT_SECRET },
    clock: systemClock,
    stderr: log,
    signal: stop.signal,
  };
  const running = bench.runWith(context, 'serve', '--grace', '1s', '--log-level', 'debug');
  const address = () => /"address":"(http:[^"]+)"/.exec(log.text)?.[1] ?? '';
  await waitUntil(() => expect(address()).not.toBe(''));

  const browser = createBrowser();
  const page = await browser.open(`${address()}/auth/login`);
  expect({ url: page.url, status: page.status }).toEqual({ url: `${address()}/`, status: 200 });
  const cookie = [...browser.cookies].map((pair) => pair.join('=')).join('; ');
  const synced = await fetch(`${address()}/api/v1/mappings/db/sync`, {
    method: 'POST',
    headers: { cookie, origin: address() },
  });
  expect(synced.status).toBe(200);
  const metrics = await fetch(`${address()}/metrics`);
  expect(await metrics.text()).toContain('secretbridge_sign_ins_total{outcome="ok"} 1');
  stop.abort();
  expect((await running).code).toBe(0);

  const { stdout, json } = await bench.run('audit', 'list', '--actor', 'ann@example.com', '--output', 'json');
  const { records } = json as { records: readonly { action: string; note?: string; actor: object }[] };
  expect(records.map(({ note }) => note)).toEqual(expect.arrayContaining(['sign-in', 'sync db']));
  for (const { actor } of records) expect(actor).toMatchObject({ subject: `${issuer.issuer}#ann` });
  for (const secret of [CLIENT_SECRET, ...browser.cookies.values()]) {
    expect(log.text).not.toContain(secret);
    expect(stdout).not.toContain(secret);
  }
});
