import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import { TROUBLE_KINDS } from '../../src/core/troubles.ts';
import type { Channel } from '../../src/notify/channel.ts';
import type { Facts } from '../../src/notify/facts.ts';
import { type Message, messageOf } from '../../src/notify/message.ts';
import { Notifier } from '../../src/notify/notifier.ts';
import { send } from '../../src/notify/send.ts';
import { binaryMarker, findLeaks, type Marker, type Place, textMarker } from '../leak-search.ts';
import { base64, openWorld, recordingLogger, type World } from '../reconcile/world.ts';
import { type MailServer, startMailServer } from './mail-server.ts';
import { entry, type Receiver, START, sendDeps, startReceiver, webhook } from './sample.ts';

const PLAIN = textMarker('a plain value');
const ODD = textMarker(
  'an odd value',
  (core) => `"q" \\ 'x'\r\n${core}\t ü✓𝄞‮ \u2028 %20 <&> = {{ ${core} }}`,
);
const LONG = textMarker('a long value', (core) => `${core}${' 😀=\n'.repeat(2_000)}${core}`);
const BINARY = binaryMarker('bytes');
const MARKERS: readonly Marker[] = [PLAIN, ODD, LONG, BINARY];
const KINDS = ['webhook', 'slack', 'email'] as const;
const NOTHING: Facts = { expiries: [], audit: [], isConfigured: () => true };

const textOf = ({ bytes }: Marker) => bytes.toString('utf8');
const json = (value: unknown) => JSON.stringify(value);
const at = <T>(list: readonly T[], index: number): T => {
  const item = list[index % list.length];
  if (item === undefined) throw new Error('an empty list');
  return item;
};
const markerText = (index: number) => textOf(at([PLAIN, ODD, LONG], index));

type Change = (world: World, name: string, index: number) => void;

/** Something that makes a target fail. Values are in its place: in the store, in a vendor's text, in another Secret. */
interface Fault {
  readonly type?: string;
  /** The sources of the mapping with this name, in YAML. The mapping reads the key with its name. */
  readonly sources: (name: string) => string;
  readonly break: Change;
  readonly repair: Change;
}

const one =
  (more = '') =>
  (name: string) =>
    `data: { A: { store: vault, key: ${name}${more} } }`;
const put =
  (text: (index: number) => string): Change =>
  ({ store }, name, index) =>
    store.put(name, text(index));

/** A value that fails, and one that does not. */
function ofValue(
  sources: Fault['sources'],
  bad: (index: number) => string,
  repair: Change,
  type?: string,
): Fault {
  return { sources, break: put(bad), repair, ...(type === undefined ? {} : { type }) };
}

const VENDOR_CODES: readonly ErrorCode[] = [
  'STORE_UNAVAILABLE',
  'ACCESS_DENIED',
  'AUTH_FAILED',
  'THROTTLED',
  'TIMEOUT',
  'BAD_ANSWER',
  'TLS_FAILED',
];
const MEMBER = put((index) => json({ p: markerText(index) }));

