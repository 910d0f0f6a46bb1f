import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import { AppError } from '../../src/core/errors.ts';
import type { Channel } from '../../src/notify/channel.ts';
import type { Facts } from '../../src/notify/facts.ts';
import type { Message } from '../../src/notify/message.ts';
import { Notifier } from '../../src/notify/notifier.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { recordingLogger } from '../reconcile/world.ts';
import { entry, targetEntry, webhook } from './sample.ts';

const NOTHING: Facts = { expiries: [], audit: [], isConfigured: () => true };
const MINUTE = 60_000;

function open() {
  const clock = createManualTime();
  const audit = createMemoryAudit({ clock, instance: 'prod' });
  const logger = recordingLogger();
  const sent: Message[] = [];
  const state = {
    channels: [webhook()] as readonly Channel[],
    failure: undefined as AppError | undefined,
    /** Whether the process ends after the message, before its record. */
    crash: false,
    facts: NOTHING,
  };
  const results: string[] = [];
  const start = () => {
    const notifier = new Notifier({
      ...{ audit, clock, logger, instances: ['prod', 'former'] },
      channels: () => state.channels,
      delivery: {
        async send(_, message) {
          if (state.failure !== undefined) throw state.failure;
          sent.push(message);
          if (state.crash) audit.failure = new AppError('AUDIT_UNAVAILABLE');
        },
        onResult: (channel, error) => void results.push(`${channel} ${error?.code ?? 'ok'}`),
      },
    });
    const run = (name = 'ops') => notifier.run(name, state.facts, new AbortController().signal);
    return { notifier, run };
  };
  const append = (...entries: readonly Entry[]) => audit.append(entries);
  /** Returns and removes the messages, each as the number of opened and closed troubles. */
  const taken = () =>
    sent
      .splice(0)
      .map(({ opened, closed }) =>
        [opened, closed].map((groups) => groups.reduce((sum, { count }) => sum + count, 0)),
      );
  return { clock, audit, logger, sent, state, results, start, append, taken };
}

