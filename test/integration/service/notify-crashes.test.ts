import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../../src/audit/entry.ts';
import { eventsOf } from '../../../src/notify/events.ts';
import type { Message } from '../../../src/notify/message.ts';
import { findLeaks, textMarker } from '../../leak-search.ts';
import { type MailServer, startMailServer } from '../../notify/mail-server.ts';
import { type Receiver, startReceiver } from '../../notify/sample.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { type ServiceProcess, within } from './service-process.ts';
import { openWorld, type World, type WorldOptions } from './world.ts';

const AFTER_MS = 1_000;
const MAPPINGS = ['one', 'two', 'three'] as const;
const REPLICAS = ['a', 'b'] as const;
const CHANNELS = ['chat', 'hook', 'mail'];
const VALUE = textMarker('a value');

type Step =
  | { readonly kind: 'fail' | 'recover'; readonly mapping: (typeof MAPPINGS)[number] }
  /** The end of a replica after a time, or while the receiver of a webhook waits with its answer. */
  | { readonly kind: 'kill'; readonly replica: (typeof REPLICAS)[number]; readonly afterMs: number }
  | { readonly kind: 'killSender'; readonly mapping: (typeof MAPPINGS)[number] }
  | { readonly kind: 'restartRedis' | 'wait'; readonly afterMs: number };

const mapping = fc.constantFrom(...MAPPINGS);
const afterMs = fc.nat(2_000);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('fail', 'recover'), mapping }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('kill'), replica: fc.constantFrom(...REPLICAS), afterMs }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('killSender'), mapping }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('restartRedis', 'wait'), afterMs }) },
);

interface Receivers {
  readonly webhook: Receiver;
  readonly slack: Receiver;
  readonly mail: MailServer;
}

const config =
  (mailPort: number): WorldOptions['config'] =>
  ({ prefix, ns }) =>
    `defaults: { refresh: 1s }
notify:
  - { name: hook, kind: webhook, on: [failed, refused], url: { file: ./hook }, secret: { file: ./key }, after: 1s, allowPrivate: true }
  - { name: chat, kind: slack, on: [failed, refused], url: { file: ./chat }, after: 1s, allowPrivate: true }
  - name: mail
    kind: email
    on: [failed, refused]
    address: { file: ./receiver }
    from: bridge@example.com
    server: { host: localhost, port: ${mailPort}, security: none }
    after: 1s
    allowPrivate: true
mappings:
${MAPPINGS.map(
  (name) =>
    `  - { name: ${name}, target: { namespace: ${ns('apps')} }, data: { A: { store: vault, key: ${prefix}/${name}, property: a } } }`,
).join('\n')}
`;

/** Two replicas with their receivers. A test ends the replicas and Redis at any time. */
class Installation {
  readonly world: World;
  readonly receivers: Receivers;
  /** The number of processes that were killed. */
  kills = 0;
  readonly #replicas = new Map<string, ServiceProcess>();
  #redis: RedisServer;

  constructor(world: World, receivers: Receivers, redis: RedisServer) {
    this.world = world;
    this.receivers = receivers;
    this.#redis = redis;
  }

  async play(each: Step): Promise<void> {
    switch (each.kind) {
      case 'fail':
      case 'recover':
        return await this.setValue(each.mapping, each.kind === 'recover');
      case 'wait':
        return await delay(each.afterMs);
      case 'kill':
        await delay(each.afterMs);
        return await this.#restart([each.replica]);
      case 'killSender':
        return await this.#killSender(each.mapping);
      default:
        await delay(each.afterMs);
        await this.#redis.kill();
        this.#redis = await this.#redis.restart();
    }
  }

  async setValue(name: string, isThere: boolean): Promise<void> {
    const value = VALUE.bytes.toString();
    await this.world.vault.put(name, isThere ? { a: value } : { another: value });
  }

  async start(names: readonly string[]): Promise<void> {
    const started = await Promise.all(names.map((name) => this.world.replica(name)));
    for (const [index, name] of names.entries()) {
      const replica = started[index];
      if (replica !== undefined) this.#replicas.set(name, replica);
    }
  }

