import { describe, expect, it } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';
import { createAuthenticator } from '../../src/http/auth.ts';
import { bare, entry } from '../audit/sample.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { startTestServer, type TestServer, type TestServerDeps, TOKENS, target } from './harness.ts';

const LIMITED = 'limited-5b1f0a77';

interface Follower {
  readonly status: number;
  readonly text: () => string;
  /** Resolves when the server has ended the stream. */
  readonly ended: Promise<void>;
}

async function follow(api: TestServer, token: string = TOKENS.viewer): Promise<Follower> {
  const answer = await api.server.app.inject({
    ...{ method: 'GET', url: '/api/v1/stream', payloadAsStream: true },
    headers: { authorization: `Bearer ${token}` },
  });
  let text = '';
  const stream = answer.stream();
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const ended = new Promise<void>((resolve) => {
    stream.once('close', resolve);
    stream.once('end', resolve);
  });
  return { status: answer.statusCode, text: () => text, ended };
}

async function open(deps: TestServerDeps = {}) {
  const time = createManualTime();
  const api = await startTestServer({ clock: time, wake: time.wake, ...deps });
  return { api, time };
}

describe('the event stream', () => {
  it('reports new records, changed states, and that it is alive', async () => {
    let state: 'synced' | 'failed' = 'synced';
    const one = () => ({ mapping: 'db', sources: [], searches: [], targets: [target({ state })] });
    const { api, time } = await open({ service: { mappings: () => [one()] } });
    await using _ = api;
    const { status, text } = await follow(api);
    expect(status).toBe(200);
    await api.audit.append([bare()]);
    await time.advance(1_000);
    await expect.poll(text).toContain('event: change\ndata: {"head":1}\n\n');
    state = 'failed';
    await time.advance(5_000);
    await expect.poll(text).toContain('event: state\ndata: {}\n\n');
    await time.advance(15_000);
    await expect.poll(text).toContain(': ping\n\n');
  });

  it('reports to a limited person only the records of the own namespaces', async () => {
    const auth = createAuthenticator({
      tokens: [{ name: 'lim', role: 'viewer', namespaces: ['own'], token: SecretValue.fromText(LIMITED) }],
    });
    const { api, time } = await open({ auth });
    await using _ = api;
    const { text } = await follow(api, LIMITED);
    await api.audit.append([entry({ namespace: 'other' }), bare({ action: 'read' })]);
    await time.advance(1_000);
    await api.audit.append([entry({ namespace: 'own' })]);
    await time.advance(1_000);
    await expect.poll(text).toContain('"head":3');
    expect(text().match(/event: change/g)).toHaveLength(1);
  });

  it('ends when the person has lost the role, and when the server closes', async () => {
    let isKnown = true;
    const known = createAuthenticator({
      tokens: [{ name: 'ann', role: 'viewer', token: SecretValue.fromText(LIMITED) }],
    });
    const auth = { identify: async (token: SecretValue) => (isKnown ? known.identify(token) : undefined) };
    const { api, time } = await open({ auth });
    const first = await follow(api, LIMITED);
    const second = await follow(api, LIMITED);
    isKnown = false;
    await time.advance(15_000);
    await Promise.all([first.ended, second.ended]);
    isKnown = true;
    const third = await follow(api, LIMITED);
    await api.server.close(0);
    await third.ended;
  });

  it('gives a person at most four streams', async () => {
    const { api } = await open();
    await using _ = api;
    for (let n = 0; n < 4; n += 1) expect((await follow(api)).status).toBe(200);
    expect((await follow(api)).status).toBe(429);
    expect((await follow(api, TOKENS.reviewer)).status).toBe(200);
  });
});
