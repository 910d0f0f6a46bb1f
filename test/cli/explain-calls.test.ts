import { describe, expect, it } from 'vitest';
import { DB, HEAD, openBench } from './harness.ts';

const TWO = `${HEAD}${DB}  - name: copy
    target: { namespaces: [a, b] }
    refresh: 10m
    data:
      USER: { store: local, key: db.json, property: user }
      OTHER: { store: local, key: other.json, optional: true }
`;

describe('explain --calls', () => {
  it('`explain --calls` prints the requests per hour to the store, and how many of them the mapping causes', async () => {
    await using bench = await openBench(TWO);
    const { json } = await bench.run('explain', 'copy', '--calls', '--output', 'json');
    expect(json).toMatchObject({
      mapping: 'copy',
      calls: [
        {
          store: 'local',
          way: 'read',
          keys: 2,
          callsPerHour: 12 + 6,
          addedCallsPerHour: 6,
          oneByOneCallsPerHour: 2 * 2 * 6,
        },
      ],
    });
  });

  it('`explain --calls` prints the requests per hour as text', async () => {
    await using bench = await openBench(TWO);
    expect(
      (await bench.run('explain', 'copy', '--calls')).stdout,
    ).toContain(`Requests to local while nothing changes
  18 requests per hour for the 2 keys of all mappings, by read
  6 of them because of this mapping
  24 per hour if each key of each target were read separately`);
    expect((await bench.run('explain', 'copy')).stdout).not.toContain('Requests to');
  });
});