  /** Ends both replicas when the receiver has a message, but the sender has no answer yet. */
  async #killSender(name: string): Promise<void> {
    const { webhook } = this.receivers;
    const count = webhook.received.length;
    webhook.onRequest = () => this.#kill(REPLICAS);
    try {
      await this.setValue(name, false);
      // The target may fail already. Then there is no message, and the process ends at another time.
      await within(6_000, () => expect(webhook.received.length).toBeGreaterThan(count)).catch(
        () => undefined,
      );
    } finally {
      webhook.onRequest = () => undefined;
    }
    await this.#restart(REPLICAS);
  }

  #kill(names: readonly string[]): void {
    for (const name of names) {
      const replica = this.#replicas.get(name);
      if (replica === undefined) continue;
      this.kills += 1;
      replica.kill('SIGKILL');
      this.#ended.push(replica);
      this.#replicas.delete(name);
    }
  }

  async #restart(names: readonly string[]): Promise<void> {
    this.#kill(names);
    for (const replica of this.#ended.splice(0)) await replica.ended;
    await this.start(REPLICAS.filter((name) => !this.#replicas.has(name)));
  }

  readonly #ended: ServiceProcess[] = [];

  async [Symbol.asyncDispose](): Promise<void> {
    for (const replica of [...this.#replicas.values(), ...this.#ended]) await replica[Symbol.asyncDispose]();
    await this.#redis.stop();
  }
}

/** The channels that are on record. Each hears of every trouble that ends after its first record. */
function begunChannels(records: readonly AuditRecord[]): readonly string[] {
  const names = records.filter(({ action }) => action === 'notify').map(({ note = '' }) => note);
  return [...new Set(names)].sort();
}

async function open(stack: AsyncDisposableStack): Promise<Installation> {
  const receivers = {
    webhook: stack.use(await startReceiver()),
    slack: stack.use(await startReceiver()),
    mail: stack.use(await startMailServer({ tls: false })),
  };
  const redis = await startRedis();
  const world = stack.use(
    await openWorld({
      ...{ config: config(receivers.mail.port), scope: 'namespace', redisUrl: redis.address, postgres: true },
    }),
  );
  const files = {
    hook: receivers.webhook.url,
    chat: receivers.slack.url,
    key: 'a key that signs messages',
    receiver: 'ann@example.com',
  };
  for (const [name, text] of Object.entries(files))
    await writeFile(`${world.folder}/${name}`, text, { mode: 0o600 });
  const installation = stack.use(new Installation(world, receivers, redis));
  for (const name of MAPPINGS) await installation.setValue(name, true);
  await installation.start(REPLICAS);
  await within(30_000, async () => expect(begunChannels(await world.records())).toEqual(CHANNELS));
  return installation;
}

/** What one message says: the troubles that began and that ended, each as `<mapping> <time of its beginning>`. */
interface Told {
  readonly opened: readonly string[];
  readonly closed: readonly string[];
}

const nameOf = (name: string | undefined, since: string) => `${name} ${since.slice(0, 19)}`;

function toldByHook({ received }: Receiver): readonly Told[] {
  return received.map(({ body }) => {
    const { opened, closed } = JSON.parse(body) as Message;
    const names = (groups: Message['opened']) =>
      groups.flatMap(({ troubles }) => troubles.map((one) => nameOf(one.mapping, one.since)));
    return { opened: names(opened), closed: names(closed) };
  });
}

function toldByText(text: string): Told {
  const lines = text.replaceAll('=\r\n', '').replaceAll('\r\n', '\n');
  const [opened = '', closed = ''] = lines.split('No longer:');
  const names = (part: string) =>
    [...part.matchAll(/^- \S+, mapping (\S+), since (\S+)/gm)].map(([, name, since = '']) =>
      nameOf(name, since),
    );
  return { opened: names(opened), closed: names(closed) };
}

function messagesOf({ webhook, slack, mail }: Receivers): ReadonlyMap<string, readonly Told[]> {
  const texts = slack.received.map(({ body }) => (JSON.parse(body) as { readonly text: string }).text);
  return new Map([
    ['webhook', toldByHook(webhook)],
    ['slack', texts.map(toldByText)],
    ['email', mail.received.map(({ text }) => toldByText(text))],
  ]);
}

/** The troubles that lasted long enough for a message, by the audit. */
function lastingTroubles(records: readonly AuditRecord[]): readonly string[] {
  const openTroubles = new Map<string, { readonly name: string; readonly since: number }>();
  const lasting: string[] = [];
  for (const record of records)
    for (const event of eventsOf(record)) {
      if (event.kind === 'begin' && !openTroubles.has(event.id)) {
        const { since } = event.trouble;
        openTroubles.set(event.id, { name: nameOf(record.mapping, record.time), since });
      }
      for (const id of event.kind === 'end' ? event.ids : []) {
        const trouble = openTroubles.get(id);
        openTroubles.delete(id);
        if (trouble !== undefined && Date.parse(record.time) - trouble.since >= AFTER_MS)
          lasting.push(trouble.name);
      }
    }
  return [...lasting, ...[...openTroubles.values()].map(({ name }) => name)];
}

/** Returns how many messages say again what an earlier one said. */
function doubles(messages: readonly Told[]): number {
  const before = new Set<string>();
  let count = 0;
  for (const { opened, closed } of messages) {
    const names = [...opened.map((name) => `+ ${name}`), ...closed.map((name) => `- ${name}`)];
    if (names.some((name) => before.has(name))) count += 1;
    for (const name of names) before.add(name);
  }
  return count;
}

function expectAllTold(messages: readonly Told[], troubles: readonly string[]): void {
  const opened = new Set(messages.flatMap((message) => message.opened));
  const closed = new Set(messages.flatMap((message) => message.closed));
  expect(troubles.filter((name) => !opened.has(name))).toEqual([]);
  expect([...opened].filter((name) => !closed.has(name))).toEqual([]);
}

describe('notifications of two replicas', () => {
  it('none is lost, and each kill -9 makes at most one double, while replicas and Redis end at any time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 12 }), async (steps) => {
        await using stack = new AsyncDisposableStack();
        const installation = await open(stack);
        const { world, receivers } = installation;
        for (const each of steps) await installation.play(each);
        // At least one message is in doubt, and every target is in sync at the end.
        await installation.play({ kind: 'recover', mapping: 'one' });
        await within(30_000, async () => expect((await world.secret('one'))?.data).toBeDefined());
        await installation.play({ kind: 'killSender', mapping: 'one' });
        for (const name of MAPPINGS) await installation.setValue(name, true);
        await within(60_000, async () => {
          const troubles = lastingTroubles(await world.records());
          for (const messages of messagesOf(receivers).values()) expectAllTold(messages, troubles);
        });
        for (const [kind, messages] of messagesOf(receivers))
          expect(`${kind}: ${doubles(messages) <= installation.kills}`).toBe(`${kind}: true`);
        const { webhook, slack, mail } = receivers;
        const places = [webhook.received, slack.received, mail.received].map((received) => ({
          name: 'a receiver',
          bytes: JSON.stringify(received),
        }));
        expect(findLeaks(places, [VALUE])).toEqual([]);
        expect(await world.chain()).toMatchObject({ kind: 'intact' });
      }),
      { numRuns: 3, endOnFailure: true },
    );
  }, 900_000);
});
