import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuditRecord, Entry } from '../../src/audit/entry.ts';
import type { ChannelRules, Trouble } from '../../src/core/troubles.ts';
import { TroubleLog } from '../../src/notify/trouble-log.ts';
import { record, START, targetEntry } from './sample.ts';

const AFTER_MS = 60_000;
const RULES: ChannelRules = { name: 'ops', on: ['failed', 'refused'], afterMs: AFTER_MS };
const CODES = ['TIMEOUT', 'ACCESS_DENIED'];
const PROCESSES = 3;

type Step =
  | { readonly kind: 'fail' | 'recover'; readonly target: string; readonly code: string }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'run' | 'crash' | 'restart'; readonly process: number };

const process = fc.nat(PROCESSES - 1);
const target = fc.constantFrom('a', 'b', 'c');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('fail', 'recover'), target, code: fc.constantFrom(...CODES) }),
  fc.record({ kind: fc.constant('wait'), ms: fc.constantFrom(1_000, 30_000, AFTER_MS, 3 * AFTER_MS) }),
  fc.record({ kind: fc.constantFrom('run', 'run', 'restart'), process }),
);

/** Several processes that share a log and a channel. */
class Installation {
  now = START;
  readonly records: AuditRecord[] = [];
  readonly sent: { readonly what: 'opened' | 'closed'; readonly trouble: Trouble; readonly at: number }[] =
    [];
  crashes = 0;
  #processes = Array.from({ length: PROCESSES }, () => new TroubleLog(0));

  append(part: Partial<Entry> & Pick<Entry, 'action'>): void {
    const sequence = this.records.length + 1;
    const time = new Date(this.now).toISOString();
    this.records.push(record({ ...part, sequence, time }));
  }

  run(index: number, crashes = false): void {
    const log = this.#processes[index] ?? new TroubleLog(0);
    for (const each of this.records.slice(log.position)) log.note(each, [RULES]);
    const notification = log.decide(RULES, this.now);
    if (notification === undefined) return;
    const { decision, from } = log.decisionOf(RULES, this.now);
    for (const trouble of notification.opened) this.sent.push({ what: 'opened', trouble, at: this.now });
    for (const trouble of notification.closed) this.sent.push({ what: 'closed', trouble, at: this.now });
    if (crashes) {
      this.crashes += 1;
      this.restart(index);
      return;
    }
    const { until, at, afterMs: after, rules } = decision;
    this.append({ action: 'notify', note: RULES.name, counts: { until, at, after, rules, from } });
    log.apply(decision, [RULES]);
  }

  /** A new process reads from the place that the last message has recorded. */
  restart(index: number): void {
    const last = this.records.findLast(({ action }) => action === 'notify');
    this.#processes[index] = new TroubleLog(last?.counts?.from ?? 0);
  }

  play(each: Step): void {
    if (each.kind === 'wait') this.now += each.ms;
    else if ('target' in each)
      this.append(targetEntry(each.target, each.kind === 'fail' ? each.code : undefined));
    else if (each.kind === 'restart') this.restart(each.process);
    else this.run(each.process, each.kind === 'crash');
  }

  /** Every trouble that was ever open, with the times of its beginning and end. */
  troubles() {
    const open = new Map<string, { sequence: number; since: number; until: number }>();
    const all: { sequence: number; since: number; until: number }[] = [];
    for (const { action, secret = '', outcome, sequence, time } of this.records) {
      if (action === 'notify') continue;
      const known = open.get(secret);
      if (outcome === 'ok') {
        if (known !== undefined) known.until = Date.parse(time);
        open.delete(secret);
      } else if (known === undefined) {
        const begun = { sequence, since: Date.parse(time), until: Number.POSITIVE_INFINITY };
        open.set(secret, begun);
        all.push(begun);
      }
    }
    return all;
  }

  count(what: 'opened' | 'closed', sequence: number): number {
    return this.sent.filter((message) => message.what === what && message.trouble.sequence === sequence)
      .length;
  }
}

function play(steps: readonly Step[]): Installation {
  const installation = new Installation();
  for (const each of steps) installation.play(each);
  return installation;
}

/** Lets everything become due, and sends it. */
function settle(installation: Installation): void {
  installation.now += 10 * AFTER_MS;
  for (let index = 0; index < PROCESSES; index += 1) installation.run(index);
}

describe('the troubles of a channel', () => {
  it('each makes one message when it begins, and one when it ends, whichever processes run and restart', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const installation = play(steps);
        settle(installation);
        for (const { sequence, since, until } of installation.troubles()) {
          const [opened, closed] = [
            installation.count('opened', sequence),
            installation.count('closed', sequence),
          ];
          expect(opened).toBeLessThanOrEqual(1);
          // Every open trouble has an opening message. Every reported trouble that ended has a closing message.
          if (until === Number.POSITIVE_INFINITY) expect([opened, closed]).toEqual([1, 0]);
          else expect(closed).toBe(opened);
          if (until - since >= AFTER_MS) expect(opened).toBe(1);
        }
      }),
    );
  });

  it('none is lost in a crash between a message and its record, and a crash makes at most one double', () => {
    const crashing = fc.oneof(step, fc.record({ kind: fc.constant('crash' as const), process }));
    fc.assert(
      fc.property(fc.array(crashing, { maxLength: 60 }), (steps) => {
        const installation = play(steps);
        settle(installation);
        for (const { sequence, since, until } of installation.troubles()) {
          const [opened, closed] = [
            installation.count('opened', sequence),
            installation.count('closed', sequence),
          ];
          expect(opened).toBeLessThanOrEqual(1 + installation.crashes);
          expect(closed).toBeLessThanOrEqual(1 + installation.crashes);
          const hasLasted = until - since >= AFTER_MS;
          if (hasLasted) expect(opened).toBeGreaterThanOrEqual(1);
          if (hasLasted && until < Number.POSITIVE_INFINITY) expect(closed).toBeGreaterThanOrEqual(1);
        }
      }),
    );
  });

  it('none makes a message before it has lasted, unless one of the same code has', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { sent } = play(steps);
        for (const { what, trouble, at } of sent) {
          if (what === 'closed') continue;
          const together = sent.filter((other) => other.what === 'opened' && other.at === at);
          const hasLasted = ({ trouble: { code, since } }: (typeof sent)[number]) =>
            code === trouble.code && at - since >= AFTER_MS;
          expect(together.some(hasLasted)).toBe(true);
        }
      }),
    );
  });

  it('an outage that reaches target after target makes one message', () => {
    const installation = new Installation();
    for (let index = 0; index < 500; index += 1) {
      installation.append(targetEntry(`target-${index}`, 'STORE_UNAVAILABLE'));
      installation.now += 100;
    }
    for (let run = 0; run < 20; run += 1) {
      installation.now += 5_000;
      installation.run(run % PROCESSES);
    }
    const times = new Set(installation.sent.map(({ at }) => at));
    expect([installation.sent.length, times.size]).toEqual([500, 1]);
  });
});