const FAULTS: readonly Fault[] = [
  ...VENDOR_CODES.map(
    (code): Fault => ({
      sources: one(),
      break: ({ store }, name, index) =>
        store.fail(
          name,
          new AppError(code, { detail: markerText(index), cause: new Error(markerText(index + 1)) }),
        ),
      repair: put(markerText),
    }),
  ),
  { sources: one(), break: ({ store }, name) => store.absent(name), repair: put(markerText) },
  ofValue(one(', property: p'), (index) => json({ q: markerText(index), [textOf(PLAIN)]: 1 }), MEMBER),
  ofValue(one(', property: p'), markerText, MEMBER),
  ofValue(one(', property: p'), (index) => `{"p":"${markerText(index)}`, MEMBER),
  ofValue(
    one(', decode: base64'),
    markerText,
    put((index) => base64(markerText(index))),
  ),
  ofValue(
    (name) => `${one()(name)}, template: { data: { B: '{{ A | from_json | json }}' } }`,
    markerText,
    put((index) => json([markerText(index)])),
  ),
  ofValue(
    (name) => `dataFrom: [ { store: vault, key: ${name} } ]`,
    (index) => json({ [`${markerText(index)} `]: markerText(index) }),
    MEMBER,
  ),
  ofValue(
    (name) => `data: { p: { store: vault, key: ${name} } }, dataFrom: [ { store: vault, key: ${name} } ]`,
    (index) => json({ p: markerText(index) }),
    put((index) => json({ a: markerText(index) })),
  ),
  ofValue(
    (name) => `data: { .dockerconfigjson: { store: vault, key: ${name} } }`,
    markerText,
    put(() => '{"auths":{}}'),
    'kubernetes.io/dockerconfigjson',
  ),
  ofValue(
    one(),
    (index) => markerText(index).repeat(Math.ceil(1_100_000 / markerText(index).length)),
    put(markerText),
  ),
  {
    sources: one(),
    break({ cluster, store }, name, index) {
      store.put(name, markerText(index));
      const data = { A: base64(markerText(index)), B: BINARY.bytes.toString('base64') };
      cluster.put({ namespace: 'apps', secret: secretOf(name) }, { data });
    },
    repair: ({ cluster }, name) => cluster.forget({ namespace: 'apps', secret: secretOf(name) }),
  },
];

type EntryPart = Parameters<typeof entry>[0];

/** Begins a trouble, and ends the trouble that began with this record. */
interface Recorded {
  readonly begin: EntryPart;
  readonly end: (sequence: number) => EntryPart;
}

/** Records of the other kinds of troubles. */
const RECORDS: readonly Recorded[] = [
  { begin: { action: 'hold', outcome: 'held', code: 'HELD' }, end: () => ({ action: 'sweep' }) },
  { begin: { action: 'refuse', outcome: 'failed', code: 'CONTESTED' }, end: () => ({ action: 'sweep' }) },
  {
    begin: { action: 'refuse', outcome: 'refused', code: 'A_CODE_OF_A_NEWER_RELEASE' },
    end: () => ({ action: 'sweep' }),
  },
  {
    begin: { action: 'warn', outcome: 'failed', code: 'EXPIRES_SOON' },
    end: () => ({ action: 'warn', code: 'EXPIRES_SOON' }),
  },
  {
    begin: { action: 'warn', outcome: 'failed', code: 'AUDIT_ALTERED' },
    end: () => ({ action: 'warn', code: 'AUDIT_ALTERED' }),
  },
  {
    begin: { action: 'review', review: { sequence: 1, state: 'flagged' } },
    end: () => ({ action: 'review', review: { sequence: 1, state: 'reviewed' } }),
  },
  {
    begin: {
      action: 'request',
      requested: { action: 'release', argument: textOf(PLAIN), until: '2040-01-01T00:00:00Z' },
    },
    end: (approval) => ({ action: 'approve', approval }),
  },
  {
    begin: { action: 'restart', outcome: 'failed', code: 'WORKLOAD_MISSING', phase: 'outcome' },
    end: () => ({ action: 'restart', phase: 'outcome' }),
  },
];

/** A note of a person, or of another release, may contain anything, and so may the names of keys. */
function withValues(part: EntryPart, name: string, index: number): Entry {
  const about = { mapping: name, namespace: 'apps', secret: secretOf(name), note: markerText(index) };
  const source = { store: 'vault', key: markerText(index + 1), version: markerText(index + 2) };
  return entry({ ...about, sources: [source], ...part });
}

/** A name of each length, up to the longest. */
const nameOf = (index: number) =>
  `t${index}-${'a.b-c'.repeat(12)}`.slice(0, 6 + (index % 58)).replace(/[-.]+$/, '');
const secretOf = (name: string) => `${name}.${'long-'.repeat(36)}x`;

function mappingText(index: number): string {
  const { sources, type } = at(FAULTS, index / 2);
  const name = nameOf(index);
  const target = `{ namespace: apps, secret: ${secretOf(name)}${type === undefined ? '' : `, type: ${type}`} }`;
  return `\n  - { name: ${name}, target: ${target}, ${sources(name)} }`;
}

