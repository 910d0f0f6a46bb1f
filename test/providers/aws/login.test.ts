import { describe, expect, it } from 'vitest';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { AwsError } from '../../fakes/aws-server.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { openAws, roleArn, STATIC } from '../aws-secrets-manager/harness.ts';

const HOUR_MS = 3_600_000;

function many(count: number) {
  return Array.from({ length: count }, (_, index) => ({ key: `k${index}`, version: 'AWSCURRENT' }));
}

describe('static credentials', () => {
  it('fails with AUTH_FAILED if AWS rejects the static credentials and the store has no other credentials', async () => {
    await using aws = await openAws();
    aws.server.store.put('a', 'x');
    expect(codeOf(await aws.read('a'))).toBe('found');
    aws.server.addGrant({ ...aws.server.root, endsAt: 0 });
    expect(codeOf(await aws.read('a'))).toBe('AUTH_FAILED');
  });

  it('uses rotated credentials immediately after AWS rejects the previous credentials', async () => {
    await using aws = await openAws();
    aws.server.store.put('a', 'x');
    await aws.read('a');
    aws.server.addGrant({ ...aws.server.root, endsAt: 0 });
    aws.server.addGrant({ accessKeyId: 'AKIANEXT', secretAccessKey: 'next' });
    aws.env.KEY_ID = 'AKIANEXT';
    aws.env.SECRET_KEY = 'next';
    expect(codeOf(await aws.read('a'))).toBe('found');
  });

  it('sends the session token if the store has one', async () => {
    const auth = { ...STATIC, sessionToken: { env: 'SESSION' } };
    const clock = createManualTime(Date.now());
    const env = { SESSION: 'tok', KEY_ID: 'ASIA1' };
    await using aws = await openAws({ config: { auth }, deps: { env, clock } });
    aws.server.store.put('a', 'x');
    expect(codeOf(await aws.read('a'))).toBe('AUTH_FAILED');
    aws.server.addGrant({ accessKeyId: 'ASIA1', secretAccessKey: 'x', sessionToken: 'tok' });
    await clock.advance(10_000);
    expect(codeOf(await aws.read('a'))).toBe('found');
  });

  it.each([
    ['KEY_ID', 'AKIAX\n'],
    ['KEY_ID', ' AKIAX'],
    ['SECRET_KEY', 'secret\n'],
    ['SESSION', 'to\nken'],
  ])('fails with AUTH_FAILED and sends no credentials if the variable %s is %j', async (name, value) => {
    const auth = { ...STATIC, sessionToken: { env: 'SESSION' } };
    await using aws = await openAws({ config: { auth }, deps: { env: { SESSION: 'tok', [name]: value } } });
    expect(await aws.read('a')).toMatchObject({
      error: { code: 'AUTH_FAILED', detail: expect.stringContaining('line end') },
    });
    expect(aws.sent()).toEqual([]);
  });

  it('tries wrong credentials once for all reads, and again after 10, 30 and 70 seconds', async () => {
    const clock = createManualTime(Date.now());
    await using aws = await openAws({ deps: { env: { KEY_ID: 'AKIAWRONG' }, clock } });
    const readAll = async () => {
      for (const ref of many(10)) expect(codeOf((await aws.provider.read([ref]))[0])).toBe('AUTH_FAILED');
      return aws.sent().length;
    };
    const costs: number[] = [];
    for (let second = 0; second < 120; second += 1) {
      costs.push(await readAll());
      await clock.advance(1_000);
    }
    expect(costs.flatMap((cost, second) => (cost === 0 ? [] : [[second, cost]]))).toEqual([
      [0, 1],
      [10, 1],
      [30, 1],
      [70, 1],
    ]);
  });
});

