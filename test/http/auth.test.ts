import { describe, expect, it } from 'vitest';
import type { Caller, Identities } from '../../src/cluster/cluster.ts';
import { AppError } from '../../src/core/errors.ts';
import type { Role } from '../../src/core/roles.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { createRequestAuthenticator } from '../../src/http/access-control.ts';
import { createAuthenticator, type Identity } from '../../src/http/auth.ts';
import { createManualTime, type ManualTime } from '../fakes/manual-time.ts';
import { STATIC_TOKENS, startTestServer, TOKENS } from './harness.ts';

const secret = (text: string) => SecretValue.fromText(text);

interface World extends Identities {
  readonly calls: string[];
  /** The caller for each token, and the roles that RBAC grants to the caller, such as `viewer` or `viewer in shop`. */
  readonly people: Map<string, { caller: Caller; roles: readonly string[] }>;
  failure: unknown;
}

function createWorld(): World {
  const world: World = {
    calls: [],
    people: new Map(),
    failure: undefined,
    async review(token, audience) {
      const text = Buffer.from(token.reveal()).toString();
      world.calls.push(`review ${audience}`);
      if (world.failure !== undefined) return Promise.reject(world.failure);
      return world.people.get(text)?.caller;
    },
    async canUseRole(caller, role, { namespace } = {}) {
      const question = namespace === undefined ? role : `${role} in ${namespace}`;
      world.calls.push(`mayUse ${question}`);
      if (world.failure !== undefined) return Promise.reject(world.failure);
      return (
        [...world.people.values()].find((one) => one.caller === caller)?.roles.includes(question) ?? false
      );
    },
  };
  return world;
}

/** Returns the namespaces in which the identity has the role: `all`, globs, or undefined. */
async function namespaces(identity: Identity | undefined, role: Role, existing: readonly string[] = []) {
  const granted = await identity?.namespaces(role, async () => existing);
  return granted === undefined || granted === 'all' ? granted : granted.globs;
}

function withAnn(world: World, ...roles: readonly string[]): World {
  world.people.set('ann-token', { caller: { name: 'ann', groups: [] }, roles });
  return world;
}

describe('static tokens', () => {
  it("a static token identifies its owner and the owner's roles", async () => {
    const identity = await createAuthenticator({ tokens: STATIC_TOKENS }).identify(secret(TOKENS.reviewer));
    expect(identity?.name).toBe('the-reviewer');
    const roles = ['viewer', 'reviewer', 'operator'] as const;
    expect(await Promise.all(roles.map((role) => namespaces(identity, role)))).toEqual([
      'all',
      'all',
      undefined,
    ]);
  });

  it.each([
    [
      ['a', 'b-*'],
      ['a', 'b-*'],
    ],
    [['a', '*'], 'all'],
    [['**'], 'all'],
  ])('a static token for the namespaces %j gives its role in %j', async (globs, expected) => {
    const entry = { name: 'ann', role: 'reviewer', namespaces: globs, token: secret('t') } as const;
    const identity = await createAuthenticator({ tokens: [entry] }).identify(secret('t'));
    expect(await namespaces(identity, 'viewer')).toEqual(expected);
    expect(await namespaces(identity, 'operator')).toBeUndefined();
  });

  it('empty static tokens are ignored', async () => {
    const auth = createAuthenticator({ tokens: [{ name: 'a', role: 'operator', token: secret('') }] });
    expect(await auth.identify(secret(''))).toBeUndefined();
  });

  it('a static token that several names share is rejected, because the audit log could not distinguish the callers', async () => {
    const shared: (readonly string[])[] = [];
    const auth = createAuthenticator({
      tokens: [
        { name: 'ann', role: 'operator', token: secret('same') },
        { name: 'bob', role: 'viewer', token: secret('same') },
        { name: 'cid', role: 'viewer', token: secret('other') },
        { name: 'empty', role: 'viewer', token: secret('') },
        { name: 'void', role: 'viewer', token: secret('') },
      ],
      onSharedToken: (names) => void shared.push(names),
    });
    expect(shared).toEqual([['ann', 'bob']]);
    expect(await auth.identify(secret('same'))).toBeUndefined();
    expect((await auth.identify(secret('other')))?.name).toBe('cid');
  });

  it('a static token can contain any byte that a header allows', async () => {
    const auth = createAuthenticator({
      tokens: [{ name: 'a', role: 'operator', token: secret('pä$$/wörd+=~') }],
    });
    const sent = Buffer.from('Bearer pä$$/wörd+=~').toString('latin1');
    expect((await createRequestAuthenticator(auth, createManualTime()).identify(sent, '::1')).name).toBe('a');
  });

  it('static tokens are checked before Kubernetes tokens', async () => {
    const identities = createWorld();
    await createAuthenticator({ tokens: STATIC_TOKENS, identities }).identify(secret(TOKENS.viewer));
    expect(identities.calls).toEqual([]);
  });
});