interface Receivers {
  readonly webhook: Receiver;
  readonly slack: Receiver;
  readonly mail: MailServer;
}

type Deliver = (channel: Channel, message: Message) => Promise<void>;

/** Sends over real connections, and waits for the answer of the receiver. */
function deliverTo({ webhook, slack }: Receivers): Deliver {
  const env = { TO: 'ann@example.com', KEY: 'a key that signs' };
  return (channel, message) =>
    send(channel, message, sendDeps({ ...env, URL: channel.kind === 'slack' ? slack.url : webhook.url }));
}

function channelsOf(suffix: string, { mail }: Receivers): readonly Channel[] {
  const { secret, url, ...rules } = webhook({ afterMs: 0 });
  return [
    { ...rules, name: `webhook${suffix}`, kind: 'webhook', url, secret },
    { ...rules, name: `slack${suffix}`, kind: 'slack', url },
    {
      ...{ ...rules, name: `email${suffix}`, kind: 'email', address: { env: 'TO' } },
      ...{ from: 'bridge@example.com', server: { host: 'localhost', port: mail.port, security: 'none' } },
    },
  ];
}

/** Lets targets fail and recover one after the other, so that each beginning and each end is a message of its own. */
async function tellAll(first: number, count: number, receivers: Receivers): Promise<void> {
  const indexes = Array.from({ length: count }, (_, index) => first + index);
  const faulty = indexes.filter((index) => index % 2 === 0);
  const world = await openWorld({ mappings: faulty.map(mappingText).join('') });
  await using process = await world.start();
  const { audit } = process.app;
  const channels = channelsOf(`-${first}`, receivers);
  const deliver = deliverTo(receivers);
  const notifier = new Notifier({
    ...{ audit, clock: world.clock, logger: recordingLogger(), instances: ['prod'] },
    channels: () => channels,
    delivery: { send: deliver, onResult: () => undefined },
  });
  const tell = async () => {
    await world.clock.advance(4_000);
    const { signal } = new AbortController();
    // The kinds do not wait for each other.
    await Promise.all(channels.map(({ name }) => notifier.run(name, NOTHING, signal)));
  };
  await audit.append([entry({ action: 'sweep' })]);
  for (const index of indexes) {
    const name = nameOf(index);
    if (index % 2 === 0) await fail(world, process, { name, index, tell });
    else await record(audit, at(RECORDS, (index - 1) / 2), { name, index, tell });
  }
}

interface Turn {
  readonly name: string;
  readonly index: number;
  readonly tell: () => Promise<void>;
}

async function fail(
  world: World,
  process: Awaited<ReturnType<World['start']>>,
  { name, index, tell }: Turn,
): Promise<void> {
  const fault = at(FAULTS, index / 2);
  for (const change of [fault.break, fault.repair]) {
    change(world, name, index);
    await process.sync({ only: name });
    await tell();
  }
}

async function record(
  audit: Pick<AuditStore, 'append'>,
  { begin, end }: Recorded,
  { name, index, tell }: Turn,
): Promise<void> {
  const [begun] = await audit.append([withValues(begin, name, index)]);
  await tell();
  await audit.append([withValues(end(begun?.sequence ?? 0), name, index)]);
  await tell();
}

/** Decodes quoted-printable (RFC 2045) and encoded words of a subject (RFC 2047). */
function decodedMail(text: string): string {
  const quoted = (encoded: string) =>
    Buffer.from(
      encoded.replace(/=([0-9A-F]{2})/g, (_, octet: string) =>
        String.fromCharCode(Number.parseInt(octet, 16)),
      ),
      'latin1',
    ).toString('utf8');
  const words = text
    .replace(/\r\n[ \t]/g, '')
    .replace(/=\?utf-8\?q\?([^?]*)\?=/gi, (_, word: string) => quoted(word.replaceAll('_', ' ')))
    .replace(/=\?utf-8\?b\?([^?]*)\?=/gi, (_, word: string) => Buffer.from(word, 'base64').toString('utf8'));
  const [head = '', ...body] = words.split('\r\n\r\n');
  const content = body.join('\r\n\r\n');
  if (!/^content-transfer-encoding: base64/im.test(head)) return quoted(words.replaceAll('=\r\n', ''));
  return `${head}\n${Buffer.from(content, 'base64').toString('utf8')}`;
}

