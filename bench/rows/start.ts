import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type Benchmark, type Row, row } from '../harness/row.ts';
import { median } from '../harness/statistics.ts';
import { builtProgram } from '../world/build.ts';
import { mappingOf } from '../world/fleet.ts';
import { startNode } from '../world/program.ts';
import { FIELDS } from '../world/test-data.ts';

const ROUNDS = 15;

export const start: Benchmark = {
  name: 'start',
  title: 'Process duration',
  goal: '`--help` < 2 × an empty Node process, `validate` of 1,000 mappings < 1 s',
  async run({ quick, report }): Promise<readonly Row[]> {
    const program = await builtProgram();
    const folder = await mkdtemp(join(tmpdir(), 'secretbridge-start-'));
    try {
      const mappings = quick ? 100 : 1_000;
      await writeFile(join(folder, 'secretbridge.yaml'), stringify(configOf(mappings)));
      await writeFile(join(folder, 'nothing.mjs'), '');
      const commands = {
        nothing: [join(folder, 'nothing.mjs')],
        help: [program, '--help'],
        version: [program, '--version'],
        validate: [program, 'validate'],
      };
      const times = Object.fromEntries(Object.keys(commands).map((name) => [name, [] as number[]]));
      // Alternate between the commands, so that a busy moment of the machine affects each of them.
      for (let round = 0; round <= (quick ? 3 : ROUNDS); round += 1) {
        for (const [name, args] of Object.entries(commands)) {
          const s = await timeOf(args, folder);
          if (round > 0) times[name]?.push(s);
        }
        report(`round ${round}`);
      }
      const of = (name: keyof typeof commands) => median(times[name] ?? []);
      return [
        row({
          id: 'start/help',
          title: '`--help`; floor: Node with an empty module',
          unit: 's',
          value: of('help'),
          floor: of('nothing'),
          goal: { ratio: 2 },
        }),
        row({
          id: 'start/version',
          title: '`--version`',
          unit: 's',
          value: of('version'),
          floor: of('nothing'),
          goal: { ratio: 2 },
        }),
        row({
          id: 'start/validate',
          title: `\`validate\` of ${mappings.toLocaleString('en-GB')} mappings of 5 keys`,
          unit: 's',
          value: of('validate'),
          floor: of('nothing'),
          goal: { value: 1 },
        }),
      ];
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};

async function timeOf(args: readonly string[], folder: string): Promise<number> {
  await using run = await startNode(args, { folder, env: { A: 'a', B: 'b' } });
  return (await run.ended).ms / 1_000;
}

function configOf(mappings: number): object {
  const auth = { method: 'static', accessKeyId: { env: 'A' }, secretAccessKey: { env: 'B' } };
  return {
    apiVersion: 'secretbridge.dev/v1',
    instance: 'bench',
    cluster: { kind: 'directory', path: './cluster' },
    stores: [
      { name: 'aws', kind: 'aws-secrets-manager', region: 'eu-west-1', auth },
      {
        name: 'vault',
        kind: 'vault',
        address: 'https://vault.internal',
        mount: 'secret',
        kvVersion: 2,
        auth: TOKEN,
      },
    ],
    mappings: Array.from({ length: mappings }, (_, n) => mappingOf(n, ['apps'], FIELDS)),
  };
}

const TOKEN = { method: 'token', token: { env: 'A' } };
