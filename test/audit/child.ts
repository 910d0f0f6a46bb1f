import { DatabaseSync } from 'node:sqlite';
import type { MovableAudit } from '../../src/audit/move/movable-audit.ts';
import { moveAudit } from '../../src/audit/move/move.ts';
import { openPostgresAudit } from '../../src/audit/postgres/postgres.ts';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import { toAppError } from '../../src/core/errors.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { bare, entry } from './sample.ts';

/**
 * A child process that uses an audit store together with other processes: `node child.ts <job> <path-or-url> <replica>
 * [count]`.
 */
const [job, path = '', replica = '', count = '0'] = process.argv.slice(2);
const clock = { now: () => Date.now() };
const say = (line: string): void => void process.stdout.write(`${line}\n`);
/** Keeps the process and its open store alive until the process is killed. */
const stay = (open: unknown): void => void setInterval(() => open, 60_000);

function open(): Promise<AuditStore> {
  const common = { instance: 'test', replica, clock };
  return path.startsWith('postgres:')
    ? openPostgresAudit({ ...common, url: async () => SecretValue.fromText(path) })
    : openSqliteAudit({ ...common, path });
}

switch (job) {
  case 'append': {
    await using store = await open();
    // Alternates between a single append and nine concurrent appends.
    for (let n = 0; n < Number(count); ) {
      const crowd = n % 2 === 0 ? 1 : 9;
      const ids = Array.from({ length: crowd }, () => `${replica}-${n++}`);
      await Promise.all(ids.map((requestId) => store.append([entry({ requestId })])));
    }
    say('done');
    break;
  }
  case 'intend': {
    const store = await open();
    await store.append([entry({ phase: 'intent', requestId: replica })]);
    say('recorded');
    stay(undefined);
    break;
  }
  case 'endless': {
    const store = await open();
    say('begun');
    // Appends records, and prints the id of each record after it is stored. A record whose id was not printed may or
    // may not be stored.
    for (let n = 0; ; n += 3) {
      const ids = [n, n + 1, n + 2].map((id) => `${replica}-${id}`);
      await Promise.all(ids.map((requestId) => store.append([entry({ requestId })])));
      say(ids.join(' '));
    }
  }
  case 'churn': {
    const store = await open();
    say('begun');
    // Makes all kinds of changes: new records, reviews and pruning.
    for (let n = 0; ; n += 1) {
      const many = Array.from({ length: 40 }, (_, i) =>
        entry({ requestId: `${replica}-${n}`, attempt: i + 1 }),
      );
      const [first, ...rest] = await store.append([
        entry({ action: 'create', secret: `s${n % 5}` }),
        ...many,
      ]);
      const about = rest.at(-1)?.sequence ?? 1;
      await store.append([bare({ action: 'review', review: { sequence: about, state: 'reviewed' } })]);
      if (first !== undefined && n > 0) await store.prune(first);
      say(String(first?.sequence));
    }
  }
  case 'move': {
    const from = count;
    const source = await openSqliteAudit({ path: from, instance: '', replica, clock, readOnly: true });
    const target = await open();
    say(JSON.stringify(await moveAudit(source, target as MovableAudit, { onProgress: () => say('step') })));
    process.exit(0);
    break;
  }
  case 'exclusive': {
    const store = await open();
    await store.exclusively('destroy', () => {
      say('inside');
      return new Promise(() => stay(store));
    });
    break;
  }
  case 'hold': {
    const db = new DatabaseSync(path);
    db.exec('begin immediate');
    say('holding');
    stay(db);
    break;
  }
  case 'fill': {
    const store = await open();
    let appended = 0;
    try {
      for (; appended < Number(count); appended += 3) {
        const note = 'x'.repeat(2000);
        await store.append([entry({ note }), entry({ note }), entry({ note })]);
      }
      say(JSON.stringify({ appended }));
    } catch (thrown) {
      const { code, message } = toAppError(thrown);
      say(JSON.stringify({ appended, code, message }));
    }
    process.exit(0);
    break;
  }
  case 'open': {
    if (process.getuid?.() === 0) process.setuid?.(65_534);
    try {
      const store = await openSqliteAudit({
        path,
        instance: 'test',
        replica,
        clock,
        readOnly: count === 'readOnly',
      });
      const records = await store.list({}, { limit: 10 });
      say(JSON.stringify({ records: records.length }));
      await store[Symbol.asyncDispose]();
    } catch (thrown) {
      const { code, message } = toAppError(thrown);
      say(JSON.stringify({ code, message }));
    }
    break;
  }
  default:
    throw new Error(`no such job: ${job}`);
}