/** Everything that the receivers have, as it arrived and decoded. */
function placesOf({ webhook, slack, mail }: Receivers): readonly Place[] {
  const ofHook = (name: string, { received }: Receiver): readonly Place[] => [
    { name, bytes: received.map(({ headers, body }) => `${json(headers)}\n${body}`).join('\n') },
  ];
  const slackTexts = slack.received.map(({ body }) => (JSON.parse(body) as { readonly text: string }).text);
  const mails = mail.received.map(({ text, to, user }) => `${to.join()} ${user}\n${text}`);
  return [
    ...ofHook('webhook', webhook),
    ...ofHook('slack', slack),
    { name: 'the texts of slack', bytes: slackTexts.join('\n') },
    { name: 'email', bytes: mails.join('\n') },
    { name: 'the decoded email', bytes: mails.map(decodedMail).join('\n') },
  ];
}

async function openReceivers(stack: AsyncDisposableStack): Promise<Receivers> {
  return {
    webhook: stack.use(await startReceiver()),
    slack: stack.use(await startReceiver()),
    mail: stack.use(await startMailServer({ tls: false })),
  };
}

/** Sends `count` messages of each kind. */
async function expectNoLeak(count: number): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const receivers = await openReceivers(stack);
  const targets = count / 2;
  // The mail server waits before each greeting, so the parts run beside each other.
  const sendParts = async (index: number) => {
    for (let first = index * PART; first < targets; first += PARALLEL * PART)
      await tellAll(first, Math.min(PART, targets - first), receivers);
  };
  await Promise.all(Array.from({ length: PARALLEL }, (_, index) => sendParts(index)));
  const { webhook, slack, mail } = receivers;
  expect([webhook.received.length, slack.received.length, mail.received.length]).toEqual([
    count,
    count,
    count,
  ]);
  const messages = webhook.received.map(({ body }) => JSON.parse(body) as Message);
  expect(new Set(messages.map(({ id }) => id)).size).toBe(count);
  const sizes = messages.map(({ opened, closed }) => `${opened.length} ${closed.length}`);
  expect([...new Set(sizes)].sort()).toEqual(['0 1', '1 0']);
  const groups = messages.flatMap(({ opened }) => opened);
  expect([...new Set(groups.map(({ kind }) => kind))].sort()).toEqual(TROUBLE_KINDS.toSorted());
  expect(findLeaks(placesOf(receivers), MARKERS)).toEqual([]);
}

/** The targets of one audit. Each message reads the records of its audit. */
const PART = 10;
const PARALLEL = 32;
const FEW = 100;

describe('the messages', () => {
  it.each(KINDS)('the search finds each marker in a message of the kind %s', async (kind) => {
    await using stack = new AsyncDisposableStack();
    const receivers = await openReceivers(stack);
    const deliver = deliverTo(receivers);
    const [channel] = channelsOf('', receivers).filter((each) => each.kind === kind);
    if (channel === undefined) throw new Error('no channel');
    for (const marker of [PLAIN, ODD]) {
      const trouble = {
        kind: 'failed' as const,
        sequence: 7,
        since: START,
        secret: textOf(marker),
        namespace: 'a',
      };
      const about = { instance: 'prod', channel: channel.name, now: START };
      await deliver(channel, messageOf({ opened: [trouble], closed: [] }, about));
    }
    const leaks = findLeaks(placesOf(receivers), MARKERS);
    const place = kind === 'email' ? 'the decoded email' : kind;
    for (const { name } of [PLAIN, ODD]) expect(leaks).toContainEqual(`${place}: ${name}, plain`);
  });

  it('contain no value of a store, no text of a vendor and no note', () => expectNoLeak(FEW));

  it('contain none in 10,000 messages either', { tags: ['long'], timeout: 900_000 }, () =>
    expectNoLeak(Math.ceil(10_000 / KINDS.length)),
  );
});
