import { describe, expect, it } from 'vitest';
import type { App } from '../../src/app/app.ts';
import { checkChannels } from '../../src/commands/doctor/channels.ts';
import { createNotifications, notifyStatus } from '../../src/commands/serve/notifications.ts';
import type { Config } from '../../src/config/config.ts';
import { AppError } from '../../src/core/errors.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { Reference } from '../../src/providers/credentials.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { startReceiver, targetEntry, webhook } from '../notify/sample.ts';
import { recordingLogger } from '../reconcile/world.ts';

const KEY = 'a key';
const running = new AbortController().signal;

function openNotifications(url: string, includes: Config['includes'] = []) {
  const clock = createManualTime();
  const audit = createMemoryAudit({ clock, instance: 'prod' });
  const config = { notify: [webhook({ afterMs: 0 })], includes };
  const app = { audit, clock, config, logger: recordingLogger(), instances: ['prod'] };
  const results: string[] = [];
  const notifications = createNotifications(app as unknown as App, {
    credential: async (reference: Reference) =>
      SecretValue.fromText('env' in reference && reference.env === 'URL' ? url : KEY),
    metrics: { notification: (channel, outcome) => void results.push(`${channel} ${outcome}`) },
  });
  const known = { expiries: [], isConfigured: () => true, chain: undefined };
  return { clock, audit, notifications, results, known };
}

describe('the notifications of the service', () => {
  it('the service that does not start, because the audit log is truncated, says so once', async () => {
    await using receiver = await startReceiver();
    const { clock, audit, notifications, results, known } = openNotifications(receiver.url);
    const truncated = new AppError('AUDIT_TRUNCATED');
    for (let attempt = 0; attempt < 4; attempt += 1) {
      await notifications.doubt(truncated, running);
      await clock.advance(3_000);
    }
    const bodies = () => receiver.received.map(({ body }) => JSON.parse(body) as object);
    expect(bodies()).toMatchObject([{ opened: [{ kind: 'audit', code: 'AUDIT_TRUNCATED' }], closed: [] }]);
    await notifications.run('ops', known, running);
    expect(bodies().slice(1)).toMatchObject([{ opened: [], closed: [{ code: 'AUDIT_TRUNCATED' }] }]);
    expect(results).toEqual(['ops ok', 'ops ok']);
    audit.failure = new AppError('AUDIT_UNAVAILABLE');
    await notifications.doubt(new AppError('AUDIT_ALTERED'), running);
  });

  it('the state of the chain is unknown until it was verified', async () => {
    await using receiver = await startReceiver();
    const { clock, audit, notifications, known } = openNotifications(receiver.url);
    const chain = (isAltered: boolean, hasRun: boolean) => ({
      problem: () => (isAltered ? ({ kind: 'edited', sequence: 1 } as const) : undefined),
      unverifiable: () => 0,
      hasRun: () => hasRun,
    });
    const codes = () =>
      audit.records.flatMap(({ action, outcome, code }) => (action === 'warn' ? `${code} ${outcome}` : []));
    await notifications.run('ops', { ...known, chain: chain(true, true) }, running);
    await clock.advance(5_000);
    await notifications.run('ops', { ...known, chain: chain(false, false) }, running);
    expect(codes()).toEqual(['AUDIT_ALTERED failed']);
    await notifications.run('ops', { ...known, chain: chain(false, true) }, running);
    expect(codes()).toEqual(['AUDIT_ALTERED failed', 'AUDIT_ALTERED ok']);
    expect(receiver.received).toHaveLength(2);
  });

  it('the troubles of targets in a disabled file stay open', async () => {
    await using receiver = await startReceiver();
    const includes = [{ path: 'a.yaml', state: 'disabled' as const, problems: [], namespaces: ['apps'] }];
    const { clock, audit, notifications, known } = openNotifications(receiver.url, includes);
    await audit.append([targetEntry('db', 'TIMEOUT'), targetEntry('x', 'TIMEOUT', 'other')]);
    await clock.advance(5_000);
    await notifications.run('ops', known, running);
    await notifications.run('ops', { ...known, isConfigured: () => false }, running);
    const closed = receiver.received.flatMap(({ body }) => (JSON.parse(body) as { closed: object[] }).closed);
    expect(closed).toMatchObject([{ count: 1, troubles: [{ namespace: 'other' }] }]);
  });

  it('the status has no channels if there are none', () => {
    expect(notifyStatus(undefined)).toEqual({});
    const { notifications } = openNotifications('');
    expect(notifyStatus(notifications)).toEqual({ notify: [{ name: 'ops', kind: 'webhook', state: 'up' }] });
  });
});

describe('the checks of channels by `doctor`', () => {
  const checksOf = async (notify: Config['notify'], env: Readonly<Record<string, string>>) => {
    const results: string[] = [];
    const credential = async (reference: Reference) => {
      const text = 'env' in reference ? env[reference.env] : undefined;
      if (text === undefined) throw new AppError('CREDENTIAL_MISSING');
      return SecretValue.fromText(text);
    };
    await checkChannels({ notify }, credential, async (name, work) => {
      const [result] = await Promise.allSettled([work()]);
      results.push(`${name} ${result.status === 'fulfilled' ? 'ok' : (result.reason as AppError).code}`);
    });
    return results;
  };

  it('check credentials and addresses, and send nothing', async () => {
    await using receiver = await startReceiver();
    const channel = { ...webhook(), on: [...webhook().on], namespaces: undefined };
    const env = { URL: receiver.url, KEY };
    expect(await checksOf([channel], env)).toEqual(['notify ops: secret ok', 'notify ops: url ok']);
    expect(await checksOf([{ ...channel, allowPrivate: false }], { URL: receiver.url })).toEqual([
      'notify ops: secret CREDENTIAL_MISSING',
      'notify ops: url NOTIFY_FAILED',
    ]);
    const { secret: _, url: __, ...common } = channel;
    const server = { host: '127.0.0.1', port: 25, security: 'none' as const };
    const email = { ...common, kind: 'email' as const, address: { env: 'TO' }, from: 'a@b.c', server };
    expect(await checksOf([email], { TO: 'ann@example.com' })).toEqual([
      'notify ops: address ok',
      'notify ops: server ok',
    ]);
    expect(receiver.received).toEqual([]);
  });
});