describe('Kubernetes tokens', () => {
  const auth = (identities: Identities, clock: ManualTime = createManualTime()) =>
    createAuthenticator({ tokens: [], identities, clock });

  it('Kubernetes tokens are reviewed for our audience, and each role includes the lower roles', async () => {
    const world = withAnn(createWorld(), 'operator');
    const identity = await auth(world).identify(secret('ann-token'));
    expect(identity?.name).toBe('ann');
    expect(await namespaces(identity, 'viewer', ['a'])).toBe('all');
    expect(world.calls).toEqual([
      'review secretbridge',
      'mayUse viewer',
      'mayUse reviewer',
      'mayUse operator',
    ]);
  });

  it('a Kubernetes token does not grant a higher role than its owner has', async () => {
    const world = withAnn(createWorld(), 'viewer', 'reviewer');
    const identity = await auth(world).identify(secret('ann-token'));
    expect(await namespaces(identity, 'operator')).toBeUndefined();
    expect(world.calls.filter((call) => call !== 'review secretbridge')).toEqual(['mayUse operator']);
  });

  it('a Kubernetes token gives its owner a role in the namespaces where RBAC grants the role or a higher one', async () => {
    const world = withAnn(createWorld(), 'viewer in a', 'operator in b');
    const identity = await auth(world).identify(secret('ann-token'));
    const existing = ['a', 'b', 'c'];
    expect(await namespaces(identity, 'viewer', existing)).toEqual(['a', 'b']);
    expect(await namespaces(identity, 'reviewer', existing)).toEqual(['b']);
    expect(await namespaces(identity, 'operator', ['a', 'c'])).toBeUndefined();
  });

  it.each(['viewer', 'viewer in a'])(
    'a revoked role (%s) of a Kubernetes token ends within 15 s',
    async (role) => {
      const [world, time] = [withAnn(createWorld(), role), createManualTime()];
      const { identify } = auth(world, time);
      const ask = async () => namespaces(await identify(secret('ann-token')), 'viewer', ['a']);
      expect(await ask()).toBeDefined();
      withAnn(world);
      await time.advance(10_000);
      expect(await ask()).toBeUndefined();
    },
  );

  it('a Kubernetes token is reviewed once in ten seconds, even if many requests use it concurrently', async () => {
    const [world, time] = [withAnn(createWorld(), 'viewer'), createManualTime()];
    const { identify } = auth(world, time);
    const ask = async () => namespaces(await identify(secret('ann-token')), 'viewer');
    expect(await Promise.all([ask(), ask(), ask()])).toEqual(['all', 'all', 'all']);
    await time.advance(9_000);
    expect(await ask()).toBe('all');
    expect(world.calls).toEqual(['review secretbridge', 'mayUse viewer']);
    world.people.clear();
    await time.advance(1_000);
    expect(await identify(secret('ann-token'))).toBeUndefined();
  });

  it('a rejected Kubernetes token is reviewed again after ten seconds', async () => {
    const [world, time] = [createWorld(), createManualTime()];
    const { identify } = auth(world, time);
    expect(await identify(secret('ann-token'))).toBeUndefined();
    withAnn(world, 'viewer');
    await time.advance(9_000);
    expect(await identify(secret('ann-token'))).toBeUndefined();
    await time.advance(1_000);
    expect((await identify(secret('ann-token')))?.name).toBe('ann');
  });

  it('a Kubernetes token is reviewed again after its review failed', async () => {
    const world = withAnn(createWorld(), 'viewer');
    const { identify } = auth(world);
    world.failure = new AppError('CLUSTER_UNAVAILABLE');
    await expect(identify(secret('ann-token'))).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
    world.failure = undefined;
    expect((await identify(secret('ann-token')))?.name).toBe('ann');
  });

  it('a flood of fake Kubernetes tokens delays valid tokens only briefly, because concurrent reviews are limited', async () => {
    const waiting = Promise.withResolvers<undefined>();
    const world = { ...createWorld(), review: () => waiting.promise };
    const { identify } = auth(world);
    const flood = Array.from({ length: 16 }, (_, n) => identify(secret(`made-up ${n}`)));
    await expect(identify(secret('one more'))).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      retryAfterMs: 1_000,
    });
    waiting.resolve(undefined);
    await Promise.all(flood);
    expect(await identify(secret('one more'))).toBeUndefined();
  });

  it.each([
    [new AppError('CLUSTER_UNAVAILABLE'), 503, 'CLUSTER_UNAVAILABLE'],
    [new AppError('CLUSTER_FORBIDDEN'), 503, 'CLUSTER_FORBIDDEN'],
    [new Error('token ann-token is bad'), 500, 'INTERNAL'],
  ])('a failed review of a Kubernetes token does not cause status 401', async (failure, status, code) => {
    const world = createWorld();
    world.failure = failure;
    await using api = await startTestServer({ auth: auth(world) });
    const answer = await api.get('/api/v1/status', 'ann-token');
    expect([answer.status, answer.json.code]).toEqual([status, code]);
    expect(
      answer.text + JSON.stringify(api.log.map(({ message, fields }) => [message, fields.code])),
    ).not.toContain('ann-');
  });

  it('a Kubernetes token without a role causes an error that names the required role', async () => {
    await using api = await startTestServer({ auth: auth(withAnn(createWorld())) });
    expect(await api.get('/api/v1/status', 'ann-token')).toMatchObject({
      status: 403,
      json: { message: expect.stringContaining('viewer') },
    });
  });
});