describe('an assumed role', () => {
  it('assumes the role once for all reads, and again before its credentials expire', async () => {
    const clock = createManualTime(Date.now());
    const auth = { ...STATIC, assumeRole: [{ roleArn: roleArn('bridge') }] };
    await using aws = await openAws({ config: { auth }, deps: { clock } });
    for (const { key } of many(50)) aws.server.store.put(key, 'x');
    const results = await aws.provider.read(many(50));
    expect(new Set(results.map(codeOf))).toEqual(new Set(['found']));
    expect(aws.server.count('AssumeRole')).toBe(1);
    await clock.advance(HOUR_MS - 301_000);
    await aws.provider.read(many(50));
    expect(aws.server.count('AssumeRole')).toBe(1);
    await clock.advance(2_000);
    await aws.provider.read(many(50));
    expect(aws.server.count('AssumeRole')).toBe(2);
  });

  it('assumes the role with the external ID, the session name and the tags from the configuration', async () => {
    const role = {
      roleArn: roleArn('bridge'),
      externalId: 'ext-1',
      sessionName: 'me@team',
      tags: { team: 'a', env: 'p' },
    };
    await using aws = await openAws({ config: { auth: { ...STATIC, assumeRole: [role] } } });
    await aws.read('a');
    expect(aws.server.requests.find(({ operation }) => operation === 'AssumeRole')?.input).toMatchObject({
      RoleArn: role.roleArn,
      RoleSessionName: 'me@team',
      ExternalId: 'ext-1',
      'Tags.member.1.Key': 'team',
      'Tags.member.1.Value': 'a',
      'Tags.member.2.Key': 'env',
      'Tags.member.2.Value': 'p',
    });
  });

  it("assumes the role with the store's name in the session name if no session name is configured", async () => {
    await using aws = await openAws({
      config: { auth: { ...STATIC, assumeRole: [{ roleArn: roleArn('x') }] } },
    });
    await aws.read('a');
    expect(aws.server.requests[0]?.input).toMatchObject({ RoleSessionName: 'secretbridge-test-store' });
  });

  it('assumes a role through another role, and renews the credentials of each role independently', async () => {
    const clock = createManualTime(Date.now());
    const assumeRole = [{ roleArn: roleArn('first') }, { roleArn: roleArn('second') }];
    await using aws = await openAws({ config: { auth: { ...STATIC, assumeRole } }, deps: { clock } });
    aws.server.store.put('a', 'x');
    expect(reveal(await aws.read('a'))).toBe('x');
    const roles = () =>
      aws.server.requests
        .filter(({ operation }) => operation === 'AssumeRole')
        .map(({ input }) => input.RoleArn);
    expect(roles()).toEqual([roleArn('first'), roleArn('second')]);
    await clock.advance(HOUR_MS - 200_000);
    await aws.read('a');
    expect(roles()).toEqual([roleArn('first'), roleArn('second'), roleArn('first'), roleArn('second')]);
  });

  it('assumes the role again if AWS reports its credentials as expired, whatever our clock shows', async () => {
    const assumeRole = [{ roleArn: roleArn('first') }, { roleArn: roleArn('second') }];
    await using aws = await openAws({ config: { auth: { ...STATIC, assumeRole } } });
    for (const { key } of many(20)) aws.server.store.put(key, 'x');
    await aws.provider.read(many(20));
    aws.server.expireAll();
    const results = await aws.provider.read(many(20));
    expect(new Set(results.map(codeOf))).toEqual(new Set(['found']));
    expect(aws.server.count('AssumeRole')).toBe(5); // Two calls assumed both roles. Then the expired credentials of the first role cost one refused call, and two more calls assumed both roles again.
  });

  it('does not assume the role for every read while AWS rejects all credentials', async () => {
    const auth = { ...STATIC, assumeRole: [{ roleArn: roleArn('first') }] };
    await using aws = await openAws({ config: { auth } });
    aws.server.fail(new AwsError('ExpiredTokenException'), /Secret/);
    for (let round = 0; round < 5; round += 1) {
      const results = await aws.provider.read(many(20));
      expect(new Set(results.map(codeOf))).toEqual(new Set(['AUTH_FAILED']));
    }
    expect(aws.server.count('AssumeRole')).toBe(2);
  });

  it('names the role in the error if AWS denies AssumeRole, and does not request the role again for every read', async () => {
    const auth = { ...STATIC, assumeRole: [{ roleArn: roleArn('bridge') }] };
    await using aws = await openAws({ config: { auth } });
    aws.server.fail(new AwsError('AccessDeniedException', 403), /AssumeRole/);
    for (let round = 0; round < 5; round += 1) {
      expect(await aws.read('a')).toMatchObject({
        error: { code: 'AUTH_FAILED', detail: expect.stringContaining(roleArn('bridge')) },
      });
    }
    expect(aws.sent()).toEqual(['AssumeRole']);
  });

  it('keeps using the credentials of the role until they expire if the renewal of the credentials fails', async () => {
    const clock = createManualTime(Date.now());
    const auth = { ...STATIC, assumeRole: [{ roleArn: roleArn('bridge') }] };
    await using aws = await openAws({ config: { auth }, deps: { clock } });
    aws.server.store.put('a', 'x');
    await aws.read('a');
    aws.server.fail('reset', /AssumeRole/);
    await clock.advance(HOUR_MS - 290_000);
    for (let round = 0; round < 5; round += 1) expect(codeOf(await aws.read('a'))).toBe('found');
    expect(aws.server.count('AssumeRole')).toBe(2);
    await clock.advance(290_000);
    expect(codeOf(await aws.read('a'))).toBe('STORE_UNAVAILABLE');
    aws.server.fail(undefined);
    expect(codeOf(await aws.read('a'))).toBe('found');
  });

  it.each([
    [new AwsError('Throttling'), 'THROTTLED'],
    [new AwsError('ServiceUnavailable', 503), 'STORE_UNAVAILABLE'],
    [new AwsError('RegionDisabledException', 403), 'ACCESS_DENIED'],
    [new AwsError('ExpiredTokenException'), 'AUTH_FAILED'],
    [new AwsError('MalformedPolicyDocument'), 'BAD_ANSWER'],
    [new AwsError('ValidationError'), 'CONFIG_INVALID'],
    [new AwsError('PackedPolicyTooLarge'), 'CONFIG_INVALID'],
    ['hang', 'TIMEOUT'],
    ['reset', 'STORE_UNAVAILABLE'],
    ['cut', 'BAD_ANSWER'],
    ['html', 'BAD_ANSWER'],
    ['wrong type', 'BAD_ANSWER'],
    ['wrong form', 'BAD_ANSWER'],
    ['html 403', 'ACCESS_DENIED'],
  ] as const)(
    'fails reads and checks if the role cannot be assumed (fault "%s", code %s)',
    async (fault, code) => {
      const auth = { ...STATIC, assumeRole: [{ roleArn: roleArn('bridge') }] };
      await using aws = await openAws({ config: { auth } });
      aws.server.fail(fault, /AssumeRole/);
      expect(codeOf(await aws.read('a'))).toBe(code);
      expect((await aws.provider.check()).map(({ error }) => error?.code)).toEqual([code]);
    },
  );

  it('counts the request for the role toward the concurrency limit, and does not deadlock if a read holds the only permit', async () => {
    const auth = { ...STATIC, assumeRole: [{ roleArn: roleArn('bridge') }] };
    let running = 0;
    let most = 0;
    let last: Promise<unknown> = Promise.resolve();
    // Allows one call at a time, as `concurrency: 1` does.
    const limit = <T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> => {
      const next = last.then(async () => {
        running += 1;
        most = Math.max(most, running);
        try {
          return await call(AbortSignal.timeout(5_000));
        } finally {
          running -= 1;
        }
      });
      last = Promise.allSettled([next]);
      return next;
    };
    await using aws = await openAws({ config: { auth }, deps: { limit } });
    for (const { key } of many(5)) aws.server.store.put(key, 'x');
    await aws.provider.read(many(5));
    aws.server.expireAll();
    const results = await aws.provider.read(many(5));
    expect(results.map(codeOf)).toEqual(Array(5).fill('found'));
    expect(most).toBe(1);
  });
});

describe('a closed AWS store', () => {
  it('aborts a running login when the store is closed', async () => {
    const auth = { ...STATIC, assumeRole: [{ roleArn: roleArn('bridge') }] };
    const aws = await openAws({ config: { auth }, deps: { timeoutMs: 60_000 } });
    const { promise, resolve } = Promise.withResolvers<void>();
    aws.server.onHang = resolve;
    aws.server.fail('hang', /AssumeRole/);
    const reading = aws.read('a');
    await promise;
    await aws.provider[Symbol.asyncDispose]();
    expect(codeOf(await reading)).toBe('INTERRUPTED');
    await aws.proxy[Symbol.asyncDispose]();
    await aws.server[Symbol.asyncDispose]();
  });
});