describe('the notifier', () => {
  it('500 targets that fail together make one message when they begin and one when they end', async () => {
    const { clock, append, start, taken, sent } = open();
    const { run } = start();
    await append(...Array.from({ length: 500 }, (_, index) => targetEntry(`t${index}`, 'STORE_UNAVAILABLE')));
    await run();
    expect(taken()).toEqual([]);
    await clock.advance(5 * MINUTE);
    await run();
    await run();
    expect(sent[0]?.opened[0]?.troubles).toHaveLength(20);
    expect(taken()).toEqual([[500, 0]]);
    await append(...Array.from({ length: 500 }, (_, index) => targetEntry(`t${index}`)));
    await run();
    await run();
    expect(taken()).toEqual([[0, 500]]);
  });

  it('several processes send one message, and one that starts later sends none', async () => {
    const { clock, append, start, taken, audit } = open();
    const [one, other] = [start(), start()];
    await append(targetEntry('db', 'TIMEOUT'));
    await clock.advance(5 * MINUTE);
    await Promise.all([one.run(), other.run()]);
    await start().run();
    expect(taken()).toEqual([[1, 0]]);
    expect(audit.records.filter(({ action }) => action === 'notify')).toMatchObject([
      { outcome: 'ok', note: 'ops', counts: { at: 0, from: 0, until: 1 } },
      { outcome: 'ok', note: 'ops', counts: { opened: 1, closed: 0, from: 0, until: 2 } },
    ]);
    await append(targetEntry('db'));
    await Promise.all([start().run(), one.run(), other.run()]);
    expect(taken()).toEqual([[0, 1]]);
  });

  it('a crash between the message and its record makes one double', async () => {
    const { clock, append, start, taken, state, audit, sent } = open();
    await append(targetEntry('db', 'TIMEOUT'));
    await clock.advance(5 * MINUTE);
    state.crash = true;
    await expect(start().run()).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    [state.crash, audit.failure] = [false, undefined];
    await start().run();
    await start().run();
    // A receiver can recognize the double.
    expect(new Set(sent.map(({ id }) => id)).size).toBe(1);
    expect(taken()).toEqual([
      [1, 0],
      [1, 0],
    ]);
  });

  it('a crash before the first message of a channel loses nothing, even if the trouble ends before the next start', async () => {
    const { clock, append, start, taken } = open();
    await start().run();
    await append(targetEntry('db', 'TIMEOUT'));
    await clock.advance(5 * MINUTE);
    await append(targetEntry('db'));
    await start().run();
    await start().run();
    expect(taken()).toEqual([[1, 1]]);
  });

  it('nothing is sent before its records are durable', async () => {
    const { clock, append, start, taken, audit } = open();
    await append(targetEntry('db', 'TIMEOUT'));
    await clock.advance(5 * MINUTE);
    audit.failure = new AppError('AUDIT_UNAVAILABLE');
    await expect(start().run()).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(taken()).toEqual([]);
  });

  it('a failed delivery is tried again with growing pauses, and recorded once', async () => {
    const { clock, append, start, taken, state, audit, results } = open();
    const { run, notifier } = start();
    await append(targetEntry('db', 'TIMEOUT'));
    await clock.advance(5 * MINUTE);
    state.failure = new AppError('NOTIFY_FAILED', { detail: 'the connection was refused' });
    expect(await run()).toBe(5_000);
    expect(await run()).toBe(5_000);
    await clock.advance(5_000);
    expect(await run()).toBe(10_000);
    expect(notifier.statuses()).toEqual([
      { name: 'ops', kind: 'webhook', state: 'degraded', code: 'NOTIFY_FAILED' },
    ]);
    expect(audit.records.filter(({ action }) => action === 'notify')).toMatchObject([
      { outcome: 'ok', note: 'ops', counts: { at: 0 } },
      { outcome: 'failed', code: 'NOTIFY_FAILED', note: 'ops' },
    ]);
    state.failure = undefined;
    await clock.advance(10_000);
    expect(await run()).toBeUndefined();
    expect(taken()).toEqual([[1, 0]]);
    expect(results).toEqual(['ops NOTIFY_FAILED', 'ops NOTIFY_FAILED', 'ops ok']);
    expect(notifier.statuses()).toMatchObject([{ state: 'up', lastSuccess: expect.any(String) }]);
  });

  it('a trouble that ends before its message could be delivered makes one message later', async () => {
    const { clock, append, start, taken, state } = open();
    await append(targetEntry('first', 'TIMEOUT'));
    await clock.advance(5 * MINUTE);
    await start().run();
    state.failure = new AppError('NOTIFY_FAILED');
    await append(targetEntry('db', 'ACCESS_DENIED'));
    await clock.advance(5 * MINUTE);
    const { run } = start();
    await run();
    await append(targetEntry('db'));
    await clock.advance(5 * MINUTE);
    state.failure = undefined;
    await run();
    await start().run();
    expect(taken()).toEqual([
      [1, 0],
      [1, 1],
    ]);
  });

  it('one channel does not wait for another, and a channel that was removed sends nothing', async () => {
    const { clock, append, start, taken, state } = open();
    state.channels = [webhook(), webhook({ name: 'held', on: ['held'] })];
    const { run } = start();
    await append(targetEntry('db', 'TIMEOUT'));
    await append(
      entry({ action: 'hold', outcome: 'held', code: 'HELD', mapping: 'x', namespace: 'apps', secret: 'x' }),
    );
    // A hold does not end by itself, so it is reported at once.
    await clock.advance(5_000);
    await run('ops');
    await run('held');
    expect(taken()).toEqual([
      [1, 0],
      [1, 0],
    ]);
    state.channels = [];
    await append(targetEntry('api', 'TIMEOUT'));
    await clock.advance(5 * MINUTE);
    expect(await run('ops')).toBeUndefined();
    expect(taken()).toEqual([]);
  });

  it('a channel with other rules gets what is open', async () => {
    const { clock, append, start, taken, state } = open();
    state.channels = [webhook({ on: ['held'] })];
    await append(targetEntry('db', 'TIMEOUT'));
    await clock.advance(5 * MINUTE);
    await start().run();
    expect(taken()).toEqual([]);
    state.channels = [webhook()];
    await start().run();
    expect(taken()).toEqual([[1, 0]]);
  });

  it('records of other instances are ignored, and those of former names count', async () => {
    const { clock, audit, start, taken } = open();
    for (const instance of ['other', 'former']) {
      const [appended] = await audit.append([targetEntry(instance, 'TIMEOUT')]);
      Object.assign(appended ?? {}, { instance });
    }
    await clock.advance(5 * MINUTE);
    await start().run();
    expect(taken()).toEqual([[1, 0]]);
  });

  it('what leaves no record by itself gets one when it begins and when it ends', async () => {
    const { clock, start, taken, state, audit } = open();
    const { run } = start();
    const target = { mapping: 'db', namespace: 'apps', secret: 'db' };
    const facts = (isSoon: boolean | undefined, isPresent: boolean | undefined): Facts => ({
      ...NOTHING,
      expiries: [{ ...target, isSoon }],
      audit: [{ code: 'AUDIT_ALTERED', isPresent }],
    });
    state.facts = facts(true, true);
    await run();
    await clock.advance(5_000);
    await run();
    expect(taken()).toEqual([[2, 0]]);
    // A process that has just started knows nothing yet.
    state.facts = facts(undefined, undefined);
    await start().run();
    expect(taken()).toEqual([]);
    state.facts = facts(false, false);
    await run();
    expect(taken()).toEqual([[0, 2]]);
    expect(audit.records.filter(({ action }) => action === 'warn')).toHaveLength(4);
  });

  it('the troubles of a target end when it is no longer configured', async () => {
    const { clock, append, start, taken, state } = open();
    await append(targetEntry('db', 'TIMEOUT'));
    await clock.advance(5 * MINUTE);
    await start().run();
    state.facts = { ...NOTHING, isConfigured: (mapping) => mapping !== 'db' };
    await start().run();
    await start().run();
    expect(taken()).toEqual([
      [1, 0],
      [0, 1],
    ]);
  });

  it('a flagged record has the namespace of the record that it is about', async () => {
    const { clock, append, start, state, sent } = open();
    state.channels = [webhook({ namespaces: ['apps'] })];
    const [reviewed] = await append(targetEntry('db', 'TIMEOUT'), targetEntry('x', 'TIMEOUT', 'other'));
    const flag = (sequence: number) => entry({ action: 'review', review: { sequence, state: 'flagged' } });
    await append(flag(reviewed?.sequence ?? 0), flag((reviewed?.sequence ?? 0) + 1));
    await clock.advance(5_000);
    await start().run();
    expect(sent).toMatchObject([
      { opened: [{ kind: 'flagged', troubles: [{ namespace: 'apps', secret: 'db', record: 1 }] }] },
    ]);
  });

  it('reads on from the recorded place after very many records', async () => {
    const { append, start, audit } = open();
    const { run } = start();
    await run();
    for (let index = 0; index < 41; index += 1)
      await append(...Array.from({ length: 500 }, (_, n) => targetEntry(`t${n}`)));
    await run();
    const [, cursor] = audit.records.filter(({ action }) => action === 'notify');
    expect(cursor?.counts).toMatchObject({ from: 20_501, until: 20_501 });
  });
});
