import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { runScript, ServiceError } from '../test/integration/services/service.ts';
import { deadStore } from '../test/soak/dead-store.ts';
import { firstSync } from '../test/soak/first-sync.ts';
import { type Result, type SoakOptions, showResult } from '../test/soak/options.ts';
import { newSeed, soak } from '../test/soak/soak.ts';

const HELP = `Usage: npm run test:soak [-- SCENARIO…] [options]

Runs the service on real servers (an API server, OpenBao, Redis, PostgreSQL) and shows what it does in trouble.

  soak         two replicas, while everything that may fail does (the default)
  first-sync   how long a new mapping waits when thousands of refreshes wait before it
  dead-store   what a store costs that is down for a long time, and what its return is like

  --minutes N  how long faults go on (soak: 20, dead-store: 15)
  --targets N  how many Secrets (2000)
  --seed N     the order of faults and changes; a new one each time, and shown
  --tries N    of first-sync (100)
  --out FILE   also write the results as JSON
  --keep       keep logs and evidence also when nothing failed

Exit code 0: every check holds.
`;

type Scenario = (options: SoakOptions & { readonly tries: number }) => Promise<Result>;

const SCENARIOS: Readonly<Record<string, { readonly minutes: number; readonly run: Scenario }>> = {
  soak: { minutes: 20, run: soak },
  'first-sync': { minutes: 0, run: firstSync },
  'dead-store': { minutes: 15, run: deadStore },
};

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ...{
        minutes: { type: 'string' },
        targets: { type: 'string', default: '2000' },
        seed: { type: 'string' },
      },
      ...{ tries: { type: 'string', default: '100' }, out: { type: 'string' } },
      ...{ keep: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const began = Date.now();
  const report = (line: string): void =>
    console.log(`${String(Math.round((Date.now() - began) / 1_000)).padStart(5)} s  ${line}`);
  const results: Result[] = [];
  for (const name of positionals.length === 0 ? ['soak'] : positionals) {
    const scenario = SCENARIOS[name];
    if (scenario === undefined) throw new ServiceError(`Unknown scenario ${name}.\n\n${HELP}`);
    const seed = values.seed === undefined ? newSeed() : Number(values.seed);
    const result = await scenario.run({
      minutes: Number(values.minutes ?? scenario.minutes),
      targets: Number(values.targets),
      tries: Number(values.tries),
      ...{ seed, out: values.out, keep: values.keep, report },
    });
    results.push(result);
    console.log(showResult(result));
  }
  if (values.out !== undefined) await writeFile(values.out, `${JSON.stringify(results, undefined, 2)}\n`);
  return results.every(({ checks }) => checks.every(({ ok }) => ok !== false)) ? 0 : 1;
}

// Every server and replica ends when this process ends.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

await runScript(main, 2);