describe('an address that guesses tokens', () => {
  const guess = 'Bearer wrong';
  const right = `Bearer ${TOKENS.viewer}`;

  async function guessing() {
    const time = createManualTime();
    const admission = createRequestAuthenticator(createAuthenticator({ tokens: STATIC_TOKENS }), time);
    const ask = async (authorization: string | undefined, address = '192.0.2.1'): Promise<string> => {
      try {
        return (await admission.identify(authorization, address)).name;
      } catch (error) {
        if (error instanceof AppError) return error.code;
        throw error;
      }
    };
    return { time, ask };
  }

  it('an address that guesses tokens is blocked for a minute, even with the right token', async () => {
    const { time, ask } = await guessing();
    for (let count = 0; count < 30; count += 1) expect(await ask(guess)).toBe('UNAUTHENTICATED');
    expect(await ask(guess)).toBe('RATE_LIMITED');
    expect(await ask(right)).toBe('RATE_LIMITED');
    await time.advance(60_000);
    expect(await ask(right)).toBe('the-viewer');
  });

  it('an address that guesses tokens can still use a token that it used before, and other addresses are not blocked', async () => {
    const { ask } = await guessing();
    expect(await ask(right)).toBe('the-viewer');
    for (let count = 0; count < 40; count += 1) await ask(guess);
    expect(await ask(guess)).toBe('RATE_LIMITED');
    expect(await ask(right)).toBe('the-viewer');
    expect(await ask(`Bearer ${TOKENS.operator}`, '192.0.2.2')).toBe('the-operator');
  });

  it('an address is not blocked because of requests without a token', async () => {
    const { ask } = await guessing();
    for (let count = 0; count < 100; count += 1) expect(await ask(undefined)).toBe('UNAUTHENTICATED');
    expect(await ask(right)).toBe('the-viewer');
  });

  it('an address that guesses tokens receives 429 with Retry-After, and so does the rest of its IPv6 network', async () => {
    await using api = await startTestServer({ clock: createManualTime() });
    const ask = (from: string, token = 'wrong') => api.call('GET', '/api/v1/status', { token, from });
    for (let count = 0; count < 30; count += 1) await ask(`2001:db8:1:2::${count + 1}`);
    expect(await ask('2001:db8:1:2::ffff', TOKENS.viewer)).toMatchObject({
      status: 429,
      headers: { 'retry-after': '60' },
      json: { code: 'RATE_LIMITED' },
    });
    expect(await ask('2001:db8:1:3::1', TOKENS.viewer)).toMatchObject({ status: 200 });
    expect(await ask('::ffff:192.0.2.1', TOKENS.viewer)).toMatchObject({ status: 200 });
  });
});
