import { describe, expect, it } from 'vitest';
import { HEAD, linesOf, loadText } from './memory-fs.ts';

const problems = async (text: string) =>
  linesOf(await loadText(`${HEAD}${text}\n`)).map((line) => line.slice(line.indexOf(' ') + 1));

describe('audit.retention', () => {
  it('`audit.retention` must be at least 8 days, because a restart may be pending for 7 days', async () => {
    expect(await problems('audit: { retention: 191h }')).toEqual([
      'audit.retention CONFIG_INVALID: expected a duration of at least 8d',
    ]);
    expect(await problems('audit: { retention: 8d }')).toEqual([]);
    // An invalid duration here causes the same message as in any other field.
    const words = (text: string) =>
      problems(text).then((lines) => lines.map((line) => line.replace(/^\S+/, '')));
    expect(await words('audit: { retention: soon }')).toEqual(await words('defaults: { refresh: soon }'));
  });

  it('`audit.retention` requires a checkpoint location, which SQLite has by default and PostgreSQL does not have', async () => {
    const missing =
      'audit.retention CONFIG_INVALID: needs an entry in `audit.checkpoints`: signed checkpoints prove which records retention removed';
    expect(await problems('audit: { retention: 400d }')).toEqual([]);
    expect(await problems('audit: { retention: 400d, checkpoints: [] }')).toEqual([missing]);
    const keys = 'keys: { fingerprint: [ { env: A } ], checkpoint: { env: B } }';
    const postgres = (more: string) =>
      problems(`${keys}\naudit: { store: { kind: postgres, url: { env: URL } }, retention: 400d${more} }`);
    expect(await postgres('')).toEqual([missing]);
    expect(await postgres(', checkpoints: [ { kind: configMap, name: proof } ]')).toEqual([]);
  });

  it('`audit.retention` must be longer than every period for which old records are needed', async () => {
    const longer = (than: string) =>
      `audit.retention CONFIG_INVALID: expected a longer time than \`${than}\`, which reads older records`;
    const both = 'brake: { window: 10d }\nabsence: { over: 11d }';
    const found = await problems(`audit: { retention: 10d }\n${both}`);
    expect(found.toSorted()).toEqual([longer('absence.over'), longer('brake.window')]);
    expect(await problems(`audit: { retention: 12d }\n${both}`)).toEqual([]);
  });
});

describe('audit.archive', () => {
  it('`audit.archive` requires `audit.retention`', async () => {
    expect(await problems('audit: { archive: { path: ./archive } }')).toEqual([
      'audit.archive CONFIG_INVALID: needs `audit.retention`',
    ]);
  });

  it('resolves `audit.archive` relative to the file that sets it', async () => {
    const loaded = await loadText(`${HEAD}audit: { retention: 1000d, archive: { path: ./archive } }\n`);
    expect(loaded).toMatchObject({ config: { audit: { archive: { path: '/home/ann/archive' } } } });
  });
});
