import { DatabaseSync } from 'node:sqlite';
import { openSqliteAudit } from '../../src/audit/sqlite.ts';
import { toAppError } from '../../src/core/errors.ts';
import { entry } from './sample.ts';

/** One process of several on an audit file: `node child.ts <job> <path> <replica> [count]`. */
const [job, path = '', replica = '', count = '0'] = process.argv.slice(2);
const clock = { now: () => Date.now() };
const say = (line: string): void => void process.stdout.write(`${line}\n`);
/** Until killed, with what it has open. */
const stay = (open: unknown): void => void setInterval(() => open, 60_000);

switch (job) {
  case 'append': {
    await using store = await openSqliteAudit({ path, instance: 'test', replica, clock });
    // Alone and in crowds by turns.
    for (let n = 0; n < Number(count); ) {
      const crowd = n % 2 === 0 ? 1 : 9;
      const ids = Array.from({ length: crowd }, () => `${replica}-${n++}`);
      await Promise.all(ids.map((requestId) => store.append([entry({ requestId })])));
    }
    say('done');
    break;
  }
  case 'intend': {
    const store = await openSqliteAudit({ path, instance: 'test', replica, clock });
    await store.append([entry({ phase: 'intent', requestId: replica })]);
    say('recorded');
    stay(undefined);
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
    const store = await openSqliteAudit({ path, instance: 'test', replica, clock });
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
