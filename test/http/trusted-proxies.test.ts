import { describe, expect, it } from 'vitest';
import { Http } from '../../src/config/shape/service.ts';
import { addressIn } from '../../src/http/trusted-proxies.ts';
import { startTestServer, type TestServer, TOKENS } from './harness.ts';

const PROXY = '10.1.2.3';
const ALICE = '203.0.113.7';
const BOB = '203.0.113.8';
const config = { metricsNeedToken: false, trustProxy: ['10.0.0.0/8'] };

/** Sends a request with an invalid token by way of an address, and returns the status. */
const guess = async (api: TestServer, from: string, forwarded: string) =>
  (
    await api.call('GET', '/api/v1/status', {
      ...{ from, token: 'wrong', headers: { 'x-forwarded-for': forwarded } },
    })
  ).status;

async function lockOut(api: TestServer, from: string, forwarded: string): Promise<void> {
  for (let count = 0; count < 30; count++) expect(await guess(api, from, forwarded)).toBe(401);
  expect(await guess(api, from, forwarded)).toBe(429);
}

describe('a trusted proxy', () => {
  it('gives each client its own limits for logins and requests', async () => {
    await using api = await startTestServer({ config }, { requests: 40 });
    await lockOut(api, PROXY, ALICE);
    expect(await guess(api, PROXY, BOB)).toBe(401);
    for (let count = 0; count < 10; count++) await guess(api, PROXY, ALICE);
    const livez = (client: string) =>
      api.call('GET', '/api/v1/status', {
        ...{ from: PROXY, token: TOKENS.viewer, headers: { 'x-forwarded-for': client } },
      });
    expect((await livez(ALICE)).status).toBe(429);
    expect((await livez(BOB)).status).toBe(200);
  });

  it('is believed only about the address that it adds itself', async () => {
    await using api = await startTestServer({ config });
    await lockOut(api, PROXY, `198.51.100.1, ${ALICE}`);
    expect(await guess(api, PROXY, `198.51.100.2, ${ALICE}`)).toBe(429);
    expect(await guess(api, PROXY, `${ALICE}:4711`)).toBe(429);
    const { fields } = api.log.findLast(({ message }) => message === 'request refused') ?? { fields: {} };
    expect(fields).toMatchObject({ address: ALICE });
  });

  it('must send an address', async () => {
    await using api = await startTestServer({ config });
    const answer = await api.call('GET', '/livez', { from: PROXY, headers: { 'x-forwarded-for': 'me' } });
    expect(answer).toMatchObject({ status: 400, json: { code: 'INVALID_REQUEST' } });
    expect((await api.call('GET', '/livez', { from: PROXY })).status).toBe(200);
  });
});

describe('the header `X-Forwarded-For`', () => {
  it.each([
    ['without trusted proxies', { metricsNeedToken: false }],
    ['of a client that is no trusted proxy', config],
  ])('is ignored: %s', async (_, given) => {
    await using api = await startTestServer({ config: given });
    await lockOut(api, ALICE, BOB);
    expect(await guess(api, ALICE, '203.0.113.99')).toBe(429);
    expect(await guess(api, BOB, ALICE)).toBe(401);
  });

  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7:80', '203.0.113.7'],
    ['[2001:db8::1]:80', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['unknown', undefined],
    ['_hidden', undefined],
    ['', undefined],
  ])('contains %j, which is the address %s', (text, address) => {
    expect(addressIn(text)).toBe(address);
  });
});

describe('`http.trustProxy`', () => {
  it.each([
    ['10.0.0.0/8', true],
    ['192.0.2.1', true],
    ['fd00::/8', true],
    ['0.0.0.0/0', false],
    ['10.0.0.0/33', false],
    ['loopback', false],
    ['true', false],
  ])('with %s is valid: %s', (range, isValid) => {
    expect(Http.safeParse({ trustProxy: [range] }).success).toBe(isValid);
  });
});
