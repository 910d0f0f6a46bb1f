import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type CredentialWatchOptions,
  watchCredentials,
  watchedCredentialsIn,
} from '../../src/config/watch/credentials.ts';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { startTimer } from '../../src/core/timer.ts';
import { createManualTime } from '../fakes/manual-time.ts';

const fingerprints = createFingerprinter(SecretValue.fromBytes(new Uint8Array(32)));
type Content = string | AppError;

const MISSING = new AppError('CREDENTIAL_MISSING');
const AWAY = new AppError('CLUSTER_UNAVAILABLE');
const file = (name: string) => ({ file: name });
const secret = (name: string) => ({ secretRef: { name, key: 'k' } });

function startWatch(contents: Record<string, Content>, options: Partial<CredentialWatchOptions> = {}) {
  const time = createManualTime();
  const changes: string[] = [];
  const errors: unknown[] = [];
  const reads: string[] = [];
  const watch = watchCredentials({
    references: () => new Map([['v', [file('a'), secret('s')]]]),
    async resolve(reference) {
      const name =
        'file' in reference ? reference.file : 'secretRef' in reference ? reference.secretRef.name : '';
      reads.push(name);
      const content = contents[name] ?? MISSING;
      if (content instanceof AppError) throw content;
      return SecretValue.fromText(content);
    },
    fingerprint: (value) => fingerprints.value(value),
    onChange: (owner) => void changes.push(owner),
    onProgress: (error) => void (error !== undefined && errors.push(error)),
    wake: time.wake,
    ...options,
  });
  return { watch, time, changes, errors, reads, [Symbol.asyncDispose]: () => watch[Symbol.asyncDispose]() };
}

describe('watched credentials', () => {
  it('the credential watch reports each change of a credential to the component that uses the credential, but does not report the first read', async () => {
    const contents: Record<string, Content> = { a: '1', s: '1' };
    await using watched = startWatch(contents);
    await watched.time.advance(1_000);
    expect(watched.changes).toEqual([]);
    contents.a = '2';
    await watched.time.advance(5_500);
    expect(watched.changes).toEqual(['v']);
    await watched.time.advance(60_000);
    expect(watched.changes).toEqual(['v']);
  });

  it('the credential watch checks credentials in Secrets less often than credentials in files', async () => {
    const contents: Record<string, Content> = { a: '1', s: '1' };
    await using watched = startWatch(contents);
    await watched.time.advance(60_000);
    const count = (name: string) => watched.reads.filter((read) => read === name).length;
    expect(count('a')).toBeGreaterThanOrEqual(12);
    expect(count('s')).toBeLessThanOrEqual(5);
    contents.s = '2';
    await watched.time.advance(16_000);
    expect(watched.changes).toEqual(['v']);
  });

  it('does not report a credential while it is unreadable, but reports it when it becomes readable again', async () => {
    const contents: Record<string, Content> = { a: '1', s: '1' };
    await using watched = startWatch(contents);
    await watched.time.advance(1_000);
    contents.s = AWAY;
    contents.a = MISSING;
    await watched.time.advance(30_000);
    expect(watched.changes).toEqual([]);
    expect(watched.errors).toContain(AWAY);
    contents.s = '1';
    await watched.time.advance(30_000);
    expect(watched.changes).toEqual([]);
    contents.a = '1';
    await watched.time.advance(6_000);
    expect(watched.changes).toEqual(['v']);
  });

  it('the credential watch reports a credential that was missing at the start as soon as the credential appears', async () => {
    const contents: Record<string, Content> = {};
    await using watched = startWatch(contents);
    await watched.time.advance(1_000);
    contents.a = '1';
    await watched.time.advance(6_000);
    expect(watched.changes).toEqual(['v']);
  });

  it('the credential watch reports a credential only after its write is complete', async () => {
    const contents: Record<string, Content> = { a: 'first', s: '1' };
    await using watched = startWatch(contents);
    await watched.time.advance(4_900);
    contents.a = 'sec';
    await watched.time.advance(200);
    contents.a = 'second';
    await watched.time.advance(20_000);
    expect(watched.changes).toEqual(['v']);
  });

  it('the credential watch reads a shared credential once, and reports the credential to each component that uses it', async () => {
    const contents: Record<string, Content> = { a: '1' };
    const references = new Map([
      ['v', [file('a')]],
      ['w', [file('a')]],
      ['x', []],
    ]);
    await using watched = startWatch(contents, { references: () => references });
    await watched.time.advance(100);
    expect(watched.reads).toEqual(['a']);
    contents.a = '2';
    await watched.time.advance(6_000);
    expect(watched.changes).toEqual(['v', 'w']);
  });

  it('does not report a credential when it is read for the first time under a new configuration', async () => {
    const contents: Record<string, Content> = { a: '1', b: '1' };
    let list = [file('a')];
    await using watched = startWatch(contents, { references: () => new Map([['v', list]]) });
    await watched.time.advance(6_000);
    list = [file('b')];
    await watched.time.advance(6_000);
    expect(watched.changes).toEqual([]);
    contents.b = '2';
    await watched.time.advance(6_000);
    expect(watched.changes).toEqual(['v']);
  });

  it('the credential watch checks the credentials on request, without waiting for the next check', async () => {
    const contents: Record<string, Content> = { a: '1', s: '1' };
    await using watched = startWatch(contents);
    await watched.time.advance(100);
    contents.s = '2';
    await watched.watch.check();
    expect(watched.changes).toEqual(['v']);
  });

  it("the credential watch includes files that a vendor's client library reads by path", async () => {
    const folder = await mkdtemp(join(tmpdir(), 'secretbridge-credentials-'));
    await using _ = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
    const path = join(folder, 'ca.pem');
    await using watched = startWatch(
      {},
      { references: () => new Map([['v', [{ path }]]]), wake: startTimer, settleMs: 1 },
    );
    await watched.watch.check();
    await writeFile(path, 'one');
    await watched.watch.check();
    await writeFile(path, 'two');
    await watched.watch.check();
    await watched.watch.check();
    expect(watched.changes).toEqual(['v', 'v']);
    expect(watched.reads).toEqual([]);
  });
});

describe('the watched credentials of a section', () => {
  it('returns all file and Secret references to credentials, and all files that the client library reads', () => {
    const section = {
      name: 'v',
      address: 'https://vault',
      auth: { method: 'appRole', roleId: 'id', secretId: { file: '/s' }, other: { env: 'E' } },
      tls: { caFile: '/ca.pem' },
      tokens: [{ name: 'ann', token: { secretRef: { name: 't', key: 'k' } } }, { token: { file: '/s' } }],
    };
    expect(watchedCredentialsIn(section)).toEqual([
      { file: '/s' },
      { path: '/ca.pem' },
      { secretRef: { name: 't', key: 'k' } },
    ]);
  });
});
